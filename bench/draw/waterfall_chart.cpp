// One row for each bar, from top to bottom, with a thin line from the end of one to the beginning of the next.
#include "bench/draw/waterfall_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

constexpr int row_height = 24, bar_height = 16, names_width = 104, labels_width = 86, top = 34, bottom = 34;
// Okabe and Ito's: what stands, what is lost, what is won. Lost and won also differ by the sign of their labels.
constexpr const char *stands = "#0072b2", *lost = "#d55e00", *won = "#009e73";

constexpr const char* style =
    "<style>.t{font:12px system-ui,sans-serif;fill:#333}.h{font:600 14px system-ui,sans-serif;fill:#111}"
    ".g{stroke:#ddd}.a{stroke:#555}.b{fill:#fff}"
    "@media(prefers-color-scheme:dark){.t{fill:#ccc}.h{fill:#eee}.g{stroke:#3a3a3a}.a{stroke:#999}.b{fill:#161616}}"
    "</style>\n";

double without_minus_zero(double value) { return std::fabs(value) < 5e-4 ? 0.0 : value; }

struct Bar {
    std::string name, label, tooltip;
    double from = 0, to = 0;
    const char* colour = stands;
};

struct Axis {
    double low = 0, high = 1, from = names_width, to = 0;
    double at(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

std::vector<Bar> bars_of(const Waterfall& waterfall) {
    std::vector<Bar> bars{{waterfall.begin_name, fmt::format("{:.3f}", waterfall.begin),
                           fmt::format("{}: {:.6g} {}", waterfall.begin_name, waterfall.begin, waterfall.unit), 0,
                           waterfall.begin, stands}};
    double at = waterfall.begin;
    for (const Waterfall::Step& step : waterfall.steps) {
        const std::string tooltip =
            step.tooltip.empty() ? fmt::format("{}: {:+.6g} {}", step.name, step.change, waterfall.unit) : step.tooltip;
        bars.push_back({step.name, fmt::format("{:+.3f}", without_minus_zero(step.change)), tooltip, at, at + step.change,
                        step.change < 0 ? won : lost});
        at += step.change;
    }
    bars.push_back({waterfall.end_name, fmt::format("{:.3f}", at),
                    fmt::format("{}: {:.6g} {}", waterfall.end_name, at, waterfall.unit), 0, at, stands});
    return bars;
}

// What changes shall fill a fifth of the chart at least.
Axis axis_of(const std::vector<Bar>& bars, int width) {
    Axis axis;
    axis.to = width - labels_width;
    double low = INFINITY, high = 0;
    for (const Bar& bar : bars) {
        low = std::min(low, bar.to);
        high = std::max({high, bar.from, bar.to});
    }
    if (!(high > 0) || !std::isfinite(low)) return axis;
    axis.high = high;
    if (high - low >= 0.2 * high || low <= 0) return axis;
    axis.low = std::max(0.0, low - (high - low));
    if (axis.high - axis.low <= 1e-9 * high) axis.low = 0;
    return axis;
}

std::string ticks_of(const Axis& axis, double below, const std::string& unit) {
    std::string svg;
    for (const double tick : round_ticks(axis.low, axis.high, 3)) {
        svg += fmt::format("<line class=\"g\" x1=\"{0:.2f}\" y1=\"{1}\" x2=\"{0:.2f}\" y2=\"{2:.1f}\"/>\n", axis.at(tick),
                           top, below);
        svg += fmt::format("<text class=\"t\" x=\"{:.2f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.6g}</text>\n",
                           axis.at(tick), below + 15, std::fabs(tick) < 1e-12 ? 0.0 : tick);
    }
    const std::string note = axis.low > 0 ? fmt::format("{}; the axis begins at {:.4g}", unit, axis.low) : unit;
    return svg + fmt::format("<text class=\"t\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                             (axis.from + axis.to) / 2, below + 30, escaped_markup(note));
}

std::string bar_svg(const Bar& bar, const Axis& axis, double y, bool last) {
    const double from = axis.at(std::max(axis.low, std::min(bar.from, bar.to))), to = axis.at(std::max(bar.from, bar.to));
    std::string svg = fmt::format(
        "<text class=\"t\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n"
        "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"><title>{}</title></rect>\n"
        "<text class=\"t\" x=\"{:.2f}\" y=\"{:.1f}\">{}</text>\n",
        names_width - 8, y + 12, escaped_markup(bar.name), from, y, std::max(1.0, to - from), bar_height, bar.colour,
        escaped_markup(bar.tooltip), to + 6, y + 12, escaped_markup(bar.label));
    if (!last)
        svg += fmt::format("<line class=\"a\" x1=\"{0:.2f}\" y1=\"{1:.1f}\" x2=\"{0:.2f}\" y2=\"{2:.1f}\"/>\n",
                           axis.at(bar.to), y + bar_height, y + row_height);
    return svg;
}

}  // namespace

std::string waterfall_svg(const Waterfall& waterfall, int width) {
    const std::vector<Bar> bars = bars_of(waterfall);
    const Axis axis = axis_of(bars, width);
    const double below = top + row_height * static_cast<double>(bars.size());
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
        "aria-label=\"{2}\">\n{3}<rect class=\"b\" width=\"{0}\" height=\"{1}\"/>\n"
        "<text class=\"h\" x=\"8\" y=\"20\">{2}</text>\n",
        width, static_cast<int>(below) + bottom, escaped_markup(waterfall.title), style);
    svg += ticks_of(axis, below, waterfall.unit);
    for (size_t i = 0; i < bars.size(); ++i)
        svg += bar_svg(bars[i], axis, top + row_height * static_cast<double>(i), i + 1 == bars.size());
    return svg + "</svg>\n";
}

}  // namespace xbench
