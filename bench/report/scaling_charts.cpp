// One line a family of rows, with the baseline as its first point. Cores are those of the rows, not multiples of the
// baseline's.
#include "bench/report/scaling_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "bench/base/distributions.h"
#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

struct Value {
    double middle, low, high;
};
using ValueOf = std::function<std::optional<Value>(const ScalingRow&)>;

// Of rows of one number of cores the fastest, as in fits.
std::map<int, const ScalingRow*> rows_by_cores(const ScalingTable& table, const std::string& family) {
    std::map<int, const ScalingRow*> rows;
    for (const ScalingRow& row : table.rows) {
        if (!row.timed() || family_of(row) != family || row.point.status != PointStatus::ok) continue;
        const ScalingRow*& best = rows[row.point.processors()];
        if (best == nullptr || row.images_per_second.median > best->images_per_second.median) best = &row;
    }
    if (rows.empty()) return rows;
    const int own = baseline_of(table, rows.begin()->second->point.device);  // where every curve begins
    if (own >= 0)
        rows.try_emplace(table.rows[static_cast<size_t>(own)].point.processors(), &table.rows[static_cast<size_t>(own)]);
    return rows;
}

std::vector<std::string> families_of(const ScalingTable& table) {
    std::vector<std::string> families;
    for (const ScalingRow& row : table.rows)
        if (row.timed() && row.point.status == PointStatus::ok &&
            std::find(families.begin(), families.end(), family_of(row)) == families.end())
            families.push_back(family_of(row));
    return families;
}

std::vector<ChartLine> lines_of(const ScalingTable& table, const ValueOf& value) {
    std::vector<ChartLine> lines;
    for (const std::string& family : families_of(table)) {
        ChartLine line;
        line.name = family;
        line.marked = true;
        for (const auto& [cores, row] : rows_by_cores(table, family)) {
            const auto found = value(*row);
            if (!found) continue;
            line.points.emplace_back(cores, found->middle);
            line.band.emplace_back(found->low, found->high);
        }
        if (!line.points.empty()) lines.push_back(std::move(line));
    }
    return lines;
}

double largest(const std::vector<ChartLine>& lines, double (*of)(const ChartLine&, size_t)) {
    double most = 0;
    for (const ChartLine& line : lines)
        for (size_t i = 0; i < line.points.size(); ++i) most = std::max(most, of(line, i));
    return most;
}

double cores_at(const ChartLine& line, size_t i) { return line.points[i].first; }
double high_at(const ChartLine& line, size_t i) {
    return line.band.empty() ? line.points[i].second : std::max(line.points[i].second, line.band[i].second);
}

std::optional<Value> speedup_of(const ScalingRow& row) {
    if (!row.speedup) return std::nullopt;
    return Value{*row.speedup, row.speedup_low.value_or(*row.speedup), row.speedup_high.value_or(*row.speedup)};
}

int baseline_cores(const ScalingTable& table) {
    return table.baseline < 0 ? 1 : table.rows[static_cast<size_t>(table.baseline)].point.processors();
}

LineChart chart_of(std::vector<ChartLine> lines, const char* title, const char* label) {
    LineChart chart;
    chart.title = title;
    chart.x_label = "ranks x threads";
    chart.y_label = label;
    chart.whole_x = true;
    chart.x_low = 0;
    chart.x_high = std::max(2.0, largest(lines, cores_at));
    chart.y_low = 0;
    chart.y_high = 1.05 * largest(lines, high_at);
    if (!(chart.y_high > 0)) chart.y_high = 1;
    chart.lines = std::move(lines);
    return chart;
}

std::string drawn(const ScalingTable& table, std::vector<ChartLine> lines, const char* title, const char* label,
                  const std::function<double(double)>& ideal, double measured = INFINITY) {
    if (lines.empty()) return "";
    LineChart chart = chart_of(std::move(lines), title, label);
    chart.hatched_from = measured;
    if (ideal) {
        ChartLine line;
        line.name = "ideal";
        line.dashed = line.muted = true;
        for (const double cores : {static_cast<double>(baseline_cores(table)), chart.x_high})
            line.points.emplace_back(cores, ideal(cores));
        chart.y_high = std::max(chart.y_high, 1.05 * line.points.back().second);
        chart.lines.insert(chart.lines.begin(), line);
    }
    return line_chart_svg(chart, report_chart_width, report_chart_height);
}

