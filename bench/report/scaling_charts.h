// Speed-up, efficiency, step time, accuracy and loss over cores, as SVG.
#pragma once

#include <string>

#include "bench/sweep/scaling_table.h"

namespace xbench {

// In CSS pixels: two side by side on a screen, and still readable on a telephone.
inline constexpr int report_chart_width = 480, report_chart_height = 340;

// "" where there is nothing to draw: no row with a speed-up, no accuracy.
std::string speedup_svg(const ScalingTable& table);
std::string efficiency_svg(const ScalingTable& table);
std::string step_svg(const ScalingTable& table);      // where a step's time goes: in all, and waiting for communication
std::string accuracy_svg(const ScalingTable& table);  // with what so many test images can tell apart
std::string loss_svg(const ScalingTable& table);

}  // namespace xbench
