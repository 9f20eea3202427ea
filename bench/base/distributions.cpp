// The incomplete beta function by Lentz's continued fraction (Press et al., Numerical Recipes, 6.4); the others follow from
// it.
#include "bench/base/distributions.h"

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

double beta_fraction(double a, double b, double x) {
    constexpr double tiny = 1e-300;
    const auto guarded = [](double v) { return std::abs(v) < tiny ? tiny : v; };
    double c = 1, d = 1 / guarded(1 - (a + b) * x / (a + 1)), h = d;
    for (int m = 1; m <= 500; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / guarded(1 + even * d);
        c = guarded(1 + even / c);
        h *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / guarded(1 + odd * d);
        c = guarded(1 + odd / c);
        h *= d * c;
        if (std::abs(d * c - 1) < 1e-15) break;
    }
    return h;
}

// The point at which a rising function reaches `wanted`.
template <class Function>
double inverse(Function f, double wanted, double low, double high) {
    for (int i = 0; i < 200; ++i) {
        const double middle = (low + high) / 2;
        (f(middle) < wanted ? low : high) = middle;
    }
    return (low + high) / 2;
}

}  // namespace

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

double incomplete_beta(double a, double b, double x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front =
        std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double f_tail(double f, double above, double below) {
    constexpr double many = 1e6;
    if (f <= 0) return 1;
    below = std::min(below, many);
    return incomplete_beta(below / 2, above / 2, below / (below + above * f));
}

double t_two_sided(double t, double degrees) { return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)); }

double t_quantile(double probability, double degrees) {
    const auto cdf = [&](double t) { return t < 0 ? t_two_sided(t, degrees) / 2 : 1 - t_two_sided(t, degrees) / 2; };
    return inverse(cdf, probability, -1e4, 1e4);
}

double binomial_cdf(int successes, int trials, double probability) {
    if (successes < 0) return 0;
    if (successes >= trials) return 1;
    return incomplete_beta(trials - successes, successes + 1, 1 - probability);
}

std::pair<double, double> wilson_interval(double share, double count) {
    if (count < 1) return {share, share};
    constexpr double z = 1.959963985;
    const double z2 = z * z / count, middle = (share + z2 / 2) / (1 + z2),
                 half = z / (1 + z2) * std::sqrt(share * (1 - share) / count + z2 / count / 4);
    return {middle - half, middle + half};
}

}  // namespace xbench
