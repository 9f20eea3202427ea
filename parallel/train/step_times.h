// The times of a run's training steps. A step is what makes one update: waiting for its batch, computing, communicating.
// What lies between two steps (the progress line, asking all ranks whether to stop, the snapshot of a checkpoint) is
// counted by itself. On another device than the host's, times are those between events in its order: of a step, until its
// update is done; what the host does meanwhile costs nothing unless the device runs out of work.
#pragma once

#include <cstdint>
#include <vector>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// One element a step.
struct StepTimes {
    std::vector<int64_t> step_ns;           // of the slowest rank at that step: load wait + compute + communication
    std::vector<int64_t> between_steps_ns;  // after that step, before the next one or the epoch's end; of the slowest rank
    std::vector<int64_t> load_ns;           // of it, waiting for the batch; of the rank that waited longest
    std::vector<int64_t> step_images;       // images of that step, all ranks
    std::vector<int64_t> comm_ns;           // exposed communication of each step, of the rank that waited longest
    std::vector<int64_t> skew_ns;           // of it, beyond that of the rank that waited least: its peers were late
    std::vector<int64_t> useful_ns;         // of each step, what is neither of both waits; of the rank that has most of it
    std::vector<double> useful_of_rank_ns;  // one element a rank: its mean of that, over the steps behind the warm-up

    void reserve(size_t steps);
    // From this rank's own times to those of all ranks. Collective, once.
    void merge(ControlPlane& communicator);

private:
    void merge_useful(ControlPlane& communicator);
};

// Steps that are left out of throughput at the start of a run: caches, page faults, clock rates.
size_t warmup_steps(size_t steps);

// Splits the time of an epoch into its steps and what lies between. A step's times are known when it ends, on another device
// than the host's when the next one does; finish() waits for the last.
class StepClock {
public:
    StepClock(StepTimes& times, Device& device);
    void end_step(int64_t images, int64_t exposed_ns);  // what TrainingStep::take_exposed_ns gives
    void end_between();
    void finish(int64_t exposed_ns);  // of the last step, where it was not known yet
    int64_t newest_step_ns() const;   // of those known; 0: none

private:
    struct Step {
        DeviceEvent begin, end, next;
    };
    void read(size_t but);
    StepTimes& times_;
    Device& device_;
    const size_t late_;  // steps
    DeviceEvent last_;
    std::vector<Step> unread_;
    size_t ended_ = 0;
    int64_t newest_step_ns_ = 0;
};

}  // namespace xbench
