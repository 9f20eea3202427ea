// Ticks at powers of ten; a mark for each group, so that colour is not all that tells groups apart.
#include "bench/draw/roofline_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
constexpr int left = 64, right = 16, top = 40, bottom = 52, legend_row = 18, least_legend_width = 120;
constexpr size_t marks = 4;

constexpr const char* style =
    "<style>.t{font:12px system-ui,sans-serif;fill:#333}.h{font:600 14px system-ui,sans-serif;fill:#111}"
    ".g{stroke:#ddd}.a{stroke:#555}.r{stroke:#555;stroke-width:2;fill:none}.b{fill:#fff}"
    ".k{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}"
    "@media(prefers-color-scheme:dark){.t{fill:#ccc}.h{fill:#eee}.g{stroke:#3a3a3a}.a{stroke:#999}.r{stroke:#bbb}.b{fill:#"
    "161616}}"
    "</style>\n";

struct LogScale {
    double low = 1, high = 10, from = 0, to = 1;
    double at(double value) const {
        return from + (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low)) * (to - from);
    }
};

bool has_place(const RooflineChart::Point& point) {
    return point.flops_per_byte > 0 && point.gflops > 0 && std::isfinite(point.flops_per_byte) &&
           std::isfinite(point.gflops);
}

// Whole powers of ten around all values.
LogScale around(std::vector<double> values, double from, double to) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    LogScale scale{std::pow(10, std::floor(std::log10(*low))), std::pow(10, std::ceil(std::log10(*high))), from, to};
    if (scale.low == scale.high) scale.high *= 10;
    return scale;
}

std::vector<std::string> groups_of(const RooflineChart& chart) {
    std::vector<std::string> groups;
    for (const RooflineChart::Point& point : chart.points)
        if (has_place(point) && std::find(groups.begin(), groups.end(), point.group) == groups.end())
            groups.push_back(point.group);
    return groups;
}

// Circle, square, triangle, diamond.
std::string mark_of(size_t group, double x, double y) {
    switch ((group / colours.size() + group) % marks) {
        case 0: return fmt::format("M{:.1f} {:.1f}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0", x - 3.5, y);
        case 1: return fmt::format("M{:.1f} {:.1f}h6v6h-6z", x - 3, y - 3);
        case 2: return fmt::format("M{:.1f} {:.1f}l4 7h-8z", x, y - 4);
        default: return fmt::format("M{:.1f} {:.1f}l4 4l-4 4l-4 -4z", x, y - 4);
    }
}

std::string point_svg(size_t group, double x, double y, const std::string& tooltip) {
    const std::string title = tooltip.empty() ? "" : "<title>" + escaped_markup(tooltip) + "</title>";
    return fmt::format("<path fill=\"{}\" fill-opacity=\"0.8\" d=\"{}\">{}</path>\n", colours[group % colours.size()],
                       mark_of(group, x, y), title);
}

std::string axes(const LogScale& x, const LogScale& y) {
    std::string svg;
    for (double tick = y.low; tick <= y.high * 1.001; tick *= 10)
        svg += fmt::format(
            "<line class=\"g\" x1=\"{0:.1f}\" y1=\"{1:.2f}\" x2=\"{2:.1f}\" y2=\"{1:.2f}\"/>\n"
            "<text class=\"t\" x=\"{3:.1f}\" y=\"{4:.2f}\" text-anchor=\"end\">{5:.6g}</text>\n",
            x.from, y.at(tick), x.to, x.from - 8, y.at(tick) + 4, tick);
    for (double tick = x.low; tick <= x.high * 1.001; tick *= 10)
        svg += fmt::format(
            "<line class=\"g\" x1=\"{0:.2f}\" y1=\"{1:.1f}\" x2=\"{0:.2f}\" y2=\"{2:.1f}\"/>\n"
            "<text class=\"t\" x=\"{0:.2f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4:.6g}</text>\n",
            x.at(tick), y.to, y.from, y.from + 18, tick);
    svg += fmt::format("<text class=\"t\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">FLOP for each byte</text>\n",
                       (x.from + x.to) / 2, y.from + 40);
    return svg + fmt::format(
                     "<text class=\"t\" x=\"16\" y=\"{0:.1f}\" text-anchor=\"middle\" "
                     "transform=\"rotate(-90 16 {0:.1f})\">GFLOP/s</text>\n",
                     (y.from + y.to) / 2);
}

