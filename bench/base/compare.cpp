// Mann-Whitney's distribution by counting, intervals from it, and trials with it.
#include "bench/base/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bench/base/distributions.h"
#include "core/rng.h"

namespace xbench {
namespace {

constexpr int most_counted = 60;

// Of how many orders of n and m values U is u, for all u: the coefficients of the Gaussian binomial.
std::vector<double> orders_by_u(int n, int m) {
    std::vector<double> counts(static_cast<size_t>(n * m) + 1, 0.0);
    counts[0] = 1;
    for (int i = 1; i <= n; ++i) {  // times (1 - q^(m+i)) / (1 - q^i)
        for (int u = n * m; u >= m + i; --u) counts[static_cast<size_t>(u)] -= counts[static_cast<size_t>(u - m - i)];
        for (int u = i; u <= n * m; ++u) counts[static_cast<size_t>(u)] += counts[static_cast<size_t>(u - i)];
    }
    return counts;
}

double normal_u_cdf(double u, int n, int m) {
    const double mean = 0.5 * n * m, deviation = std::sqrt(mean * (n + m + 1) / 6);
    return normal_cdf((u + 0.5 - mean) / deviation);
}

// The largest u with P(U <= u) at most `tail`; -1: none.
int critical_u(int n, int m, double tail) {
    int u = -1;
    if (n + m <= most_counted) {
        const std::vector<double> counts = orders_by_u(n, m);
        const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
        for (double below = 0; u < n * m; ++u)
            if ((below += counts[static_cast<size_t>(u + 1)]) > tail * all) break;
        return u;
    }
    for (int high = n * m; high - u > 1;) {  // u keeps to the tail, high does not
        const int middle = u + (high - u) / 2;
        (normal_u_cdf(middle, n, m) <= tail ? u : high) = middle;
    }
    return u;
}

std::vector<double> logarithms(std::span<const double> values) {
    std::vector<double> logs;
    for (const double value : values) logs.push_back(std::log(value));
    return logs;
}

// Of all pairs.
std::vector<double> log_ratios(std::span<const double> a, std::span<const double> b) {
    const std::vector<double> below = logarithms(a), above = logarithms(b);
    std::vector<double> ratios;
    ratios.reserve(a.size() * b.size());
    for (const double x : below)
        for (const double y : above) ratios.push_back(y - x);
    return ratios;
}

// The value that would stand at `place` if they were sorted.
double value_at(std::vector<double>& values, size_t place) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place), values.end());
    return values[place];
}

double middle_of(std::vector<double>& values) {
    const size_t half = values.size() / 2;
    const double upper = value_at(values, half);
    return values.size() % 2 == 1 ? upper : (upper + value_at(values, half - 1)) / 2;
}

// Of normal values; Mann-Whitney has 3/pi of the efficiency of the t test.
double power_of_many(int repeats, double noise, double change) {
    const double shift = std::log1p(change) / (noise * std::sqrt(2 * 3.14159265358979 / 3 / repeats));
    return normal_cdf(shift - 1.95996) + normal_cdf(-shift - 1.95996);
}

}  // namespace

double median_variance_factor(size_t n) {
    constexpr double many = 1.5707963267948966;
    if (n <= 2) return 1;
    if (n == 4) return 1.192;
    return many - (n % 2 == 1 ? 0.685 : 1.8) / static_cast<double>(n);
}

double median_variance(size_t n) { return median_variance_factor(n) / static_cast<double>(std::max<size_t>(n, 1)); }

double mann_whitney_cdf(int u, int n, int m) {
    if (u < 0) return 0;
    if (u >= n * m) return 1;
    if (n + m > most_counted) return normal_u_cdf(u, n, m);
    const std::vector<double> counts = orders_by_u(n, m);
    const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
    return std::accumulate(counts.begin(), counts.begin() + u + 1, 0.0) / all;
}

double mann_whitney_p(std::span<const double> a, std::span<const double> b) {
    if (a.empty() || b.empty()) return 1;
    double u = 0;
    for (const double x : a)
        for (const double y : b) u += x < y ? 1 : x == y ? 0.5 : 0;
    const auto n = static_cast<int>(a.size()), m = static_cast<int>(b.size());
    const double smaller = std::min(u, static_cast<double>(n) * m - u);
    return std::min(1.0, 2 * mann_whitney_cdf(static_cast<int>(std::ceil(smaller)), n, m));
}

RatioInterval compare_times(std::span<const double> a, std::span<const double> b, double confidence) {
    RatioInterval result;
    if (a.empty() || b.empty()) return result;
    std::vector<double> ratios = log_ratios(a, b);
    const auto n = static_cast<int>(a.size()), m = static_cast<int>(b.size());
    const int u = critical_u(n, m, (1 - confidence) / 2);
    // From the (u+2)th smallest to the (u+2)th largest: a shift beyond them leaves U at u or less, which is rejected.
    const size_t skipped = u < 0 ? 0 : static_cast<size_t>(u) + 1;
    result.ratio = std::exp(middle_of(ratios));
    result.low = std::exp(value_at(ratios, skipped));
    result.high = std::exp(value_at(ratios, ratios.size() - 1 - skipped));
    if (u >= 0) result.level = 1 - 2 * mann_whitney_cdf(u, n, m);
    result.p = mann_whitney_p(a, b);
    return result;
}

std::vector<double> holm(const std::vector<double>& p_values) {
    std::vector<size_t> order(p_values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
    std::vector<double> adjusted(p_values.size());
    double largest = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        largest = std::max(largest, std::min(1.0, p_values[order[i]] * static_cast<double>(order.size() - i)));
        adjusted[order[i]] = largest;
    }
    return adjusted;
}

double power_of(int repeats, double noise, double change) {
    if (repeats < 1) return 0;
    if (noise <= 0) return repeats < 4 ? 0 : 1;
    if (repeats > most_counted / 2) return power_of_many(repeats, noise, change);
    constexpr int trials = 4000;
    Random random(1, RandomUse::bootstrap, static_cast<uint32_t>(repeats));
    const int n = repeats, u = critical_u(n, n, 0.025);
    if (u < 0) return 0;
    int found = 0;
    std::vector<double> a(static_cast<size_t>(n)), b(a);
    for (int trial = 0; trial < trials; ++trial) {
        for (double& x : a) x = noise * static_cast<double>(random.normal());
        for (double& y : b) y = std::log1p(change) + noise * static_cast<double>(random.normal());
        int below = 0;
        for (const double x : a)
            for (const double y : b) below += x < y ? 1 : 0;
        found += std::min(below, n * n - below) <= u ? 1 : 0;
    }
    return static_cast<double>(found) / trials;
}

std::string power_statement(int repeats, double noise, double change) {
    return fmt::format("with {} repeats at {:.1f}% noise a {:.0f}% change is found {:.0f} times in 100", repeats,
                       100 * noise, 100 * change, 100 * power_of(repeats, noise, change));
}

}  // namespace xbench
