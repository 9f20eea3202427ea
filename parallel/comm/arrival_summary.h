// What the arrival logs of all ranks say together: which rank was last at each collective, how long the others waited for it
// ("delay", in Scalasca's sense), and how long the collective itself took once all were there ("transfer").
//
//   all arrived   the latest arrival over the ranks
//   wait          of a rank: from its own arrival until all have arrived; of a sum in two halves, from its second half on
//   delay         of a rank that is last: the mean wait of the others; of a rank over a run: their sum over the steps it was
//                 last, divided by all steps. Over the ranks the delays of a collective add up to its mean wait.
//   transfer      from "all have arrived" until done, mean over the ranks
//
// Milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/communicator.h"
#include "parallel/comm/arrival_log.h"

namespace xbench {

// One collective of the step, over all its steps but the first few.
struct SiteDelays {
    int track = 0;  // 0: the computing thread's calls; above: those of communication threads
    uint32_t site = 0;
    CollectiveKind collective = CollectiveKind::all_reduce;
    uint64_t bytes = 0;
    int64_t steps = 0;
    std::vector<double> share_last;  // by rank: of the steps
    std::vector<double> delay_ms;    // by rank
    double transfer_ms = 0;
    size_t last_most() const;  // the rank that delays the most
};

// The first steps of one rank, by rank 0's clock.
struct RankTrace {
    std::vector<StepMarks> marks;
    std::vector<std::pair<int, LoggedCall>> calls;  // track, call
};

struct ArrivalSummary {
    int64_t steps = 0;  // that were looked at
    std::vector<SiteDelays> sites;
    std::vector<RankTrace> trace;  // by rank
    std::string clock;             // "one machine's", or how the nodes' clocks were compared
};

// This rank's clock minus rank 0's, by when they leave the same barriers; 0 where all ranks are on one node. Collective.
struct ClockOffset {
    int64_t at_ns = 0, offset_ns = 0;
};
ClockOffset clock_offset(ControlPlane& communicator);

// Collective, behind the last step. `before` and `after` the steps: the offset changes evenly between them.
ArrivalSummary summarise(const ArrivalLog& log, Communicator& communicator, const ClockOffset& before,
                         const ClockOffset& after);

}  // namespace xbench
