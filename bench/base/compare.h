// Comparing two sets of repeated times, and what so many repeats can find. No normal distribution is assumed.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace xbench {

// Variance of the median of n normal values, in units of theirs over n: pi/2 of many, less of few.
double median_variance_factor(size_t n);
double median_variance(size_t n);  // median_variance_factor / n

// P(U <= u) of Mann and Whitney's statistic without ties, exact up to 60 values in all and by the normal distribution
// beyond.
double mann_whitney_cdf(int u, int n, int m);
// Two-sided p-value that two sets are of one distribution; ties count half.
double mann_whitney_p(std::span<const double> a, std::span<const double> b);

// How many times as long `b` takes as `a`, by Hodges and Lehmann on logarithms: the median of all ratios, with the interval
// that the Mann-Whitney test does not reject. `level` is what the interval achieves, 95% or more. Fewer than 4 values on
// either side: no such interval exists; then low and high are the extreme ratios, and level is 0.
struct RatioInterval {
    double ratio = 1, low = 1, high = 1, level = 0, p = 1;
    bool excludes_one() const { return level > 0 && (low > 1 || high < 1); }
};
RatioInterval compare_times(std::span<const double> a, std::span<const double> b, double confidence = 0.95);

// Holm's step-down: p-values that hold for all comparisons of a table together, in the same order.
std::vector<double> holm(const std::vector<double>& p_values);

// How often compare_times of n against n repeats finds a change of so much, at a noise (relative standard deviation of one
// repeat) of so much: by 4,000 seeded trials, so to a point; beyond 30 repeats by the normal distribution.
double power_of(int repeats, double noise, double change);
// "with 9 repeats at 3.0% noise a 5% change is found 84 times in 100"
std::string power_statement(int repeats, double noise, double change = 0.05);

}  // namespace xbench
