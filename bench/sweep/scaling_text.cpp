// scaling.csv and scaling.md.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/base/text_table.h"
#include "bench/sweep/scaling_table.h"

namespace xbench {
namespace {

std::string number(const std::optional<double>& value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "";
}

std::string rate(double value) { return fmt::format("{:.{}f}", value, value < 100 ? 1 : 0); }

std::string shortened(const std::string& text, size_t length) {
    return text.size() <= length ? text : text.substr(0, length - 3) + "...";
}

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
                                          fmt::format("{:.6f}", row.test_accuracy),
                                          fmt::format("{:.6f}", row.test_loss),
                                          row.weights_hash};
    const std::vector<std::string> more{fmt::format("{:.6f}", row.test_balanced_accuracy),
                                        fmt::format("{:.6f}", row.majority_baseline),
                                        fmt::format("{:.6f}", row.train_seconds),
                                        std::to_string(row.images_trained),
                                        std::to_string(row.repeats),
                                        row.steady ? "yes" : "no",
                                        row.isa,
                                        fmt::format("{:.6f}", row.rank_skew_ms)};
    const auto add = [&](const std::vector<std::string>& values) {
        for (const std::string& value : values) fields.push_back(row.has_result ? value : "");
    };
    add(result);
    fields.emplace_back(name_of(p.status));
    fields.push_back(p.reason);
    add(more);
    return fields;
}

std::vector<std::string> markdown_cells(const ScalingRow& row) {
    const Point& p = row.point;
    std::vector<std::string> cells{p.stage > 0 ? fmt::format("{} stage {}", p.trainer, p.stage) : p.trainer,
                                   fmt::format("{} x {}", p.ranks, p.threads)};
    const std::vector<std::string> result{
        rate(row.images_per_second.median),
        fmt::format("{} - {}", rate(row.images_per_second.low), rate(row.images_per_second.high)),
        fmt::format("{:.3f}", row.step_ms.median),
        number(row.speedup, 2),
        number(row.efficiency, 2),
        number(row.karp_flatt, 3),
        fmt::format("{:.3f}", row.exposed_comm_ms),
        fmt::format("{:.3f}", row.rank_skew_ms),
        fmt::format("{:.4f}", row.test_accuracy),
        fmt::format("{:.4f}", row.test_balanced_accuracy),
        fmt::format("{:.4f}", row.test_loss),
        row.weights_hash.substr(0, 8)};
    for (const std::string& value : result) cells.push_back(row.has_result ? value : "");
    cells.emplace_back(name_of(p.status));
    cells.push_back(shortened(p.reason, 60));
    return cells;
}

std::string table_text(const ScalingTable& table) {
    const auto ran =
        std::find_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return row.has_result; });
    const std::string interval = ran == table.rows.end()                               ? "interval"
                                 : std::string(ran->images_per_second.kind) == "range" ? "min - max"
                                                                                       : "95% interval";
    const std::vector<TextColumn> columns{{"trainer", false},  {"ranks x threads"}, {"images/s"},      {interval},
                                          {"step ms"},         {"speed-up"},        {"efficiency"},    {"Karp-Flatt"},
                                          {"exposed comm ms"}, {"of it skew"},      {"test accuracy"}, {"balanced"},
                                          {"test loss"},       {"weights", false},  {"status", false}, {"reason", false}};
    std::vector<std::vector<std::string>> rows;
    for (const ScalingRow& row : table.rows) rows.push_back(markdown_cells(row));
    return markdown_table(columns, rows);
}

std::string amdahl_sentence(const TrainerFit& fit) {
    const ScalingFit& amdahl = *fit.amdahl;
    const double f = amdahl.serial_fraction;
    std::string text = fmt::format("- {}: Amdahl's serial fraction is {:.4f}, by least squares over {} point{}", fit.trainer,
                                   f, amdahl.points, amdahl.points == 1 ? "" : "s");
    if (amdahl.points > 1) text += fmt::format(" (worst error {:.1f}%)", 100 * amdahl.worst_relative_error);
    text +=
        f > 0 ? fmt::format(". If it held, 8 cores would give {:.2f}x, 16 {:.2f}x, and no number of them more than {:.1f}x.",
                            amdahl_speedup(f, 8), amdahl_speedup(f, 16), 1 / f)
              : ": no serial part can be seen at these sizes.";
    if (amdahl.points == 1)
        text += " One point is always met exactly, so this is a description and not a test of the model.";
    return text + "\n";
}

