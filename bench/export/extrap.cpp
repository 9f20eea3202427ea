// Extra-P: one parameter p (cores), one region for each family of rows, and the baseline in each of them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "bench/export/exports.h"

namespace xbench {
namespace {

struct Series {
    std::string region;
    std::map<int, std::vector<double>> seconds;  // by cores, of every repeat
};

// Seconds of a step of each repeat.
std::vector<double> step_seconds_of(const RunFiles& run, const std::string& point) {
    std::vector<double> seconds;
    for (const Record& record : run.records) {
        const auto step = record.counters.find("step_ms");
        if (record.params.value("point", "") == point && step != record.counters.end() && step->is_number())
            seconds.push_back(step->get<double>() * 1e-3);
    }
    return seconds;
}

std::vector<Series> series_of(const RunFiles& run) {
    std::vector<Series> all;
    for (const ScalingRow& row : run.table.rows) {
        if (!row.timed() || row.point.status != PointStatus::ok || row.point.trainer == "serial") continue;
        const std::string region = "train->" + family_of(row);
        auto found = std::find_if(all.begin(), all.end(), [&](const Series& s) { return s.region == region; });
        if (found == all.end()) {
            all.push_back({region, {}});
            found = all.end() - 1;
            if (const int own = baseline_of(run.table, row.point.device); own >= 0) {
                const Point& base = run.table.rows[static_cast<size_t>(own)].point;
                found->seconds[base.processors()] = step_seconds_of(run, base.id());
            }
        }
        if (row.speedup || found->seconds.count(row.point.processors()) == 0)
            found->seconds[row.point.processors()] = step_seconds_of(run, row.point.id());
    }
    return all;
}

struct Metric {
    const char* name;
    bool times_cores;
};
constexpr Metric metrics[]{{"time", false}, {"core_seconds", true}};

}  // namespace

// Every region must have every point: those of the first that has most are written, and regions that lack one are left out.
std::string extrap_text(const RunFiles& run) {
    const std::vector<Series> all = series_of(run);
    const auto longest = std::max_element(
        all.begin(), all.end(), [](const Series& a, const Series& b) { return a.seconds.size() < b.seconds.size(); });
    if (longest == all.end()) return "# no parallel row\n";
    std::string text = "PARAMETER p\nPOINTS";
    for (const auto& [cores, seconds] : longest->seconds) text += fmt::format(" ({})", cores);
    text += "\n";
    for (const Metric& metric : metrics) {
        text += fmt::format("METRIC {}\n", metric.name);
        for (const Series& series : all) {
            const auto lacks = [&](const auto& point) { return series.seconds.count(point.first) == 0; };
            if (std::any_of(longest->seconds.begin(), longest->seconds.end(), lacks)) continue;
            text += fmt::format("REGION {}\n", series.region);
            for (const auto& [cores, unused] : longest->seconds) {
                text += "DATA";
                for (const double seconds : series.seconds.at(cores))
                    text += fmt::format(" {:.9g}", seconds * (metric.times_cores ? cores : 1));
                text += "\n";
            }
        }
    }
    return text;
}

std::string extrap_json_lines(const RunFiles& run) {
    std::string text;
    for (const Metric& metric : metrics)
        for (const Series& series : series_of(run))
            for (const auto& [cores, all] : series.seconds)
                for (const double seconds : all)
                    text += json_text(Json{{"params", Json{{"p", cores}}},
                                           {"callpath", series.region},
                                           {"metric", metric.name},
                                           {"value", seconds * (metric.times_cores ? cores : 1)}}) +
                            "\n";
    return text;
}

}  // namespace xbench
