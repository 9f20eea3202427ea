// Names left of the bars, cut where they are too long for the room.
#include "bench/draw/bar_chart.h"

#include <fmt/core.h>
#include <algorithm>
#include <array>
#include <numeric>

#include "bench/draw/line_chart.h"
#include "core/progress.h"

namespace xbench {
namespace {

constexpr int row_height = 22, names_width = 170, labels_width = 90, top = 52, longest_name = 24;
constexpr std::array colours{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#888888"};

constexpr const char* style =
    "<style>.t{font:12px system-ui,sans-serif;fill:#333}.h{font:600 14px system-ui,sans-serif;fill:#111}.b{fill:#fff}"
    "@media(prefers-color-scheme:dark){.t{fill:#ccc}.h{fill:#eee}.b{fill:#161616}}</style>\n";

double sum_of(const BarChart::Bar& bar) { return std::accumulate(bar.values.begin(), bar.values.end(), 0.0); }

constexpr int legend_width = 92, legend_row = 18;

int legend_columns(int width) { return std::max(1, (width - names_width) / legend_width); }

// What the legend takes below its first row.
int more_legend(const BarChart& chart, int width) {
    const int parts = static_cast<int>(chart.parts.size()), columns = legend_columns(width);
    return std::max(0, (parts + columns - 1) / columns - 1) * legend_row;
}

std::string legend(const BarChart& chart, int width) {
    std::string svg;
    const int columns = legend_columns(width);
    for (size_t p = 0; p < chart.parts.size() && chart.parts.size() > 1; ++p) {
        const int entry = static_cast<int>(p), x = names_width + entry % columns * legend_width,
                  y = 32 + entry / columns * legend_row;
        svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/>\n", x, y,
                           colours[p % colours.size()]);
        svg +=
            fmt::format("<text class=\"t\" x=\"{}\" y=\"{}\">{}</text>\n", x + 17, y + 10, escaped_markup(chart.parts[p]));
    }
    return svg;
}

std::string row_of(const BarChart& chart, const BarChart::Bar& bar, double y, double pixels_per_unit) {
    std::string svg = fmt::format("<text class=\"t\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", names_width - 8,
                                  y + 12, escaped_markup(shortened(bar.name, longest_name)));
    double x = names_width;
    for (size_t p = 0; p < bar.values.size(); ++p) {
        const double width = bar.values[p] * pixels_per_unit;
        svg += fmt::format(
            "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"15\" fill=\"{}\"><title>{}{}{}: "
            "{:.6g}</title></rect>\n",
            x, y, width, colours[p % colours.size()], escaped_markup(bar.name), p < chart.parts.size() ? ", " : "",
            p < chart.parts.size() ? escaped_markup(chart.parts[p]) : "", bar.values[p]);
        x += width;
    }
    return svg +
           fmt::format("<text class=\"t\" x=\"{:.2f}\" y=\"{:.1f}\">{}</text>\n", x + 6, y + 12, escaped_markup(bar.label));
}

}  // namespace

std::string bar_chart_svg(const BarChart& chart, int width) {
    double most = 0;
    for (const BarChart::Bar& bar : chart.bars) most = std::max(most, sum_of(bar));
    const int first = top + more_legend(chart, width);
    const int height = first + row_height * static_cast<int>(chart.bars.size()) + 8;
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
        "aria-label=\"{2}\">\n{3}<rect class=\"b\" width=\"{0}\" height=\"{1}\"/>\n"
        "<text class=\"h\" x=\"8\" y=\"20\">{2}</text>\n",
        width, height, escaped_markup(chart.title), style);
    svg += legend(chart, width);
    const double scale = most > 0 ? (width - names_width - labels_width) / most : 0;
    for (size_t i = 0; i < chart.bars.size(); ++i)
        svg += row_of(chart, chart.bars[i], first + row_height * static_cast<double>(i), scale);
    return svg + "</svg>\n";
}

}  // namespace xbench
