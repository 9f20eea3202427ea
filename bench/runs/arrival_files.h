// What a training leaves of its ranks' arrivals (parallel/comm/arrival_summary.h): the delays for its record, a trace for
// Perfetto and chrome://tracing, the arrivals of the first steps as CSV, and what logging them has cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/base/measure.h"
#include "core/json.h"
#include "parallel/comm/arrival_summary.h"

namespace xbench {

// One entry a collective of the step: bucket (its place), collective, bytes, the rank that delays the most with its
// share_last and delay_ms, the mean wait_ms, and transfer_ms.
Json delays_json(const ArrivalSummary& summary);

// The JSON Object Format of Chrome's trace events (docs/trace.schema.json): ts and dur in microseconds from the first step's
// begin, pid = rank, tid 0 = the computing thread, 1 and up = communication threads. Slices step, loader, compute, optimizer
// and the collectives in them.
Json trace_json(const ArrivalSummary& summary);

// step,track,site,collective,bytes,rank,arrived_us,resumed_us,done_us: the same steps and the same clock.
std::string arrivals_csv(const ArrivalSummary& summary);

// Of a run that has logged some of its steps (ArrivalLog::When::alternate): by how much they took longer. Steps of fewer
// images than the others are left out; medians over groups of neighbouring steps are compared. `first_step` is that of the
// first time. Nothing with fewer than 6 groups.
struct LoggingCost {
    Interval us;
    double share_of_step = 0;
    int64_t steps = 0;
};
std::optional<LoggingCost> logging_cost(const std::vector<int64_t>& step_ns, const std::vector<int64_t>& step_images,
                                        uint32_t first_step);
Json to_json(const LoggingCost& cost);

}  // namespace xbench
