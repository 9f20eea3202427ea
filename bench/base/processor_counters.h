// Instructions and cycles of this process, by Linux' perf_event, where the system has such counters and this user may read
// them.
#pragma once

#include <optional>
#include <string>

#include "core/control_plane.h"
#include "core/json.h"

namespace xbench {

class ProcessorCounters {
public:
    struct Counts {
        double instructions = 0, cycles = 0;  // in user mode, scaled where the counters were shared
        double seconds = 0;                   // of processor time, over all threads
    };
    // From now on: of this process and the threads that it starts afterwards.
    ProcessorCounters();
    ~ProcessorCounters();
    ProcessorCounters(const ProcessorCounters&) = delete;
    ProcessorCounters& operator=(const ProcessorCounters&) = delete;
    std::optional<Counts> counts() const;
    const std::string& why() const { return why_; }  // why there are none

private:
    int instructions_ = -1, cycles_ = -1;  // file descriptors
    double start_seconds_ = 0;
    std::string why_;
};

// The sums over all ranks, on every rank: instructions, cycles, processor_seconds; or null each, with
// processor_counters_why. Collective.
Json processor_counters_of_ranks(const ProcessorCounters& mine, ControlPlane& ranks);

}  // namespace xbench
