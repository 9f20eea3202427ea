// Axes, lines, legend. Positions are printed with two decimals.
#include "bench/draw/line_chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"

namespace xbench {
namespace {

// Okabe and Ito's colours that read on white and on black.
constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
constexpr int left = 70, right = 16, top = 40, bottom = 52, legend_row = 18, least_legend_width = 190;

struct Scale {
    double low, high, from, to;
    double at(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

bool is_finite(const std::pair<double, double>& point) { return std::isfinite(point.first) && std::isfinite(point.second); }

// The range of one coordinate, widened to round numbers where it is not given.
template <class Of>
std::pair<double, double> range(const LineChart& chart, double given_low, double given_high, double least_step,
                                const Of& of) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const ChartLine& line : chart.lines) {
        for (const auto& point : line.points) {
            if (!is_finite(point)) continue;
            low = std::min(low, of(point));
            high = std::max(high, of(point));
        }
    }
    if (low > high) throw Error("has no point to draw", "the chart " + chart.title);
    const double margin = std::max(std::max(std::fabs(low), 1.0) * 0.1, least_step);
    if (low == high) low -= margin, high += margin;
    if (least_step == 0) {  // what is counted has no room before its first and behind its last
        const std::vector<double> ticks = round_ticks(low, high, 5);
        const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : high - low;
        low = std::floor(low / step + 1e-9) * step;
        high = std::ceil(high / step - 1e-9) * step;
    }
    return {std::isnan(given_low) ? low : given_low, std::isnan(given_high) ? high : given_high};
}

double least_step(const LineChart& chart) { return chart.whole_x ? 1 : 0; }

std::string number_text(double value) { return fmt::format("{:.6g}", std::fabs(value) < 1e-12 ? 0.0 : value); }

std::string axes(const LineChart& chart, const Scale& x, const Scale& y) {
    std::string svg;
    for (const double tick : round_ticks(y.low, y.high, 5)) {
        svg += fmt::format("<line class=\"g\" x1=\"{}\" y1=\"{:.2f}\" x2=\"{}\" y2=\"{:.2f}\"/>\n", x.from, y.at(tick), x.to,
                           y.at(tick));
        svg += fmt::format("<text class=\"t\" x=\"{}\" y=\"{:.2f}\" text-anchor=\"end\">{}</text>\n", x.from - 8,
                           y.at(tick) + 4, number_text(tick));
    }
    for (const double tick : round_ticks(x.low, x.high, 6, least_step(chart)))
        svg += fmt::format("<text class=\"t\" x=\"{:.2f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x.at(tick),
                           y.from + 18, number_text(tick));
    svg += fmt::format("<line class=\"a\" x1=\"{0}\" y1=\"{2}\" x2=\"{1}\" y2=\"{2}\"/>\n", x.from, x.to, y.from);
    svg += fmt::format("<text class=\"t\" x=\"{:.2f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", (x.from + x.to) / 2,
                       y.from + 40, escaped_markup(chart.x_label));
    return svg + fmt::format(
                     "<text class=\"t\" x=\"14\" y=\"{0:.2f}\" text-anchor=\"middle\" "
                     "transform=\"rotate(-90 14 {0:.2f})\">{1}</text>\n",
                     (y.from + y.to) / 2, escaped_markup(chart.y_label));
}

// Where the colours begin again, other dashes tell the lines apart.
std::string style_of(const ChartLine& line, size_t colour) {
    constexpr std::array dashes{"", " stroke-dasharray=\"6 4\"", " stroke-dasharray=\"2 3\"",
                                " stroke-dasharray=\"10 3 2 3\""};
    const size_t round = line.muted ? 0 : colour / colours.size();
    return fmt::format("stroke=\"{}\"{}", line.muted ? "#888888" : colours[colour % colours.size()],
                       dashes[(round + (line.dashed ? 1 : 0)) % dashes.size()]);
}

// The area between low and high, with a bar at each point, so that one point has one too.
std::string band_of(const ChartLine& line, const Scale& x, const Scale& y, size_t colour) {
    if (line.band.size() != line.points.size() || line.band.empty()) return {};
    std::string there, back, bars;
    const char* paint = colours[colour % colours.size()];
    for (size_t i = 0; i < line.points.size(); ++i) {
        const double at = x.at(line.points[i].first), low = y.at(line.band[i].first), high = y.at(line.band[i].second);
        there += fmt::format("{}{:.2f} {:.2f}", i == 0 ? "M" : "L", at, high);
        back = fmt::format("L{:.2f} {:.2f}", at, low) + back;
        bars += fmt::format(
            "<line stroke=\"{0}\" stroke-width=\"2\" x1=\"{1:.2f}\" x2=\"{1:.2f}\" y1=\"{2:.2f}\" y2=\"{3:.2f}\"/>\n", paint,
            at, low, high);
    }
    return fmt::format("<path fill=\"{}\" fill-opacity=\"0.2\" stroke=\"none\" d=\"{}{}Z\"/>\n", paint, there, back) + bars;
}

std::string band_text(const ChartLine& line, size_t i) {
    if (line.band.size() != line.points.size()) return "";
    const auto& [low, high] = line.band[i];
    return low < high ? fmt::format(" ({} to {})", number_text(low), number_text(high)) : "";
}

// With its numbers as a tooltip.
std::string dot_of(const ChartLine& line, size_t i, const Scale& x, const Scale& y, size_t colour) {
    const auto& point = line.points[i];
    return fmt::format("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"4\" fill=\"{}\"><title>{}{}{}: {}{}</title></circle>\n",
                       x.at(point.first), y.at(point.second), line.muted ? "#888888" : colours[colour % colours.size()],
                       escaped_markup(line.name), line.name.empty() ? "" : ", ", number_text(point.first),
                       number_text(point.second), band_text(line, i));
}

// Diagonals over what lies beyond the measured, each cut at the edges of the area.
std::string hatching(const LineChart& chart, const Scale& x, const Scale& y) {
    if (!(chart.hatched_from < x.high)) return "";
    constexpr double apart = 9;
    const double begin = x.at(std::max(chart.hatched_from, x.low)), end = x.to, above = y.to, below = y.from;
    std::string path;
    for (double sum = begin + above + apart; sum < end + below; sum += apart) {
        const double from = std::min(below, sum - begin), to = std::max(above, sum - end);
        path += fmt::format("M{:.1f} {:.1f}L{:.1f} {:.1f}", sum - from, from, sum - to, to);
    }
    return fmt::format("<path class=\"x\" d=\"{}\"><title>not measured: laws asked beyond it</title></path>\n", path);
}

std::string path_of(const ChartLine& line, const Scale& x, const Scale& y, size_t colour) {
    std::string path, dots;
    bool drawing = false;
    for (size_t i = 0; i < line.points.size(); ++i) {
        const auto& point = line.points[i];
        if (!is_finite(point)) {
            drawing = false;
            continue;
        }
        path += fmt::format("{}{:.2f} {:.2f}", drawing ? "L" : "M", x.at(point.first), y.at(point.second));
        if (line.marked) dots += dot_of(line, i, x, y, colour);
        drawing = true;
    }
    return band_of(line, x, y, colour) +
           fmt::format("<path class=\"l\" {} d=\"{}\"><title>{}</title></path>\n", style_of(line, colour), path,
                       escaped_markup(line.name)) +
           dots;
}

// Room for the longest name: letters of 12 pixels are 6.5 wide on average.
int legend_width(const LineChart& chart) {
    size_t longest = 0;
    for (const ChartLine& line : chart.lines) longest = std::max(longest, line.name.size());
    return std::max(least_legend_width, 40 + static_cast<int>(6.5 * static_cast<double>(longest)));
}

int legend_columns(const LineChart& chart, int width) { return std::max(1, (width - left - right) / legend_width(chart)); }

int legend_height(const LineChart& chart, int width) {
    const auto named = [](const ChartLine& line) { return !line.name.empty(); };
    const auto entries = static_cast<int>(std::count_if(chart.lines.begin(), chart.lines.end(), named));
    const int columns = legend_columns(chart, width);
    return (entries + columns - 1) / columns * legend_row;
}

// Rows of entries below the title, as many side by side as there is room for.
std::string legend(const LineChart& chart, int columns) {
    std::string svg;
    int entry = 0;
    size_t colour = 0;
    for (const ChartLine& line : chart.lines) {
        const size_t own = line.muted ? 0 : colour++;
        if (line.name.empty()) continue;
        const int x = left + entry % columns * legend_width(chart), y = top + entry / columns * legend_row;
        svg += fmt::format("<line class=\"l\" {} x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n", style_of(line, own), x, y - 4,
                           x + 22, y - 4);
        svg += fmt::format("<text class=\"t\" x=\"{}\" y=\"{}\">{}</text>\n", x + 28, y, escaped_markup(line.name));
        ++entry;
    }
    return svg;
}

constexpr const char* style =
    "<style>.t{font:12px system-ui,sans-serif;fill:#333}.h{font:600 14px system-ui,sans-serif;fill:#111}"
    ".g{stroke:#ddd}.a{stroke:#555}.l{fill:none;stroke-width:2}.b{fill:#fff}.x{stroke:#999;stroke-opacity:.35;fill:none}"
    "@media(prefers-color-scheme:dark){.t{fill:#ccc}.h{fill:#eee}.g{stroke:#3a3a3a}.a{stroke:#999}.b{fill:#161616}}"
    "</style>\n";

}  // namespace

std::vector<double> round_ticks(double low, double high, int wanted, double least_step) {
    if (!(high > low) || wanted < 1) return {low};
    const double raw = std::max((high - low) / wanted, least_step), power = std::pow(10.0, std::floor(std::log10(raw)));
    double step = 10 * power;
    for (const double round : {1.0, 2.0, 5.0}) {
        if (round * power >= raw * (1 - 1e-9)) {
            step = round * power;
            break;
        }
    }
    std::vector<double> ticks;
    for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) ticks.push_back(i * step);
    return ticks;
}

