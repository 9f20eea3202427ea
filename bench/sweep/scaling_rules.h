// The rules by which a scaling table may be read, each one function of the points that the records give.
// Cores are counted in multiples of the baseline's: m = ranks x threads / cores of the baseline. A baseline of four threads
// has m = 1, so its efficiency is 1 and it has no Karp-Flatt fraction, as a baseline of one core.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/sweep/scaling_model.h"

namespace xbench {

double relative_cores(int cores, int baseline_cores);

// One point for each number of cores, in rising order. Rows of the same number of cores are alternatives and no curve: the
// fastest of them is what that many cores can do.
std::vector<ScalingPoint> curve_of(std::vector<ScalingPoint> points);

// What Karp-Flatt's fraction does over a curve.
enum class Trend { none, constant, rising, falling };
const char* name_of(Trend trend);

// constant: one number lies within 15% (and twice the standard error) of all fractions. rising, falling: the last differs
// from the first, and no step goes the other way, by more than that. none: fewer than two numbers of cores, a fraction below
// zero (faster than linear: there is no serial part to speak of), or no order.
Trend karp_flatt_trend(const std::vector<ScalingPoint>& curve);

// Whether the points contradict the fitted law: by more than 10% at one of them, or by chi-squared at 5% where the repeats
// give standard errors. `parameters` are those of the law.
using Law = double (*)(const ScalingFit& fit, double cores);
bool contradicts(const std::vector<ScalingPoint>& curve, const ScalingFit& fit, Law law, int parameters);

// The largest number of cores for which a fit may be asked: none with fewer than three numbers of cores, or when the fit is
// rejected; else twice the largest that was measured.
std::optional<double> furthest_prediction(const std::vector<ScalingPoint>& curve, bool rejected);

}  // namespace xbench