std::string fits_text(const ScalingTable& table) {
    std::string text;
    for (const TrainerFit& fit : table.fits) {
        if (table.mode == "weak" && fit.gustafson)
            text += fmt::format("- {}: Gustafson's serial fraction is {:.4f} over {} points.\n", fit.trainer,
                                fit.gustafson->serial_fraction, fit.gustafson->points);
        else if (fit.amdahl)
            text += amdahl_sentence(fit);
        if (fit.usl)
            text += fmt::format("- {}: USL contention {:.4f}, coherency {:.5f} (worst error {:.1f}%).\n", fit.trainer,
                                fit.usl->serial_fraction, fit.usl->coherency, 100 * fit.usl->worst_relative_error);
    }
    return text.empty()
               ? "Nothing is fitted: that takes a serial row and a row with more than one core, both with status ok.\n"
               : text;
}

// Karp-Flatt over N says whether the loss is a serial part or overhead that grows.
std::string karp_flatt_text(const ScalingTable& table) {
    std::vector<const ScalingRow*> rows;
    for (const ScalingRow& row : table.rows)
        if (row.karp_flatt && row.point.status == PointStatus::ok && row.point.trainer == "cpu_ddp") rows.push_back(&row);
    if (rows.size() < 2) return "";
    std::stable_sort(rows.begin(), rows.end(),
                     [](const ScalingRow* a, const ScalingRow* b) { return a->point.processors() < b->point.processors(); });
    const double first = *rows.front()->karp_flatt, last = *rows.back()->karp_flatt;
    const char* meaning = last > 1.2 * first + 0.01 ? "it rises: overhead that grows with the ranks, not a fixed serial part"
                                                    : "it does not rise: a fixed serial part explains the loss";
    return fmt::format("- cpu_ddp: Karp-Flatt goes from {:.3f} at {} to {:.3f} at {} cores; {}.\n", first,
                       rows.front()->point.processors(), last, rows.back()->point.processors(), meaning);
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

}  // namespace

std::string scaling_csv(const ScalingTable& table) {
    std::string text =
        "trainer,device,ranks,threads,stage,global_batch,images_per_second,ips_low,ips_high,step_ms,interval,speedup,"
        "efficiency,karp_flatt,"
        "contention,exposed_comm_ms,test_accuracy,test_loss,weights_hash,status,reason,test_balanced_accuracy,majority_"
        "baseline,train_seconds,"
        "images_trained,repeats,steady,isa,rank_skew_ms\n";
    for (const ScalingRow& row : table.rows) text += csv_line(csv_fields(row));
    return text;
}

std::string scaling_markdown(const ScalingTable& table) {
    int repeats = 0;
    for (const ScalingRow& row : table.rows) repeats = std::max(repeats, row.repeats);
    std::string text = fmt::format("# {}: {} scaling of {}\n\n", table.name, table.mode, table.model);
    text += work_text(table) +
            fmt::format("- {}\n\n", repeats == 1
                                        ? "One run of each point."
                                        : fmt::format("Medians of {} runs of each point, repeats interleaved.", repeats));
    text += table_text(table) + "\n";
    for (const std::string& note : table.notes) text += "- " + note + "\n";
    for (const ScalingRow& row : table.rows)
        if (row.point.reason.size() > 60)
            text += fmt::format("- {} {}: {}\n", row.point.id(), name_of(row.point.status), row.point.reason);
    text += "\n## What the curve says\n\n" + fits_text(table) + karp_flatt_text(table);
    text +=
        "\nSpeed-up is images/s over the baseline's; efficiency is speed-up / (ranks x threads); Karp-Flatt is the serial "
        "fraction that would\n"
        "explain the speed-up alone; exposed communication is how long computing stands still for it, on the rank that "
        "waits\n"
        "longest; of it, skew is what it waits longer than the rank that waits least, because its peers come late.\n";
    return text;
}

}  // namespace xbench