std::string escaped_markup(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        switch (c) {
            case '&': escaped += "&amp;"; break;
            case '<': escaped += "&lt;"; break;
            case '>': escaped += "&gt;"; break;
            case '"': escaped += "&quot;"; break;
            default: escaped += c;
        }
    }
    return escaped;
}

std::string line_chart_svg(const LineChart& chart, int width, int height) {
    const auto [x_low, x_high] =
        range(chart, chart.x_low, chart.x_high, least_step(chart), [](const auto& p) { return p.first; });
    const auto [y_low, y_high] = range(chart, chart.y_low, chart.y_high, 0, [](const auto& p) { return p.second; });
    const int full_height = height + legend_height(chart, width);
    const int columns = legend_columns(chart, width), below_legend = top + legend_height(chart, width);
    const Scale x{x_low, x_high, left, static_cast<double>(width - right)};
    const Scale y{y_low, y_high, static_cast<double>(full_height - bottom), static_cast<double>(below_legend)};
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\" aria-label=\"{2}\">\n",
        width, full_height, escaped_markup(chart.title));
    svg += style + fmt::format("<rect class=\"b\" width=\"{}\" height=\"{}\"/>\n", width, full_height) +
           fmt::format("<text class=\"h\" x=\"{}\" y=\"20\">{}</text>\n", left, escaped_markup(chart.title));
    svg += legend(chart, columns) + hatching(chart, x, y) + axes(chart, x, y);
    size_t colour = 0;
    for (const ChartLine& line : chart.lines) svg += path_of(line, x, y, line.muted ? 0 : colour++);
    return svg + "</svg>\n";
}

std::string stacked_charts_svg(const std::vector<LineChart>& charts, int width, int height) {
    const int gap = 16;
    int below = 0;
    std::string inside;
    for (const LineChart& chart : charts) {
        inside += fmt::format("<g transform=\"translate(0 {})\">\n{}</g>\n", below, line_chart_svg(chart, width, height));
        below += height + legend_height(chart, width) + gap;
    }
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">\n"
        "{2}</svg>\n",
        width, std::max(0, below - gap), inside);
}

}  // namespace xbench
