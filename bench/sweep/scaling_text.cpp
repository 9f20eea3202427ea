// scaling.csv and scaling.md.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/base/text_table.h"
#include "bench/laws/laws.h"
#include "bench/sweep/factor_text.h"
#include "bench/sweep/scaling_table.h"

namespace xbench {
namespace {

std::string number(const std::optional<double>& value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "";
}

std::string rate(double value) { return fmt::format("{:.{}f}", value, value < 100 ? 1 : 0); }

std::vector<std::string> csv_fields(const ScalingRow& row) {
    const Point& p = row.point;
    std::vector<std::string> fields{p.trainer,
                                    p.device,
                                    std::to_string(p.ranks),
                                    std::to_string(p.threads),
                                    std::to_string(p.stage),
                                    std::to_string(p.global_batch)};
    const std::vector<std::string> result{fmt::format("{:.3f}", row.images_per_second.median),
                                          fmt::format("{:.3f}", row.images_per_second.low),
                                          fmt::format("{:.3f}", row.images_per_second.high),
                                          fmt::format("{:.6f}", row.step_ms.median),
                                          row.images_per_second.kind,
                                          number(row.speedup, 6),
                                          number(row.efficiency, 6),
                                          number(row.karp_flatt, 6),
                                          number(row.contention, 6),
                                          fmt::format("{:.6f}", row.exposed_comm_ms),
                                          number(row.test_accuracy, 6),
                                          number(row.test_loss, 6),
                                          row.weights_hash};
    const std::vector<std::string> more{number(row.test_balanced_accuracy, 6),
                                        number(row.majority_baseline, 6),
                                        fmt::format("{:.6f}", row.train_seconds),
                                        std::to_string(row.images_trained),
                                        std::to_string(row.repeats),
                                        row.steady ? "yes" : "no",
                                        row.isa,
                                        fmt::format("{:.6f}", row.rank_skew_ms)};
    // The times of both lists, which a row on an emulated GPU does not have.
    const auto add = [&](const std::vector<std::string>& values, const std::set<size_t>& times) {
        for (size_t i = 0; i < values.size(); ++i)
            fields.push_back(row.timed() || (row.has_result && times.count(i) == 0) ? values[i] : "");
    };
    add(result, {0, 1, 2, 3, 4, 9});
    fields.emplace_back(name_of(p.status));
    fields.push_back(p.reason);
    add(more, {2, 5, 7});
    fields.emplace_back(row.emulated ? "yes" : "no");
    fields.push_back(row.timed() && row.images_per_second.level > 0 ? fmt::format("{:.4f}", row.images_per_second.level)
                                                                    : "");
    fields.push_back(number(row.speedup_low, 6));
    fields.push_back(number(row.speedup_high, 6));
    fields.push_back(row.speedup ? fmt::format("{:.4g}", row.p_against_base) : "");
    fields.emplace_back(row.timed() ? name_of(row.warmup) : "");
    fields.push_back(row.no_speedup);
    fields.push_back(row.timed() ? std::to_string(row.disturbed) : "");
    return fields;
}

std::vector<std::string> name_cells(const Point& p) {
    const std::string name = p.trainer + (p.device == "cuda" && p.trainer != "gpu_ddp" ? " cuda" : "");
    return {p.stage > 0 ? fmt::format("{} stage {}", name, p.stage) : name, fmt::format("{} x {}", p.ranks, p.threads)};
}

std::vector<std::string> speed_cells(const ScalingRow& row) {
    std::vector<std::string> cells = name_cells(row.point);
    const std::vector<std::string> result{
        rate(row.images_per_second.median),
        fmt::format("{} - {}", rate(row.images_per_second.low), rate(row.images_per_second.high)),
        fmt::format("{:.3f}", row.step_ms.median),
        number(row.speedup, 2),
        number(row.efficiency, 2),
        number(row.karp_flatt, 3)};
    for (const std::string& value : result) cells.push_back(row.timed() ? value : "");
    if (row.emulated) cells[2] = "emulated";
    return cells;
}

std::vector<std::string> quality_cells(const ScalingRow& row) {
    std::vector<std::string> cells = name_cells(row.point);
    const std::vector<std::string> result{row.timed() ? fmt::format("{:.3f}", row.exposed_comm_ms) : "",
                                          row.timed() ? fmt::format("{:.3f}", row.rank_skew_ms) : "",
                                          number(row.test_accuracy, 4), number(row.test_loss, 4),
                                          row.weights_hash.substr(0, 8)};
    for (const std::string& value : result) cells.push_back(row.has_result ? value : "");
    cells.emplace_back(name_of(row.point.status));
    return cells;
}

// Two tables, so that each is readable at 120 columns; scaling.csv has all of it in one.
std::string tables_text(const ScalingTable& table) {
    const auto ran =
        std::find_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return row.has_result; });
    const std::string interval = ran == table.rows.end() ? "interval" : interval_name(ran->images_per_second);
    std::vector<std::vector<std::string>> speed, quality;
    for (const ScalingRow& row : table.rows) {
        speed.push_back(speed_cells(row));
        quality.push_back(quality_cells(row));
    }
    return markdown_table({{"trainer", false},
                           {"ranks x threads"},
                           {"images/s"},
                           {interval},
                           {"step ms"},
                           {"speed-up"},
                           {"efficiency"},
                           {"Karp-Flatt"}},
                          speed) +
           "\n" +
           markdown_table({{"trainer", false},
                           {"ranks x threads"},
                           {"exposed ms"},
                           {"skew ms"},
                           {"accuracy"},
                           {"test loss"},
                           {"weights", false},
                           {"status", false}},
                          quality);
}

