// DLB TALP's JSON. What a record knows: the step, how long the rank that waits longest waits (exposed), and how much longer
// that is than the rank that waits least (skew). So the most useful time of a rank is step - exposed + skew, and the mean
// lies in the middle between it and step - exposed, exactly so for two ranks. Without hardware counters talp-pages assumes
// weak scaling.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/export/exports.h"

namespace xbench {

std::string talp_json(const RunFiles& run, const ScalingRow& row) {
    const Point& p = row.point;
    const double step = row.step_ms.median, most = std::min(step, step - row.exposed_comm_ms + row.rank_skew_ms),
                 mean = p.ranks > 1 ? std::max(0.0, most - row.rank_skew_ms / 2) : step;
    const double elapsed_ns = row.train_seconds * 1e9, share = step > 0 ? mean / step : 1;
    const double balance = most > 0 ? mean / most : 1, communication = step > 0 ? most / step : 1;
    const Json resources{
        {"numCpus", p.processors()}, {"numMpiRanks", p.ranks}, {"numGpus", p.device == "cuda" ? p.ranks : 0}};
    Json global = resources;
    global.update(Json{{"cycles", 0},
                       {"instructions", 0},
                       {"numMeasurements", 1},
                       {"numResets", 0},
                       {"numMpiCalls", 0},
                       {"numOmpParallels", 0},
                       {"numOmpTasks", 0},
                       {"elapsedTime", std::llround(elapsed_ns)},
                       {"usefulTime", std::llround(elapsed_ns * share * p.processors())},
                       {"mpiTime", std::llround(elapsed_ns * (1 - share) * p.processors())}});
    global.update(Json{{"parallelEfficiency", share},
                       {"mpiParallelEfficiency", share},
                       {"mpiCommunicationEfficiency", communication},
                       {"mpiLoadBalance", balance},
                       {"mpiLoadBalanceIn", balance},
                       {"mpiLoadBalanceOut", 1.0},
                       {"ompParallelEfficiency", 1.0},
                       {"ompLoadBalance", 1.0},
                       {"ompSchedulingEfficiency", 1.0},
                       {"ompSerializationEfficiency", 1.0},
                       {"deviceOffloadEfficiency", 1.0},
                       {"gpuParallelEfficiency", 0.0},
                       {"gpuLoadBalance", 0.0},
                       {"gpuCommunicationEfficiency", 0.0},
                       {"gpuOrchestrationEfficiency", 0.0}});
    std::string stamp = run.environment.value("time_utc", "1970-01-01T00:00:00Z");
    if (stamp.ends_with('Z')) stamp = stamp.substr(0, stamp.size() - 1) + "+00:00";
    return json_text(Json{{"dlbVersion", "3.6.0"},
                          {"timestamp", stamp},
                          {"resources", resources},
                          {"Application", Json{{"Global", global}}}},
                     2) +
           "\n";
}

}  // namespace xbench
