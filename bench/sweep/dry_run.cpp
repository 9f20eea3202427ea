// A table of points, a line for each block, and one for the price.
#include "bench/sweep/dry_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/base/text_table.h"
#include "bench/sweep/sweep_folder.h"
#include "core/progress.h"

namespace xbench {
namespace {

constexpr int64_t blocks_shown = 20;

std::string block_line(const Config& config, std::span<const Point> points, std::span<const Probe> probes, int64_t block) {
    std::string line = fmt::format("block {}:", block);
    for (const ScheduledRun& run : schedule_block(points, block, config.scaling.seed, probes))
        if (!run.probe.empty())
            line += " " + run_of_probe(run.probe) + ",";
        else if (points[run.point].runs())
            line += " " + points[run.point].id() + ",";
    line.pop_back();
    return line + "\n";
}

std::string points_table(std::span<const Point> points, int64_t blocks, const RunTimes& times) {
    std::vector<std::vector<std::string>> rows;
    for (const Point& point : points) {
        const std::optional<double> each = point.runs() ? times.of(run_of_point(point.id())) : std::nullopt;
        rows.push_back({point.id(), std::to_string(point.global_batch), point.runs() ? std::to_string(blocks) : "0",
                        each ? fmt::format("{:.2g}", *each) : "", name_of(point.status), point.reason});
    }
    return markdown_table({{"point", false}, {"global batch"}, {"runs"}, {"s each"}, {"status", false}, {"reason", false}},
                          rows);
}

}  // namespace

std::string dry_run_text(const Config& config, std::span<const Point> points, std::span<const Probe> probes,
                         const RunTimes& times) {
    std::vector<std::string> block;
    for (const Point& point : points)
        if (point.runs()) block.push_back(run_of_point(point.id()));
    for (const Probe& probe : probes) block.push_back(run_of_probe(probe.id));
    const std::optional<double> each = times.of_all(block);
    const double budget_seconds = config.scaling.budget_minutes * 60;
    const int64_t blocks =
        budget_seconds > 0 && each ? blocks_in_budget(budget_seconds, 0, 0, *each) : config.scaling.repeats;
    std::string text = points_table(points, blocks, times) + "\n";
    for (int64_t i = 1; i <= std::min(blocks, blocks_shown) && !block.empty(); ++i)
        text += block_line(config, points, probes, i);
    if (blocks > blocks_shown && !block.empty()) text += fmt::format("... and {} blocks more\n", blocks - blocks_shown);
    const auto count = static_cast<int64_t>(block.size()) * blocks;
    text += "\n" + price_text(count, blocks, each ? std::optional(*each * static_cast<double>(blocks)) : std::nullopt);
    if (budget_seconds > 0)
        text += each ? fmt::format("; the budget of {:g} minutes chose the blocks{}", config.scaling.budget_minutes,
                                   fewer_text(blocks, config.scaling.repeats))
                     : fmt::format("; the budget of {:g} minutes chooses the blocks once the first is made",
                                   config.scaling.budget_minutes);
    return text + fmt::format("\n{}, {} epochs each; order by scaling.seed {}; nothing was run (--dry-run)\n",
                              config.model.name, config.train.epochs, config.scaling.seed);
}

}  // namespace xbench
