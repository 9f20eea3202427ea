// Cells and sentences of the model. The verdict is in scaling_verdict.cpp, what the curve says in scaling_curve.cpp.
#include "bench/sweep/scaling_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "bench/base/text_table.h"
#include "bench/sweep/factor_text.h"

namespace xbench {
namespace {

using Cells = std::vector<std::string>;

std::string number(const std::optional<double>& value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "";
}

std::string interval(const std::optional<double>& low, const std::optional<double>& high, int digits) {
    return low && high ? fmt::format("{:.{}f} to {:.{}f}", *low, digits, *high, digits) : "";
}

std::string rate(double value) { return fmt::format("{:.{}f}", value, value < 100 ? 1 : 0); }

Cells name_cells(const Point& p) {
    const std::string name = p.trainer + (p.device == "cuda" && p.trainer != "gpu_ddp" ? " cuda" : "");
    return {p.stage > 0 ? fmt::format("{} stage {}", name, p.stage) : name, fmt::format("{} x {}", p.ranks, p.threads)};
}

Cells speed_cells(const ScalingRow& row) {
    Cells cells = name_cells(row.point);
    if (!row.timed()) {
        cells.resize(11);
        if (row.emulated) cells[2] = "emulated";
        return cells;
    }
    const Interval& ips = row.images_per_second;
    for (const std::string& cell :
         {rate(ips.median), fmt::format("{} - {}", rate(ips.low), rate(ips.high)),
          ips.level > 0 ? fmt::format("{:.1f}%", 100 * ips.level) : std::string("range"),
          fmt::format("{:.3f}", row.step_ms.median), number(row.speedup, 3), interval(row.speedup_low, row.speedup_high, 3),
          number(row.efficiency, 3), number(row.karp_flatt, 3),
          row.speedup ? fmt::format("{:.2g}", row.p_against_base) : std::string()})
        cells.push_back(cell);
    return cells;
}

ModelTable speed_table(const ScalingTable& table) {
    const auto ran = std::find_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return row.timed(); });
    const std::string title = ran == table.rows.end() ? "interval" : interval_name(ran->images_per_second);
    ModelTable model{{{"trainer", false},
                      {"ranks x threads"},
                      {"images/s"},
                      {title},
                      {"level", true, true},
                      {"step ms"},
                      {"speed-up"},
                      {"95% interval", true, true},
                      {"efficiency"},
                      {"Karp-Flatt"},
                      {"p", true, true}},
                     {},
                     "scaling.csv"};
    for (const ScalingRow& row : table.rows) model.rows.push_back(speed_cells(row));
    return model;
}

Cells quality_cells(const ScalingRow& row) {
    Cells cells = name_cells(row.point);
    const bool timed = row.timed(), ran = row.has_result;
    for (const std::string& cell :
         {std::to_string(row.repeats), timed ? fmt::format("{:.1f}%", 100 * row.noise) : std::string(),
          timed ? std::string(name_of(row.warmup)) : std::string(),
          timed ? fmt::format("{:.3f}", row.exposed_comm_ms) : std::string(),
          timed ? fmt::format("{:.3f}", row.rank_skew_ms) : std::string(), ran ? number(row.test_accuracy, 4) : "",
          ran ? number(row.test_balanced_accuracy, 4) : "", ran ? number(row.test_loss, 4) : "",
          ran ? row.weights_hash.substr(0, 8) : "", std::string(name_of(row.point.status))})
        cells.push_back(cell);
    return cells;
}

ModelTable quality_table(const ScalingTable& table) {
    ModelTable model{{{"trainer", false},
                      {"ranks x threads"},
                      {"repeats", true, true},
                      {"noise", true, true},
                      {"step times", false, true},
                      {"exposed ms"},
                      {"skew ms"},
                      {"accuracy"},
                      {"balanced", true, true},
                      {"test loss"},
                      {"weights", false},
                      {"status", false}},
                     {},
                     "scaling.csv"};
    for (const ScalingRow& row : table.rows) model.rows.push_back(quality_cells(row));
    return model;
}

std::string seconds_text(const ToAccuracy& to) {
    if (to.reached()) return fmt::format("{:.4g}", to.seconds.median);
    return to.repeats == 0 ? "" : to.seconds_of_repeats.empty() ? "never" : "not always";
}

