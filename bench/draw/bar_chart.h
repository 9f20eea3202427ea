// Horizontal bars, each in parts (train, val, test), as an SVG of the same kind as line_chart.h's.
#pragma once

#include <string>
#include <vector>

namespace xbench {

struct BarChart {
    std::string title;
    std::vector<std::string> parts;  // in the legend; of one part there is none
    struct Bar {
        std::string name;
        std::vector<double> values;  // a part, at least 0
        std::string label;           // behind the bar
    };
    std::vector<Bar> bars;
};

std::string bar_chart_svg(const BarChart& chart, int width = 560);

}  // namespace xbench
