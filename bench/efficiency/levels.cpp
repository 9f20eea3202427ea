// Medians, ratios, and their bootstrap.
#include "bench/efficiency/levels.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "core/rng.h"

namespace xbench {
namespace {

constexpr int resamples = 1000;
constexpr double outside = 0.025;  // of the resamples, on each side of the interval

// Of a list that may be reordered and is not empty.
double median_in_place(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// Of the repetitions at these places; `room` is for as many numbers.
Levels medians(std::span<const Levels> inverses, const std::vector<size_t>& places, std::vector<double>& room) {
    Levels levels;
    for (size_t level = 0; level < level_count; ++level) {
        room.clear();
        for (const size_t place : places) room.push_back(inverses[place][level]);
        levels[level] = 1 / median_in_place(room);
    }
    return levels;
}

// (a - b) / log(a / b): what turns a logarithm's share into a share of a - b.
double logarithmic_mean(double a, double b) {
    const double ratio = std::log(a / b);
    return std::abs(ratio) < 1e-9 ? (a + b) / 2 : (a - b) / ratio;
}

double efficiency_in(const Levels& levels) { return levels.front() / levels.back(); }

struct Bounds {
    std::array<std::vector<double>, level_count> values;  // of each factor, then of the efficiency
    void add(const Levels& levels) {
        for (size_t f = 0; f < factor_names.size(); ++f) values[f].push_back(levels[f] / levels[f + 1]);
        values.back().push_back(efficiency_in(levels));
    }
    std::pair<double, double> of(size_t which) {
        std::vector<double>& sorted = values[which];
        std::sort(sorted.begin(), sorted.end());
        const auto cut = static_cast<size_t>(outside * static_cast<double>(sorted.size()));
        return {sorted[cut], sorted[sorted.size() - 1 - cut]};
    }
};

void add_intervals(std::span<const Levels> inverses, RowEfficiency& row) {
    const auto count = static_cast<uint32_t>(inverses.size());
    if (count < 2) return;
    Random random(1, RandomUse::bootstrap, count);
    std::vector<size_t> places(count);
    std::vector<double> room;
    Bounds bounds;
    for (int i = 0; i < resamples; ++i) {
        for (size_t& place : places) place = random.below(count);
        bounds.add(medians(inverses, places, room));
    }
    for (size_t f = 0; f < row.factors.size(); ++f) {
        const auto [low, high] = bounds.of(f);
        row.factors[f].low = low, row.factors[f].high = high;
    }
    const auto [low, high] = bounds.of(level_count - 1);
    row.low = low, row.high = high;
}

std::vector<PopMetric> pop_metrics(const Levels& levels) {
    const double ideal = levels[0], mean = levels[4], most = levels[5], arrivals = levels[7], job = levels[9];
    return {{"LB", mean / most}, {"CommE", most / job},   {"SerE", most / arrivals}, {"TrfE", arrivals / job},
            {"PE", mean / job},  {"CompS", ideal / mean}, {"GE", ideal / job}};
}

}  // namespace

RowEfficiency split_efficiency(std::span<const Levels> repetitions) {
    std::vector<Levels> inverses(repetitions.begin(), repetitions.end());
    for (Levels& levels : inverses)
        for (double& level : levels) level = 1 / level;
    std::vector<size_t> all(inverses.size());
    std::iota(all.begin(), all.end(), size_t{0});
    std::vector<double> room;
    const Levels levels = medians(inverses, all, room);
    RowEfficiency row;
    row.ideal_ms = levels.front();
    row.step_ms = levels.back();
    row.efficiency = efficiency_in(levels);
    row.repetitions = static_cast<int>(repetitions.size());
    const double mean = logarithmic_mean(row.step_ms, row.ideal_ms);
    for (size_t f = 0; f < factor_names.size(); ++f) {
        const double value = levels[f] / levels[f + 1];
        row.factors.push_back({factor_names[f], value, {}, {}, std::log(1 / value) * mean});
    }
    row.pop = pop_metrics(levels);
    add_intervals(inverses, row);
    return row;
}

}  // namespace xbench
