// The arithmetic of the factors: ten times of one step, from the ideal one to the one that was measured, whose neighbours'
// ratios are the nine factors. Milliseconds.
#pragma once

#include <array>
#include <span>

#include "bench/efficiency/factors.h"

namespace xbench {

// Per step of the row, on P ranks of t threads (N = P t): T_S / N, T_g / t, T_t, T_c, U_m, U_x, U_s, T_0, T_1, T_N
// (docs/factors.md).
inline constexpr size_t level_count = factor_names.size() + 1;
using Levels = std::array<double, level_count>;

// A level is the median over the repetitions, of its inverse as rates are: so the efficiency is that of the medians of
// images/s. Intervals by a bootstrap of whole repetitions, so that what a repetition's machine did to all of its runs
// cancels. Fills all but row, why_not and what counters say. `repetitions` is not empty and holds positive numbers.
RowEfficiency split_efficiency(std::span<const Levels> repetitions);

}  // namespace xbench