// Each slope ends where it meets the flat roof, which begins at the steepest.
std::string roofs(const RooflineChart& chart, const LogScale& x, const LogScale& y) {
    std::string svg;
    double first_knee = x.high;
    for (const RooflineChart::Slope& slope : chart.slopes) {
        if (slope.gbytes_per_second <= 0) continue;
        const double end = chart.peak_gflops > 0 ? std::min(x.high, chart.peak_gflops / slope.gbytes_per_second) : x.high;
        const double begin = std::max(x.low, y.low / slope.gbytes_per_second);
        if (!(begin < end)) continue;
        first_knee = std::min(first_knee, end);
        svg += fmt::format("<path class=\"r\" d=\"M{:.2f} {:.2f}L{:.2f} {:.2f}\"><title>{}: {:.4g} GB/s</title></path>\n",
                           x.at(begin), y.at(begin * slope.gbytes_per_second), x.at(end),
                           y.at(end * slope.gbytes_per_second), escaped_markup(slope.name), slope.gbytes_per_second);
        svg += fmt::format("<text class=\"t k\" x=\"{:.1f}\" y=\"{:.1f}\">{} {:.3g} GB/s</text>\n", x.at(begin) + 6,
                           y.at(begin * slope.gbytes_per_second) - 6, escaped_markup(slope.name), slope.gbytes_per_second);
    }
    if (chart.peak_gflops <= 0) return svg;
    return svg + fmt::format(
                     "<path class=\"r\" d=\"M{:.2f} {:.2f}H{:.2f}\"><title>FMA peak: {:.4g} GFLOP/s</title></path>\n"
                     "<text class=\"t k\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">FMA peak {:.4g} GFLOP/s</text>\n",
                     x.at(first_knee), y.at(chart.peak_gflops), x.to, chart.peak_gflops, x.to - 4,
                     y.at(chart.peak_gflops) - 6, chart.peak_gflops);
}

int legend_width(const std::vector<std::string>& groups) {
    size_t longest = 0;
    for (const std::string& group : groups) longest = std::max(longest, group.size());
    return std::max(least_legend_width, 28 + static_cast<int>(6.5 * static_cast<double>(longest)));
}

std::string legend(const std::vector<std::string>& groups, int columns) {
    std::string svg;
    for (size_t i = 0; i < groups.size(); ++i) {
        const int entry = static_cast<int>(i), x = left + entry % columns * legend_width(groups),
                  y = top + entry / columns * legend_row;
        svg += point_svg(i, x + 4, y - 4, "");
        svg += fmt::format("<text class=\"t\" x=\"{}\" y=\"{}\">{}</text>\n", x + 14, y, escaped_markup(groups[i]));
    }
    return svg;
}

}  // namespace

std::string roofline_svg(const RooflineChart& chart, int width, int height) {
    const std::vector<std::string> groups = groups_of(chart);
    if (groups.empty()) return "";
    std::vector<double> intensities, rates;
    for (const RooflineChart::Point& point : chart.points)
        if (has_place(point)) intensities.push_back(point.flops_per_byte), rates.push_back(point.gflops);
    if (chart.peak_gflops > 0) rates.push_back(chart.peak_gflops);
    for (const RooflineChart::Slope& slope : chart.slopes)  // every knee is on the chart
        if (slope.gbytes_per_second > 0 && chart.peak_gflops > 0)
            intensities.push_back(chart.peak_gflops / slope.gbytes_per_second);
    const int columns = std::max(1, (width - left - right) / legend_width(groups));
    const int legend_height = (static_cast<int>(groups.size()) + columns - 1) / columns * legend_row;
    const int full_height = height + legend_height;
    const LogScale x = around(intensities, left, width - right),
                   y = around(rates, full_height - bottom, top + legend_height);
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
        "aria-label=\"{2}\">\n{3}<rect class=\"b\" width=\"{0}\" height=\"{1}\"/>\n"
        "<text class=\"h\" x=\"{4}\" y=\"20\">{2}</text>\n",
        width, full_height, escaped_markup(chart.title), style, left);
    svg += legend(groups, columns) + axes(x, y);
    for (const RooflineChart::Point& point : chart.points) {
        if (!has_place(point)) continue;
        const auto group = static_cast<size_t>(std::find(groups.begin(), groups.end(), point.group) - groups.begin());
        svg += point_svg(group, x.at(point.flops_per_byte), y.at(point.gflops), point.tooltip);
    }
    return svg + roofs(chart, x, y) + "</svg>\n";
}

}  // namespace xbench