int baseline_cores(const ScalingTable& table) {
    return table.baseline < 0 ? 1 : table.rows[static_cast<size_t>(table.baseline)].point.processors();
}

std::string parameters_text(const LawFit& fit) {
    std::string text;
    for (const Parameter& p : fit.parameters)
        text += fmt::format("{}{} {:.4g} ({:.4g} to {:.4g})", text.empty() ? "" : ", ", p.name, p.value, p.low, p.high);
    return text;
}

// At twice the largest core count that was measured, and no further. "" where the law says nothing about it.
std::string prediction(const ScalingTable& table, const TrainerFit& fit, const LawFit& law, int unit) {
    if (!law.predicts()) return "";
    const double ratio = law.seconds(1) / law.seconds(fit.furthest) * (table.mode == "weak" ? fit.furthest : 1);
    return fmt::format(" If it held, {:.0f} cores would give {:.2f}x.", fit.furthest * unit, ratio);
}

std::string law_text(const ScalingTable& table, const TrainerFit& fit, const LawFit& law) {
    std::string text = fmt::format("- {}: {}: {} over {} core counts, worst error {:.1f}%", fit.trainer, name_of(law.law),
                                   parameters_text(law), law.core_counts, 100 * law.worst_relative_error);
    if (law.rejected) return text + fmt::format("; rejected, p = {:.2g}.\n", law.p_value);
    text += law.tested ? fmt::format("; not rejected, p = {:.2f}.", law.p_value) : "; not tested, as there are no repeats.";
    return text + prediction(table, fit, law, baseline_cores(table)) + "\n";
}

std::string fits_text(const ScalingTable& table) {
    std::string text;
    for (const TrainerFit& fit : table.fits) {
        if (fit.core_counts < least_core_counts)
            text += fmt::format("- {}: no law is fitted: that takes {} core counts, and with the baseline's there are {}.\n",
                                fit.trainer, least_core_counts, fit.core_counts);
        for (const LawFit& law : fit.laws) text += law_text(table, fit, law);
    }
    return text.empty()
               ? "Nothing is fitted: that takes a serial row and a row with more cores than it, both with status ok.\n"
               : text;
}

// Karp-Flatt over the numbers of cores says whether the loss is a serial part or overhead that grows.
std::string karp_flatt_text(const ScalingTable& table) {
    std::string text;
    const int unit = baseline_cores(table);
    for (const TrainerFit& fit : table.fits) {
        if (fit.curve.size() < 2 || table.mode == "weak") continue;
        text += fmt::format("- {}: Karp-Flatt is", fit.trainer);
        for (const ScalingPoint& p : fit.curve)
            text += fmt::format("{} {:.3f} at {:.0f}", &p == &fit.curve.front() ? "" : ",",
                                karp_flatt(p.speedup, p.processors).value_or(0), p.processors * unit);
        text += fmt::format(" cores; {}.\n", meaning_of(fit.trend));
    }
    return text;
}

