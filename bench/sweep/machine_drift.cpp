// Series of calibrations in the order of the runs.
#include "bench/sweep/machine_drift.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/base/calibration.h"
#include "bench/base/compare.h"
#include "bench/base/measure.h"
#include "bench/sweep/sweep_folder.h"
#include "core/json_member.h"

namespace xbench {
namespace {

constexpr double least_change = 0.01, least_disturbance = 0.05;
constexpr size_t most_compared = 200;  // of a half: all ratios are looked at

struct Beside {
    const Record* record;
    MachineCalibration before, after;
};

// One of each run, in the order of the runs.
std::vector<Beside> calibrations_of(std::span<const Record> records) {
    std::vector<Beside> found;
    for (const Record& record : records) {
        if (record.kind != "rep" && record.kind != "probe") continue;
        const auto before = calibration_from(record.counters.value("calibration_before", Json()));
        const auto after = calibration_from(record.counters.value("calibration_after", Json()));
        if (before && after) found.push_back({&record, *before, *after});
    }
    const auto order_of = [](const Beside& one) { return integer_in(one.record->params, "order").value_or(0); };
    std::stable_sort(found.begin(), found.end(),
                     [&](const Beside& a, const Beside& b) { return order_of(a) < order_of(b); });
    const auto same_run = [](const Beside& a, const Beside& b) {  // its copies
        return run_of(*a.record) == run_of(*b.record) && a.record->rep == b.record->rep;
    };
    found.erase(std::unique(found.begin(), found.end(), same_run), found.end());
    return found;
}

using Part = double MachineCalibration::*;
constexpr struct {
    Part part;
    const char* name;
} parts[] = {{&MachineCalibration::arithmetic_ms, "arithmetic"}, {&MachineCalibration::memory_ms, "memory"}};

// Between neighbours, so that a slow drift is none; by the median of their distances, so that an outlier is none.
double noise_of(const std::vector<double>& series) {
    std::vector<double> distances;
    for (size_t i = 1; i < series.size(); ++i) distances.push_back(std::abs(std::log(series[i] / series[i - 1])));
    return median(distances) / 0.6745 / std::sqrt(2.0);
}

std::vector<double> thinned(std::span<const double> values) {
    std::vector<double> some;
    const size_t step = (values.size() + most_compared - 1) / most_compared;
    for (size_t i = 0; i < values.size(); i += std::max<size_t>(1, step)) some.push_back(values[i]);
    return some;
}

std::string change_of(const std::vector<double>& series, const char* name) {
    const std::span<const double> all(series);
    const size_t half = all.size() / 2;
    const RatioInterval ratio = compare_times(thinned(all.first(half)), thinned(all.subspan(half)));
    if (!ratio.excludes_one() || std::abs(ratio.ratio - 1) < least_change) return "";
    const auto percent = [](double r) { return 100 * (r - 1); };
    return fmt::format("the {} of the calibration loop took {:+.1f}% in the second half of the sweep ({:+.1f} to {:+.1f}%)",
                       name, percent(ratio.ratio), percent(ratio.low), percent(ratio.high));
}

}  // namespace

MachineDrift machine_drift(std::span<const Record> records) {
    const std::vector<Beside> all = calibrations_of(records);
    MachineDrift drift;
    drift.calibrations = 2 * all.size();
    if (all.empty()) return drift;
    std::vector<double> worst(all.size(), 0);  // of each run
    for (const auto& [part, name] : parts) {
        std::vector<double> series;
        for (const Beside& one : all) series.insert(series.end(), {one.before.*part, one.after.*part});
        const double noise = noise_of(series), typical = median(series);
        drift.noise = std::max(drift.noise, noise);
        if (const std::string change = change_of(series, name); !change.empty()) drift.changes.push_back(change);
        for (size_t i = 0; i < all.size(); ++i) {
            const double slower = std::max(all[i].before.*part, all[i].after.*part) / typical - 1;
            if (slower > std::max(least_disturbance, 4 * noise)) worst[i] = std::max(worst[i], slower);
        }
    }
    for (size_t i = 0; i < all.size(); ++i)
        if (worst[i] > 0) drift.disturbed.push_back({run_of(*all[i].record), all[i].record->rep, worst[i]});
    return drift;
}

}  // namespace xbench
