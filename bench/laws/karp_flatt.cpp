// Tolerances are those of the header. Units: cores in multiples of the baseline's, standard errors relative to the speed-up.
#include "bench/laws/karp_flatt.h"

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

constexpr double share_called_constant = 0.15, smallest_fraction = 0.002;

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

const char* meaning_of(Trend trend) {
    switch (trend) {
        case Trend::constant: return "constant: a fixed serial part explains the loss";
        case Trend::rising: return "rising: overhead that grows with the cores, not a fixed serial part";
        case Trend::falling: return "falling: a loss that is paid once, or a baseline that is too slow";
        case Trend::none: break;
    }
    return "no verdict: below zero or without an order, so noise or caches speak louder than a serial part";
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

}  // namespace xbench
