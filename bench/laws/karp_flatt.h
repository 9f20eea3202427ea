// The rules by which a scaling table may be read, each one function of the points that the records give.
// Cores are counted in multiples of the baseline's: m = ranks x threads / cores of the baseline. A baseline of four threads
// has m = 1, so its efficiency is 1 and it has no Karp-Flatt fraction, as a baseline of one core.
#pragma once

#include <vector>

#include "bench/laws/laws.h"

namespace xbench {

struct ScalingPoint {
    double processors = 1, speedup = 1;
    double standard_error = 0;  // of the speed-up, relative to it; 0: not known
};

double relative_cores(int cores, int baseline_cores);

// One point for each number of cores, in rising order. Rows of the same number of cores are alternatives and no curve: the
// fastest of them is what that many cores can do.
std::vector<ScalingPoint> curve_of(std::vector<ScalingPoint> points);

// What Karp-Flatt's fraction does over a curve.
enum class Trend { none, constant, rising, falling };
const char* name_of(Trend trend);
const char* meaning_of(Trend trend);  // "rising: overhead that grows with the cores, not a fixed serial part"

// constant: one number lies within 15% (and twice the standard error) of all fractions. rising, falling: the last differs
// from the first, and no step goes the other way, by more than that. none: fewer than two numbers of cores, a fraction below
// zero (faster than linear: there is no serial part to speak of), or no order.
Trend karp_flatt_trend(const std::vector<ScalingPoint>& curve);

}  // namespace xbench
