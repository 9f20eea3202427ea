// The models and their fits. All of them are linear in their parameters after a change of variable, so no iteration.
#include "bench/sweep/scaling_model.h"

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

template <class Predict>
double worst_error(const std::vector<ScalingPoint>& points, Predict predict) {
    double worst = 0;
    for (const ScalingPoint& p : points) worst = std::max(worst, std::abs(predict(p.processors) - p.speedup) / p.speedup);
    return worst;
}

std::vector<ScalingPoint> parallel_points(const std::vector<ScalingPoint>& points) {
    std::vector<ScalingPoint> usable;
    for (const ScalingPoint& p : points)
        if (p.processors > 1 && p.speedup > 0) usable.push_back(p);
    return usable;
}

// The slope of y = f x through the origin by least squares, kept in [0, 1].
template <class X, class Y>
double slope(const std::vector<ScalingPoint>& points, X x, Y y) {
    double xx = 0, xy = 0;
    for (const ScalingPoint& p : points) {
        xx += x(p) * x(p);
        xy += x(p) * y(p);
    }
    return std::clamp(xy / xx, 0.0, 1.0);
}

}  // namespace

double speedup(double serial_seconds, double parallel_seconds) { return serial_seconds / parallel_seconds; }

double efficiency(double speedup, double processors) { return speedup / processors; }

std::optional<double> karp_flatt(double speedup, double processors) {
    if (processors <= 1 || speedup <= 0) return std::nullopt;
    return (1 / speedup - 1 / processors) / (1 - 1 / processors);
}

double amdahl_speedup(double serial_fraction, double processors) {
    return 1 / (serial_fraction + (1 - serial_fraction) / processors);
}

double gustafson_speedup(double serial_fraction, double processors) {
    return processors - serial_fraction * (processors - 1);
}

double usl_speedup(double contention, double coherency, double processors) {
    return processors / (1 + contention * (processors - 1) + coherency * processors * (processors - 1));
}

std::optional<ScalingFit> fit_amdahl(const std::vector<ScalingPoint>& points) {
    const std::vector<ScalingPoint> usable = parallel_points(points);
    if (usable.empty()) return std::nullopt;
    ScalingFit fit;
    fit.points = static_cast<int>(usable.size());
    fit.serial_fraction = slope(
        usable, [](const ScalingPoint& p) { return 1 - 1 / p.processors; },
        [](const ScalingPoint& p) { return 1 / p.speedup - 1 / p.processors; });
    fit.worst_relative_error = worst_error(usable, [&](double n) { return amdahl_speedup(fit.serial_fraction, n); });
    return fit;
}

std::optional<ScalingFit> fit_gustafson(const std::vector<ScalingPoint>& points) {
    const std::vector<ScalingPoint> usable = parallel_points(points);
    if (usable.empty()) return std::nullopt;
    ScalingFit fit;
    fit.points = static_cast<int>(usable.size());
    fit.serial_fraction = slope(
        usable, [](const ScalingPoint& p) { return p.processors - 1; },
        [](const ScalingPoint& p) { return p.processors - p.speedup; });
    fit.worst_relative_error = worst_error(usable, [&](double n) { return gustafson_speedup(fit.serial_fraction, n); });
    return fit;
}

std::optional<ScalingFit> fit_usl(const std::vector<ScalingPoint>& points) {
    const std::vector<ScalingPoint> usable = parallel_points(points);
    if (usable.size() < 3) return std::nullopt;
    double aa = 0, ab = 0, bb = 0, ay = 0, by = 0;  // the normal equations of y = a u + b v
    for (const ScalingPoint& p : usable) {
        const double u = p.processors - 1, v = p.processors * (p.processors - 1), y = p.processors / p.speedup - 1;
        aa += u * u, ab += u * v, bb += v * v, ay += u * y, by += v * y;
    }
    const double determinant = aa * bb - ab * ab;
    if (determinant <= 1e-12 * aa * bb) return std::nullopt;  // all points at one N
    ScalingFit fit;
    fit.points = static_cast<int>(usable.size());
    fit.serial_fraction = (ay * bb - by * ab) / determinant;
    fit.coherency = (by * aa - ay * ab) / determinant;
    if (fit.serial_fraction < 0 || fit.coherency < 0) {  // the better of the two edges of the allowed quadrant
        const double a = std::max(0.0, ay / aa), b = std::max(0.0, by / bb);
        const bool keep_a = aa * a * a - 2 * a * ay <= bb * b * b - 2 * b * by;
        fit.serial_fraction = keep_a ? a : 0;
        fit.coherency = keep_a ? 0 : b;
    }
    fit.worst_relative_error =
        worst_error(usable, [&](double n) { return usl_speedup(fit.serial_fraction, fit.coherency, n); });
    return fit;
}

}  // namespace xbench
