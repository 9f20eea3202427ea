// PELT on logarithms of step times. Prefix sums give the cost of a segment in constant time.
#include "bench/base/change_points.h"

#include <algorithm>
#include <cmath>

#include "bench/base/measure.h"

namespace xbench {
namespace {

constexpr double same_level = 0.01;
constexpr size_t most_values = 2000;  // a series without a change costs PELT the square of its length

class SquaredError {
public:
    explicit SquaredError(std::span<const double> values) : sums_(values.size() + 1), squares_(values.size() + 1) {
        const double shift = values.empty() ? 0 : values[0];  // against cancellation
        for (size_t i = 0; i < values.size(); ++i) {
            sums_[i + 1] = sums_[i] + values[i] - shift;
            squares_[i + 1] = squares_[i] + (values[i] - shift) * (values[i] - shift);
        }
    }
    double operator()(size_t begin, size_t end) const {
        const double sum = sums_[end] - sums_[begin];
        return squares_[end] - squares_[begin] - sum * sum / static_cast<double>(end - begin);
    }

private:
    std::vector<double> sums_, squares_;
};

std::vector<double> without_spikes(std::span<const int64_t> samples) {
    constexpr size_t half = 7;
    std::vector<double> logs, cut;
    for (const int64_t ns : samples) logs.push_back(std::log(static_cast<double>(std::max<int64_t>(ns, 1))));
    for (size_t i = 0; i < logs.size(); ++i) {
        const size_t begin = i < half ? 0 : i - half, end = std::min(logs.size(), i + half + 1);
        const std::vector<double> window(logs.begin() + static_cast<std::ptrdiff_t>(begin),
                                         logs.begin() + static_cast<std::ptrdiff_t>(end));
        const double middle = median(window);
        std::vector<double> distances;
        for (const double value : window) distances.push_back(std::abs(value - middle));
        const double reach = 3 * 1.4826 * median(distances);
        cut.push_back(std::clamp(logs[i], middle - reach, middle + reach));
    }
    return cut;
}

// The variance that a mean has, times the number of its values: with autocorrelation more than that of single values. From
// differences of neighbouring blocks, which a change of level disturbs only where it lies.
double long_run_variance(const std::vector<double>& values, size_t block) {
    std::vector<double> means, squares;
    for (size_t at = 0; at + block <= values.size(); at += block) {
        double mean = 0;
        for (size_t i = at; i < at + block; ++i) mean += values[i] / static_cast<double>(block);
        means.push_back(mean);
    }
    for (size_t i = 1; i < means.size(); ++i) squares.push_back((means[i] - means[i - 1]) * (means[i] - means[i - 1]));
    // The median of a squared normal difference is 0.4549 of its mean, which is twice the variance of one.
    return squares.empty() ? 0 : median(squares) / 0.4549 / 2 * static_cast<double>(block);
}

std::vector<double> block_means(const std::vector<double>& values, size_t block) {
    std::vector<double> means;
    for (size_t at = 0; at < values.size(); at += block) {
        const size_t end = std::min(values.size(), at + block);
        double sum = 0;
        for (size_t i = at; i < end; ++i) sum += values[i];
        means.push_back(sum / static_cast<double>(end - at));
    }
    return means;
}

// Of blocks of so many steps that a long series is a short one.
std::vector<size_t> change_points_of(const std::vector<double>& logs) {
    const size_t block = (logs.size() + most_values - 1) / most_values;
    const std::vector<double> means = block > 1 ? block_means(logs, block) : logs;
    const size_t n = means.size(), least = std::max<size_t>(10, n / 50);
    const double variance = std::max({long_run_variance(means, 10), long_run_variance(means, 1), 1e-10});
    std::vector<size_t> changes = pelt(means, 3 * std::log(static_cast<double>(std::max<size_t>(n, 2))) * variance, least);
    for (size_t& change : changes) change *= std::max<size_t>(block, 1);
    return changes;
}

std::vector<Segment> segments_of(std::span<const int64_t> samples, const std::vector<size_t>& changes) {
    std::vector<size_t> bounds{0};
    bounds.insert(bounds.end(), changes.begin(), changes.end());
    bounds.push_back(samples.size());
    std::vector<Segment> segments;
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
        const auto level = [&](size_t begin, size_t end) {
            return median(std::vector<double>(samples.begin() + static_cast<std::ptrdiff_t>(begin),
                                              samples.begin() + static_cast<std::ptrdiff_t>(end)));
        };
        const Segment next{bounds[i], bounds[i + 1], level(bounds[i], bounds[i + 1])};
        if (!segments.empty() && std::abs(next.level / segments.back().level - 1) < same_level)
            segments.back() = {segments.back().begin, next.end, level(segments.back().begin, next.end)};
        else
            segments.push_back(next);
    }
    return segments;
}

}  // namespace

std::vector<size_t> pelt(std::span<const double> values, double penalty, size_t least_length) {
    const size_t n = values.size(), least = std::max<size_t>(least_length, 1);
    if (n < 2 * least) return {};
    const SquaredError cost(values);
    std::vector<double> best(n + 1, INFINITY);
    std::vector<size_t> previous(n + 1, 0), candidates;
    best[0] = -penalty;
    for (size_t end = least; end <= n; ++end) {
        const size_t last = end - least;  // where the segment that ends here begins at the latest
        candidates.push_back(last);
        // Whoever is beaten at `last` without paying for a change is beaten at every end from here on.
        std::erase_if(candidates, [&](size_t begin) {
            return begin < last && std::isfinite(best[last]) && best[begin] + cost(begin, last) > best[last];
        });
        for (const size_t begin : candidates) {
            const double total = best[begin] + cost(begin, end) + penalty;
            if (total < best[end]) best[end] = total, previous[end] = begin;
        }
    }
    std::vector<size_t> changes;
    for (size_t at = previous[n]; at > 0; at = previous[at]) changes.push_back(at);
    std::reverse(changes.begin(), changes.end());
    return changes;
}

const char* name_of(Warmup warmup) {
    constexpr const char* names[] = {"flat", "warm-up", "slowdown", "no steady state", "inconsistent"};
    return names[static_cast<int>(warmup)];
}

WarmupReport classify_warmup(std::span<const int64_t> samples_ns) {
    WarmupReport report;
    const size_t n = samples_ns.size(), least = std::max<size_t>(10, n / 50);
    report.segments = segments_of(samples_ns, change_points_of(without_spikes(samples_ns)));
    const Segment& last = report.segments.back();
    double fastest = last.level;
    for (const Segment& segment : report.segments) fastest = std::min(fastest, segment.level);
    report.steady_from = last.begin;
    if (report.segments.size() == 1) return report;
    if (n - last.begin < std::max(least, n / 10)) {
        report.warmup = Warmup::no_steady_state;
        report.steady_from = n;
    } else {
        report.warmup = last.level > fastest * (1 + same_level) ? Warmup::slowdown : Warmup::warm_up;
    }
    return report;
}

Warmup warmup_of_all(const std::vector<Warmup>& processes) {
    if (processes.empty()) return Warmup::flat;
    const bool same = std::all_of(processes.begin(), processes.end(), [&](Warmup w) { return w == processes.front(); });
    return same ? processes.front() : Warmup::inconsistent;
}

}  // namespace xbench
