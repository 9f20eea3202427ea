// The times of a run's training steps. A step is what makes one update: waiting for its batch, computing, communicating.
// What lies between two steps (the progress line, asking all ranks whether to stop, the snapshot of a checkpoint) is
// counted by itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "core/communicator.h"

namespace xbench {

// One element a step.
struct StepTimes {
    std::vector<int64_t> step_ns;           // of the slowest rank at that step: load wait + compute + communication
    std::vector<int64_t> between_steps_ns;  // after that step, before the next one or the epoch's end; of the slowest rank
    std::vector<int64_t> step_images;       // images of that step, all ranks
    std::vector<int64_t> comm_ns;           // exposed communication of each step, of the rank that waited longest
    std::vector<int64_t> skew_ns;           // of it, beyond that of the rank that waited least: its peers were late

    void reserve(size_t steps);
    // From this rank's own times to those of all ranks. Collective, once.
    void merge(ControlPlane& communicator);
};

// Splits the time of an epoch into its steps and what lies between.
class StepClock {
public:
    using Clock = std::chrono::steady_clock;
    explicit StepClock(StepTimes& times) : times_(times), last_(Clock::now()) {}
    void end_step(int64_t images, int64_t exposed_ns);
    void end_between();

private:
    int64_t lap();
    StepTimes& times_;
    Clock::time_point last_;
};

}  // namespace xbench
