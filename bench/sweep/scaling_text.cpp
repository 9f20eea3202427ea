// scaling.csv and scaling.md.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/base/text_table.h"
#include "bench/sweep/scaling_model.h"

namespace xbench {
namespace {

std::string number(const std::optional<double>& value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "";
}

std::vector<std::string> csv_fields(const ScalingRow& row, const std::optional<double>& target) {
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
    const ToAccuracy& to = row.to_accuracy;
    fields.push_back(row.timed() ? number(target, 3) : "");
    fields.push_back(to.reached() ? fmt::format("{:.6f}", to.seconds.median) : "");
    fields.push_back(number(to.ratio, 6));
    fields.push_back(to.why_not);
    return fields;
}

std::string markdown_of(const ModelTable& model) {
    std::vector<TextColumn> columns;
    for (const ModelColumn& column : model.columns)
        if (!column.page_only) columns.push_back({column.title, column.right});
    std::vector<std::vector<std::string>> rows;
    for (const std::vector<std::string>& cells : model.rows) {
        rows.emplace_back();
        for (size_t i = 0; i < cells.size(); ++i)
            if (!model.columns[i].page_only) rows.back().push_back(cells[i]);
    }
    return markdown_table(columns, rows);
}

// Breaks lines between words so that they are readable at 120 columns; an item's further lines are indented.
std::string wrapped(const std::string& text, const char* indent = "  ") {
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
            line = indent + line.substr(space + 1);
        }
        result += line + "\n";
        begin = end + 1;
    }
    return result;
}

std::string items(const std::vector<std::string>& texts) {
    std::string text;
    for (const std::string& one : texts) text += "- " + one + "\n";
    return wrapped(text);
}

// A section that only some runs have anything for.
std::string section(const char* heading, const std::string& sentence, const ModelTable& table) {
    if (table.rows.empty()) return "";
    return fmt::format("\n## {}\n\n", heading) + wrapped(sentence, "") + "\n" + markdown_of(table);
}

std::string factor_section(const ScalingModel& model) {
    std::string text = "\n## Where the efficiency went\n\n";
    if (!model.factors.empty()) text += wrapped(factor_explanation, "") + "\n";
    for (const ModelTable& table : model.factors) text += markdown_of(table) + "\n";
    return text + items(model.factor_items);
}

}  // namespace

std::string scaling_csv(const ScalingTable& table) {
    std::string text =
        "trainer,device,ranks,threads,stage,global_batch,images_per_second,ips_low,ips_high,step_ms,interval,speedup,"
        "efficiency,karp_flatt,"
        "contention,exposed_comm_ms,test_accuracy,test_loss,weights_hash,status,reason,test_balanced_accuracy,majority_"
        "baseline,train_seconds,"
        "images_trained,repeats,steady,isa,rank_skew_ms,emulated,interval_level,speedup_low,speedup_high,p_against_base,"
        "warmup,no_speedup,disturbed,validation_target,seconds_to_target,times_as_fast_to_target,no_time_to_target\n";
    for (const ScalingRow& row : table.rows) text += csv_line(csv_fields(row, table.target_accuracy));
    return text;
}

std::string scaling_markdown(const ScalingTable& table) {
    const ScalingModel model = scaling_model(table);
    std::vector<std::string> notes = model.notes;
    if (!model.power.empty()) notes.insert(notes.begin(), "Power: " + model.power + ".");
    notes.insert(notes.end(), model.reasons.begin(), model.reasons.end());
    const std::string warning = table.unpublishable.empty() ? "" : wrapped(table.unpublishable, "") + "\n";
    return warning + "# " + model.title + "\n\n" + wrapped(model.verdict, "") + "\n" + items(model.work) + "\n" +
           markdown_of(model.speed) + "\n" + markdown_of(model.quality) + "\n" + items(notes) + factor_section(model) +
           section("Time to accuracy", model.accuracy_note, model.accuracy) +
           section("Who is waited for", delay_explanation, model.delays) +
           section("Memory of a rank, MiB", "Of rank 0 while steps run.", model.memory) + "\n## What the curve says\n\n" +
           items(model.curve) + "\n" + wrapped(column_explanations, "");
}

}  // namespace xbench
