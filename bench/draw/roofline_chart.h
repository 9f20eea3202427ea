// A roofline: arithmetic rate against operational intensity, both axes logarithmic, under the roofs of the machine.
// Williams, Waterman, Patterson: Roofline, CACM 2009. An SVG of the same kind as line_chart.h's.
#pragma once

#include <string>
#include <vector>

namespace xbench {

struct RooflineChart {
    std::string title;
    double peak_gflops = 0;  // the flat roof; 0: none
    struct Slope {
        std::string name;  // "copy from memory"
        double gbytes_per_second = 0;
    };
    std::vector<Slope> slopes;
    struct Point {
        std::string group;  // of one colour and mark: the operator
        double flops_per_byte = 0, gflops = 0;
        std::string tooltip;
    };
    std::vector<Point> points;  // those of 0 or less have no place on such axes and are left out
};

// Width and height in CSS pixels. "" where no point has a place.
std::string roofline_svg(const RooflineChart& chart, int width = 760, int height = 460);

}  // namespace xbench
