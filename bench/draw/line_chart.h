// A line chart as an SVG that needs nothing else: the system's fonts, light and dark by the viewer's choice, colours that
// the colour-blind tell apart (Okabe and Ito), and dashes besides. The same input gives the same bytes.
#pragma once

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace xbench {

struct ChartLine {
    std::string name;                               // in the legend; "": none
    std::vector<std::pair<double, double>> points;  // a point that is not finite breaks the line
    bool dashed = false, marked = false;            // marked: a dot at each point
    bool muted = false;                             // gray: a reference, as the diagonal of a ROC diagram
    std::vector<std::pair<double, double>> band{};  // low and high at each point, filled; empty: none
};

struct LineChart {
    std::string title, x_label, y_label;
    std::vector<ChartLine> lines;
    // NaN: as far as the points reach, to round numbers.
    double x_low = std::numeric_limits<double>::quiet_NaN(), x_high = std::numeric_limits<double>::quiet_NaN();
    double y_low = std::numeric_limits<double>::quiet_NaN(), y_high = std::numeric_limits<double>::quiet_NaN();
    double hatched_from = std::numeric_limits<double>::infinity();  // x beyond which nothing was measured
    bool whole_x = false;  // x counts something: no number stands between two whole ones
};

// Width and height in CSS pixels. Throws Error where no point is finite.
std::string line_chart_svg(const LineChart& chart, int width = 560, int height = 360);
// One below the other.
std::string stacked_charts_svg(const std::vector<LineChart>& charts, int width = 560, int height = 360);

// Round numbers from `low` to `high` or a little inside, about `wanted` of them: 1, 2 or 5 times a power of ten apart, and
// at least `least_step`.
std::vector<double> round_ticks(double low, double high, int wanted, double least_step = 0);

std::string escaped_markup(const std::string& text);  // & < > " as entities

}  // namespace xbench
