// Timing and order statistics.
#include "bench/base/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "bench/base/distributions.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

// The largest r for which the r-th smallest and r-th largest of n values enclose the median with at least 95%:
// P(fewer than r of n fair coins are heads) <= 2.5%. Each of the n values lies below the median with probability 1/2.
size_t rank_of_95_percent(size_t n) {
    double probability = std::exp2(-static_cast<double>(n)), below = probability;  // P(0 heads)
    size_t rank = 0;
    while (below <= 0.025 && rank < n / 2) {
        ++rank;
        probability *= static_cast<double>(n - rank + 1) / static_cast<double>(rank);
        below += probability;
    }
    return rank;  // 0: too few values
}

}  // namespace

double level_of_order_statistics(size_t n, size_t r) {
    return 1 - 2 * binomial_cdf(static_cast<int>(r) - 1, static_cast<int>(n), 0.5);
}

std::string interval_name(const Interval& interval) {
    return interval.level > 0 ? fmt::format("{:.1f}% interval", 100 * interval.level) : "min - max";
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Interval interval_of(std::vector<double> values) {
    Interval interval;
    if (values.empty()) return interval;
    interval.median = median(values);
    std::sort(values.begin(), values.end());
    const size_t rank = values.size() <= 1000 ? rank_of_95_percent(values.size()) : values.size() / 2;
    interval.kind = rank > 0 ? "95%" : "range";
    size_t low = rank > 0 ? rank - 1 : 0;
    if (values.size() > 1000)  // the normal approximation, where 2^-n is no double any more
        low = static_cast<size_t>(static_cast<double>(values.size()) / 2 -
                                  0.98 * std::sqrt(static_cast<double>(values.size())) - 1);
    if (rank > 0) interval.level = level_of_order_statistics(values.size(), low + 1);
    interval.low = values[low];
    interval.high = values[values.size() - 1 - low];
    return interval;
}

bool is_steady(std::span<const int64_t> samples_ns, double tolerance) {
    const size_t quarter = samples_ns.size() / 4;
    if (quarter == 0) return true;
    const std::vector<double> first(samples_ns.begin(), samples_ns.begin() + static_cast<std::ptrdiff_t>(quarter));
    const std::vector<double> last(samples_ns.end() - static_cast<std::ptrdiff_t>(quarter), samples_ns.end());
    const double before = median(first), after = median(last);
    return std::abs(after - before) <= tolerance * std::max(before, after);
}

std::vector<int64_t> measure(const std::function<void()>& work, const MeasureOptions& options) {
    const auto seconds_since = [](Clock::time_point start) {
        return std::chrono::duration<double>(Clock::now() - start).count();
    };
    const auto warm_start = Clock::now();
    for (int call = 0; call < options.warmup_calls || seconds_since(warm_start) < options.warmup_seconds; ++call) work();
    std::vector<int64_t> samples;
    samples.reserve(static_cast<size_t>(std::min(options.most_calls, 4096)));
    const auto start = Clock::now();
    const auto most = static_cast<size_t>(options.most_calls), least = static_cast<size_t>(options.least_calls);
    while (samples.size() < most && (samples.size() < least || seconds_since(start) < options.seconds)) {
        const auto before = Clock::now();
        work();
        samples.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - before).count());
    }
    return samples;
}

}  // namespace xbench
