// From rows to what bench/draw draws.
#include "bench/report/row_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/draw/bar_chart.h"
#include "bench/draw/line_chart.h"
#include "bench/draw/waterfall_chart.h"
#include "bench/report/scaling_charts.h"

namespace xbench {
namespace {

std::string spaced(std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

std::string tooltip_of(const Factor& factor) {
    std::string text = fmt::format("{} {:.4f}", spaced(factor.name), factor.value);
    if (factor.low && factor.high) text += fmt::format(" ({:.4f} to {:.4f})", *factor.low, *factor.high);
    return text + fmt::format(": {:+.4f} ms", factor.ms);
}

std::string waterfall_of(const RowEfficiency& row) {
    Waterfall waterfall;
    waterfall.title = fmt::format("{}: efficiency {:.3f}", row.row, row.efficiency);
    waterfall.unit = "ms a step";
    waterfall.begin_name = "ideal";
    waterfall.end_name = "step";
    waterfall.begin = row.ideal_ms;
    for (const Factor& factor : row.factors) waterfall.steps.push_back({spaced(factor.name), factor.ms, tooltip_of(factor)});
    return waterfall_svg(waterfall, report_chart_width);
}

// The baseline, and the fastest of the others.
std::vector<const ScalingRow*> drawn_rows(const ScalingTable& table) {
    std::vector<const ScalingRow*> rows;
    for (const ScalingRow& row : table.rows)
        if (row.timed() && !row.details.history.empty()) rows.push_back(&row);
    const ScalingRow* base = table.baseline < 0 ? nullptr : &table.rows[static_cast<size_t>(table.baseline)];
    std::stable_sort(rows.begin(), rows.end(), [&](const ScalingRow* a, const ScalingRow* b) {
        if ((a == base) != (b == base)) return a == base;
        return a->details.history.seconds.back() < b->details.history.seconds.back();
    });
    if (rows.size() > most_curves) rows.resize(most_curves);
    return rows;
}

}  // namespace

std::vector<std::string> waterfall_svgs(const ScalingTable& table) {
    std::vector<std::string> charts;
    for (const RowEfficiency& row : table.efficiency)
        if (!row.factors.empty() && charts.size() < most_waterfalls) charts.push_back(waterfall_of(row));
    return charts;
}

std::string memory_svg(const ScalingTable& table) {
    BarChart chart;
    chart.title = "Memory of rank 0 while steps run, MiB";
    for (const ScalingRow& row : table.rows) {
        const RowMemory& memory = row.details.memory;
        if (!row.has_result || memory.categories.empty() || chart.bars.size() >= most_bars) continue;
        BarChart::Bar bar{row.point.id(), {}, fmt::format("{:.1f}", memory.total / 1048576.0)};
        if (chart.parts.empty())
            for (const auto& category : memory.categories) chart.parts.push_back(category.first);
        for (const auto& category : memory.categories) bar.values.push_back(category.second / 1048576.0);
        chart.bars.push_back(std::move(bar));
    }
    return chart.bars.empty() ? "" : bar_chart_svg(chart, report_chart_width);
}

std::string seconds_to_accuracy_svg(const ScalingTable& table) {
    if (!table.target_accuracy) return "";
    BarChart chart;
    chart.title = fmt::format("Seconds until the validation accuracy is {:.3f}", *table.target_accuracy);
    chart.parts = {"seconds"};
    for (const ScalingRow& row : table.rows) {
        if (!row.timed() || row.to_accuracy.repeats == 0 || chart.bars.size() >= most_bars) continue;
        const bool reached = row.to_accuracy.reached();
        chart.bars.push_back({row.point.id(),
                              {reached ? row.to_accuracy.seconds.median : 0},
                              reached ? fmt::format("{:.3g} s", row.to_accuracy.seconds.median)
                              : row.to_accuracy.seconds_of_repeats.empty() ? "never"
                                                                           : "not always"});
    }
    return chart.bars.empty() ? "" : bar_chart_svg(chart, report_chart_width);
}

std::string accuracy_over_seconds_svg(const ScalingTable& table) {
    LineChart chart{"Validation accuracy over seconds", "seconds", "accuracy", {}};
    double until = 0;
    for (const ScalingRow* row : drawn_rows(table)) {
        const RunHistory& history = row->details.history;
        ChartLine line{row->point.id(), {}, false, history.seconds.size() <= 30};
        for (size_t i = 0; i < history.seconds.size(); ++i)
            line.points.emplace_back(history.seconds[i], history.val_accuracy[i]);
        const bool any =
            std::any_of(line.points.begin(), line.points.end(), [](const auto& p) { return std::isfinite(p.second); });
        if (!any) continue;
        until = std::max(until, history.seconds.back());
        chart.lines.push_back(std::move(line));
    }
    if (chart.lines.empty()) return "";
    if (table.target_accuracy)
        chart.lines.push_back({fmt::format("{:.3f}", *table.target_accuracy),
                               {{0, *table.target_accuracy}, {until, *table.target_accuracy}},
                               true,
                               false,
                               true});
    chart.x_low = 0;
    return line_chart_svg(chart, report_chart_width, report_chart_height);
}

}  // namespace xbench
