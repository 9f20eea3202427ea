// DLB TALP's JSON. Where the records know how long each rank computed, the efficiencies are POP's of docs/factors.md. Older
// records know the step, how long the rank that waits longest waits (exposed), and how much longer
// that is than the rank that waits least (skew). So the most useful time of a rank is step - exposed + skew, and the mean
// lies in the middle between it and step - exposed, exactly so for two ranks. Without hardware counters talp-pages assumes
// weak scaling.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/base/measure.h"
#include "bench/export/exports.h"

namespace xbench {
namespace {

// Of a step, in milliseconds.
struct UsefulTime {
    double mean = 0, most = 0;  // of the ranks
};

UsefulTime from_waits(const ScalingRow& row) {
    const double step = row.step_ms.median;
    UsefulTime useful;
    useful.most = std::min(step, step - row.exposed_comm_ms + row.rank_skew_ms);
    useful.mean = row.point.ranks > 1 ? std::max(0.0, useful.most - row.rank_skew_ms / 2) : step;
    return useful;
}

// Medians over the repeats, each of an inverse, as bench/efficiency takes them.
UsefulTime useful_time(const RunFiles& run, const ScalingRow& row) {
    std::vector<double> means, mosts;
    for (const Record& record : run.records) {
        const auto ranks = record.counters.find("useful_ms");
        if (record.params.value("point", "") != row.point.id() || ranks == record.counters.end() || !ranks->is_array())
            continue;
        double sum = 0, most = 0;
        for (const Json& ms : *ranks)
            if (ms.is_number()) sum += ms.get<double>(), most = std::max(most, ms.get<double>());
        if (!(sum > 0)) continue;
        means.push_back(static_cast<double>(ranks->size()) / sum);
        mosts.push_back(1 / most);
    }
    if (means.empty()) return from_waits(row);
    return {1 / median(means), 1 / median(mosts)};
}

}  // namespace

std::string talp_json(const RunFiles& run, const ScalingRow& row) {
    const Point& p = row.point;
    const UsefulTime useful = useful_time(run, row);
    const double step = row.step_ms.median, most = useful.most, mean = useful.mean;
    // At the rate of steady steps, so that what readers make of two rows' times is the efficiency of docs/factors.md:
    // warm-up and the time between epochs are in train_seconds, and in none of the factors.
    const double rate = row.images_per_second.median;
    const double elapsed_ns = rate > 0 ? 1e9 * static_cast<double>(row.images_trained) / rate : 0,
                 share = step > 0 ? mean / step : 1;
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