// Only of tables of which some record carries a history.
ModelTable accuracy_table(const ScalingTable& table) {
    ModelTable model{{{"trainer", false},
                      {"ranks x threads"},
                      {"best"},
                      {"reached by"},
                      {"epoch"},
                      {"seconds"},
                      {"times as fast"},
                      {"95% interval"}},
                     {},
                     "scaling.csv"};
    if (!table.target_accuracy) return model;
    for (const ScalingRow& row : table.rows) {
        if (!row.timed()) continue;
        const ToAccuracy& to = row.to_accuracy;
        Cells cells = name_cells(row.point);
        cells.push_back(to.repeats > 0 ? fmt::format("{:.4f}", to.best) : "");
        cells.push_back(to.repeats > 0 ? fmt::format("{} of {}", to.seconds_of_repeats.size(), to.repeats) : "no history");
        cells.push_back(to.reached() ? std::to_string(to.epoch) : "");
        cells.push_back(seconds_text(to));
        cells.push_back(number(to.ratio, 2));
        cells.push_back(interval(to.low, to.high, 2));
        model.rows.push_back(cells);
    }
    return model;
}

std::string accuracy_note(const ScalingTable& table) {
    if (!table.target_accuracy) return "No record carries the history of its training, so there is no time to accuracy.";
    return fmt::format(
        "Seconds of training and validation until the validation accuracy first reaches {:.3f}. That is what every repeat "
        "of the "
        "baseline reaches, unless `--accuracy` named another.",
        *table.target_accuracy);
}

std::vector<std::string> work_lines(const ScalingTable& table) {
    std::set<int64_t> images;
    std::set<std::string> isas;
    int repeats = 0;
    for (const ScalingRow& row : table.rows) {
        repeats = std::max(repeats, row.repeats);
        if (row.has_result) images.insert(row.images_trained), isas.insert(row.isa);
    }
    const int64_t batch = table.rows.empty() ? 0 : table.rows.front().point.global_batch;
    std::string work =
        fmt::format("Work of each run: {}, {} epoch{}", table.data, table.epochs, table.epochs == 1 ? "" : "s");
    if (images.size() == 1) work += fmt::format(", {} images trained on in all", *images.begin());
    work += fmt::format("; global batch {}{}, {} virtual ranks, {} reduction.", batch,
                        table.mode == "weak" ? " x ranks" : "", table.virtual_ranks, table.reduction);
    std::vector<std::string> lines{work};
    if (!isas.empty()) lines.push_back(fmt::format("Kernels: {}.", fmt::join(isas, ", ")));
    lines.push_back(fmt::format("Machine: {}.", table.machine));
    lines.push_back(repeats == 1 ? "One run of each point."
                                 : fmt::format("Medians of {} runs of each point, repeats interleaved.", repeats));
    return lines;
}

std::vector<std::string> reasons_of(const ScalingTable& table) {
    std::vector<std::string> reasons;
    for (const ScalingRow& row : table.rows)
        if (!row.point.reason.empty())
            reasons.push_back(fmt::format("{} {}: {}", row.point.id(), name_of(row.point.status), row.point.reason));
    return reasons;
}

}  // namespace

const char* const column_explanations =
    "Speed-up is images/s over the baseline's, with its interval by Hodges and Lehmann on logarithms. Efficiency is "
    "speed-up / "
    "N, N being ranks x threads over the baseline's threads. Karp-Flatt is the serial fraction that would explain the "
    "speed-up "
    "alone. Of the rows of one number of cores fits and verdicts take the fastest. Exposed is how long computing stands "
    "still "
    "for communication in a step, on the rank that waits longest; skew is what it waits longer than the rank that waits "
    "least, "
    "because its peers come late. scaling.csv holds more columns.";

const char* const factor_explanation =
    "Efficiency here is against one thread of the serial program, and exactly the product of nine factors, each the ratio "
    "of two "
    "times of this sweep (docs/factors.md). A factor below 1 is a loss; milliseconds are what it adds to the ideal step. In "
    "parentheses: 95% of a bootstrap over whole repeats. efficiency.csv has all of it.";

ScalingModel scaling_model(const ScalingTable& table) {
    ScalingModel model;
    model.title = fmt::format("{}: {} scaling of {}", table.name, table.mode, table.model);
    model.machine = table.machine;
    model.verdict = verdict_of(table);
    model.work = work_lines(table);
    model.speed = speed_table(table);
    model.quality = quality_table(table);
    model.power = table.power;
    model.notes = table.notes;
    model.reasons = reasons_of(table);
    model.factors = factor_tables(table);
    model.factor_intervals = factor_intervals(table);
    model.factor_items = factor_items(table);
    model.accuracy = accuracy_table(table);
    model.accuracy_note = accuracy_note(table);
    model.delays = delays_table(table);
    model.memory = memory_table(table);
    model.curve = curve_items(table);
    return model;
}

}  // namespace xbench