// Every law that the repeats did not reject, dashed, from the baseline to where it may be asked.
std::vector<ChartLine> law_lines(const ScalingTable& table) {
    std::vector<ChartLine> lines;
    const double unit = baseline_cores(table);
    for (const TrainerFit& fit : table.fits)
        for (const LawFit& law : fit.laws) {
            if (law.rejected || !law.tested || !law.predicts()) continue;
            ChartLine line;
            line.name = fmt::format("{}: {}", fit.trainer, name_of(law.law));
            line.dashed = true;
            constexpr int steps = 24;
            for (int i = 0; i <= steps; ++i) {
                const double cores = 1 + (fit.furthest - 1) * i / steps;
                line.points.emplace_back(cores * unit,
                                         law.seconds(1) / law.seconds(cores) * (table.mode == "weak" ? cores : 1));
            }
            lines.push_back(std::move(line));
        }
    return lines;
}

}  // namespace

std::string speedup_svg(const ScalingTable& table) {
    const double unit = baseline_cores(table);
    std::vector<ChartLine> lines = lines_of(table, speedup_of);
    if (lines.empty()) return "";
    const double measured = largest(lines, cores_at);
    for (ChartLine& line : law_lines(table)) lines.push_back(std::move(line));
    return drawn(
        table, std::move(lines), "Speed-up against the fastest serial row", "times as fast",
        [unit](double cores) { return cores / unit; }, measured);
}

std::string efficiency_svg(const ScalingTable& table) {
    const ValueOf value = [](const ScalingRow& row) -> std::optional<Value> {
        const auto speedup = speedup_of(row);
        if (!speedup || row.relative_cores <= 0) return std::nullopt;
        return Value{speedup->middle / row.relative_cores, speedup->low / row.relative_cores,
                     speedup->high / row.relative_cores};
    };
    return drawn(table, lines_of(table, value), "Efficiency: speed-up over ranks x threads", "efficiency",
                 [](double) { return 1.0; });
}

std::string step_svg(const ScalingTable& table) {
    const ValueOf step = [](const ScalingRow& row) {
        return std::optional(Value{row.step_ms.median, row.step_ms.low, row.step_ms.high});
    };
    const ValueOf exposed = [](const ScalingRow& row) -> std::optional<Value> {
        if (row.point.ranks < 2) return std::nullopt;
        return Value{row.exposed_comm_ms, row.exposed_comm_ms, row.exposed_comm_ms};
    };
    std::vector<ChartLine> lines = lines_of(table, step);
    for (ChartLine line : lines_of(table, exposed)) {
        line.name += ", waiting";
        line.dashed = true;
        line.band.clear();
        lines.push_back(std::move(line));
    }
    return drawn(table, std::move(lines), "Time of a step, and of it waiting for communication", "ms", {});
}

std::string accuracy_svg(const ScalingTable& table) {
    const ValueOf value = [](const ScalingRow& row) -> std::optional<Value> {
        if (!row.test_accuracy) return std::nullopt;
        const auto [low, high] = wilson_interval(*row.test_accuracy, static_cast<double>(row.work.test_images));
        return Value{*row.test_accuracy, low, high};
    };
    std::vector<ChartLine> lines = lines_of(table, value);
    if (lines.empty()) return "";
    double least = 1;
    for (const ChartLine& line : lines)
        for (const auto& band : line.band) least = std::min(least, band.first);
    LineChart chart = chart_of(std::move(lines), "Test accuracy, with 95% of the draw of the images", "accuracy");
    chart.y_low = std::max(0.0, std::floor(20 * least - 1) / 20);
    chart.y_high = 1;
    return line_chart_svg(chart, report_chart_width, report_chart_height);
}

std::string loss_svg(const ScalingTable& table) {
    const ValueOf value = [](const ScalingRow& row) -> std::optional<Value> {
        if (!row.test_loss) return std::nullopt;
        return Value{*row.test_loss, *row.test_loss, *row.test_loss};
    };
    return drawn(table, lines_of(table, value), "Test loss", "loss per image", {});
}

}  // namespace xbench