// Breaks lines between words so that they are readable at 120 columns; an item's further lines are indented.
std::string wrapped(const std::string& text) {
    constexpr size_t width = 118;
    std::string result;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        std::string line = text.substr(begin, end - begin);
        while (line.size() > width) {
            size_t space = line.rfind(' ', width);
            if (space == std::string::npos || space < 2) space = line.find(' ', width);
            if (space == std::string::npos) break;
            result += line.substr(0, space) + "\n";
            line = "  " + line.substr(space + 1);
        }
        result += line + "\n";
        begin = end + 1;
    }
    return result;
}

std::string work_text(const ScalingTable& table) {
    std::set<int64_t> images;
    std::set<std::string> isas;
    for (const ScalingRow& row : table.rows)
        if (row.has_result) images.insert(row.images_trained), isas.insert(row.isa);
    const int64_t batch = table.rows.empty() ? 0 : table.rows.front().point.global_batch;
    std::string text =
        fmt::format("- Work of each run: {}, {} epoch{}", table.data, table.epochs, table.epochs == 1 ? "" : "s");
    if (images.size() == 1) text += fmt::format(", {} images trained on in all", *images.begin());
    text += fmt::format("; global batch {}{}, {} virtual ranks, {} reduction.\n", batch,
                        table.mode == "weak" ? " x ranks" : "", table.virtual_ranks, table.reduction);
    if (!isas.empty()) text += fmt::format("- Kernels: {}.\n", fmt::join(isas, ", "));
    return text + fmt::format("- Machine: {}.\n", table.machine);
}

constexpr const char* explanations =
    "\nSpeed-up is images/s over the baseline's. Efficiency is speed-up / N, N being ranks x threads over the baseline's\n"
    "threads. Karp-Flatt is the serial fraction that would explain the speed-up alone. Of the rows of one number of cores\n"
    "fits and verdicts take the fastest. Exposed is how long computing stands still for communication in a step, on the\n"
    "rank that waits longest; skew is what it waits longer than the rank that waits least, because its peers come late.\n"
    "scaling.csv holds more columns.\n";

}  // namespace

std::string scaling_csv(const ScalingTable& table) {
    std::string text =
        "trainer,device,ranks,threads,stage,global_batch,images_per_second,ips_low,ips_high,step_ms,interval,speedup,"
        "efficiency,karp_flatt,"
        "contention,exposed_comm_ms,test_accuracy,test_loss,weights_hash,status,reason,test_balanced_accuracy,majority_"
        "baseline,train_seconds,"
        "images_trained,repeats,steady,isa,rank_skew_ms,emulated,interval_level,speedup_low,speedup_high,p_against_base,"
        "warmup,no_speedup,disturbed\n";
    for (const ScalingRow& row : table.rows) text += csv_line(csv_fields(row));
    return text;
}

std::string scaling_markdown(const ScalingTable& table) {
    int repeats = 0;
    for (const ScalingRow& row : table.rows) repeats = std::max(repeats, row.repeats);
    std::string text = table.unpublishable.empty() ? "" : table.unpublishable + "\n\n";
    text += fmt::format("# {}: {} scaling of {}\n\n", table.name, table.mode, table.model);
    text += work_text(table) +
            fmt::format("- {}\n\n", repeats == 1
                                        ? "One run of each point."
                                        : fmt::format("Medians of {} runs of each point, repeats interleaved.", repeats));
    std::string notes = table.power.empty() ? "" : fmt::format("- Power: {}.\n", table.power);
    for (const std::string& note : table.notes) notes += "- " + note + "\n";
    for (const ScalingRow& row : table.rows)
        if (!row.point.reason.empty())
            notes += fmt::format("- {} {}: {}\n", row.point.id(), name_of(row.point.status), row.point.reason);
    const std::string factors = factor_lines(table);
    const std::string went =
        factors.empty() ? "" : "\n## Where the efficiency went\n\n" + factor_tables(table) + wrapped(factors);
    return wrapped(text) + tables_text(table) + "\n" + wrapped(notes) + went +
           wrapped("\n## What the curve says\n\n" + fits_text(table) + karp_flatt_text(table) + explanations);
}

}  // namespace xbench
