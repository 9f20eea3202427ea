// Tolerances are those of the header. Chi-squared's bound at 5% is Wilson and Hilferty's, within 1% of the tables from one
// degree of freedom on. Units: cores in multiples of the baseline's, standard errors relative to the speed-up.
#include "bench/sweep/scaling_rules.h"

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

constexpr double share_called_constant = 0.15, smallest_fraction = 0.002;
constexpr double largest_error = 0.10;
constexpr size_t least_core_counts = 3;

// A fraction with the distance within which another one is called the same.
struct Fraction {
    double value, tolerance;
};

std::vector<Fraction> fractions_of(const std::vector<ScalingPoint>& curve) {
    std::vector<Fraction> fractions;
    double sum = 0;
    for (const ScalingPoint& p : curve) {
        const auto value = karp_flatt(p.speedup, p.processors);
        if (!value) continue;
        // d(1/S) of a relative error of S, over the same denominator as the fraction.
        const double error = p.standard_error / p.speedup / (1 - 1 / p.processors);
        fractions.push_back({*value, 2 * error});
        sum += std::abs(*value);
    }
    if (fractions.empty()) return fractions;
    const double slack = std::max(smallest_fraction, share_called_constant * sum / static_cast<double>(fractions.size()));
    for (Fraction& fraction : fractions) fraction.tolerance += slack;
    return fractions;
}

bool one_number_fits_all(const std::vector<Fraction>& fractions) {
    double low = -INFINITY, high = INFINITY;
    for (const Fraction& f : fractions) {
        low = std::max(low, f.value - f.tolerance);
        high = std::min(high, f.value + f.tolerance);
    }
    return low <= high;
}

// Whether `sign` times the fractions never goes down by more than the tolerance, and ends higher than it began.
bool goes(const std::vector<Fraction>& fractions, double sign) {
    for (size_t i = 1; i < fractions.size(); ++i) {
        const double step = sign * (fractions[i].value - fractions[i - 1].value);
        if (step < -std::max(fractions[i].tolerance, fractions[i - 1].tolerance)) return false;
    }
    const Fraction &first = fractions.front(), &last = fractions.back();
    return sign * (last.value - first.value) > std::max(first.tolerance, last.tolerance);
}

double chi_squared_bound(double degrees) {
    const double shrink = 2 / (9 * degrees);
    return degrees * std::pow(1 - shrink + 1.6449 * std::sqrt(shrink), 3);
}

}  // namespace

double relative_cores(int cores, int baseline_cores) { return static_cast<double>(cores) / baseline_cores; }

std::vector<ScalingPoint> curve_of(std::vector<ScalingPoint> points) {
    std::sort(points.begin(), points.end(), [](const ScalingPoint& a, const ScalingPoint& b) {
        return a.processors != b.processors ? a.processors < b.processors : a.speedup > b.speedup;
    });
    const auto same = [](const ScalingPoint& a, const ScalingPoint& b) { return a.processors == b.processors; };
    points.erase(std::unique(points.begin(), points.end(), same), points.end());
    return points;
}

const char* name_of(Trend trend) {
    constexpr const char* names[] = {"none", "constant", "rising", "falling"};
    return names[static_cast<int>(trend)];
}

Trend karp_flatt_trend(const std::vector<ScalingPoint>& curve) {
    const std::vector<Fraction> fractions = fractions_of(curve);
    if (fractions.size() < 2) return Trend::none;
    for (const Fraction& f : fractions)
        if (f.value < -f.tolerance) return Trend::none;
    if (one_number_fits_all(fractions)) return Trend::constant;
    if (goes(fractions, 1)) return Trend::rising;
    return goes(fractions, -1) ? Trend::falling : Trend::none;
}

bool contradicts(const std::vector<ScalingPoint>& curve, const ScalingFit& fit, Law law, int parameters) {
    double chi_squared = 0;
    int points = 0;
    bool errors_known = true;
    for (const ScalingPoint& p : curve) {
        if (p.processors <= 1) continue;
        const double error = (law(fit, p.processors) - p.speedup) / p.speedup;
        if (std::abs(error) > largest_error) return true;
        errors_known = errors_known && p.standard_error > 0;
        if (errors_known) chi_squared += error * error / (p.standard_error * p.standard_error);
        ++points;
    }
    if (!errors_known || points <= parameters) return false;
    return chi_squared > chi_squared_bound(points - parameters);
}

std::optional<double> furthest_prediction(const std::vector<ScalingPoint>& curve, bool rejected) {
    const auto parallel = std::count_if(curve.begin(), curve.end(), [](const ScalingPoint& p) { return p.processors > 1; });
    if (rejected || parallel < static_cast<std::ptrdiff_t>(least_core_counts)) return std::nullopt;
    return 2 * curve.back().processors;
}

}  // namespace xbench
