// A waterfall: what stands at first, what each step adds to it or takes away, and what is there at the end. Horizontal, so
// that names are readable on a telephone; an SVG of the same kind as line_chart.h's.
#pragma once

#include <string>
#include <vector>

namespace xbench {

struct Waterfall {
    std::string title, unit;           // "ms"
    std::string begin_name, end_name;  // "ideal", "step"
    double begin = 0;
    struct Step {
        std::string name;
        double change = 0;  // in the unit; below 0 it takes away
        std::string tooltip;
    };
    std::vector<Step> steps;  // the end is begin plus all of them
};

// Width in CSS pixels. Bars begin at 0 unless all of them would be slivers; then the axis says where it begins.
std::string waterfall_svg(const Waterfall& waterfall, int width = 460);

}  // namespace xbench
