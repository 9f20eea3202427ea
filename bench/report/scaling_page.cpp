// The sections, from top to bottom. Words and tables are those of bench/sweep/scaling_model.h.
#include "bench/report/scaling_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/report/report_parts.h"
#include "bench/report/row_charts.h"
#include "bench/report/scaling_charts.h"

namespace xbench {
namespace {

void add_charts(HtmlPage& page, const std::vector<std::string>& all) {
    std::vector<std::string> charts;
    for (const std::string& svg : all)
        if (!svg.empty()) charts.push_back(svg);
    if (!charts.empty()) page.svgs_in_columns(charts);
}

void add_speed(HtmlPage& page, const ScalingTable& table, const ScalingModel& model) {
    page.heading("Speed-up and efficiency");
    add_charts(page, {speedup_svg(table), efficiency_svg(table), step_svg(table)});
    add_table(page, model.speed, scaling_csv(table));
    page.paragraph(
        "Intervals of rates are by order statistics, at the level that so many repeats achieve. Those of speed-ups are by "
        "Hodges and Lehmann on logarithms. p is Mann and Whitney's against the baseline, by Holm over the rows.");
    if (!model.power.empty()) page.paragraph("Power: " + model.power + ".");
    page.heading("What the curve says");
    page.list(plain_texts(model.curve));
}

void add_efficiency(HtmlPage& page, const ScalingTable& table, const ScalingModel& model) {
    page.heading("Where the efficiency went");
    const std::vector<std::string> waterfalls = waterfall_svgs(table);
    if (!waterfalls.empty()) {
        page.paragraph(factor_explanation);
        page.svgs_in_columns(waterfalls);
        for (const ModelTable& factors : model.factors) add_table(page, factors);
        page.begin_folded("Each factor with its interval");
        add_table(page, model.factor_intervals, efficiency_csv(table.efficiency));
        page.end_folded();
    }
    const std::vector<std::string> words = plain_texts(model.factor_items);
    if (waterfalls.empty()) return page.list(words);
    page.begin_folded("The same in words, and why a row has no factors");
    page.list(words);
    page.end_folded();
}

void add_results(HtmlPage& page, const ScalingTable& table, const ScalingModel& model) {
    page.heading("Accuracy, loss and waiting");
    add_charts(page, {accuracy_svg(table), loss_svg(table)});
    add_table(page, model.quality, scaling_csv(table));
    if (!model.reasons.empty()) page.list(plain_texts(model.reasons));
    page.heading("Time to accuracy");
    page.paragraph(plain_text(model.accuracy_note));
    add_charts(page, {seconds_to_accuracy_svg(table), accuracy_over_seconds_svg(table)});
    add_table(page, model.accuracy, scaling_csv(table));
    std::vector<std::string> reasons;
    for (const ScalingRow& row : table.rows)
        if (row.timed() && table.target_accuracy && !row.to_accuracy.why_not.empty())
            reasons.push_back(fmt::format("{}: {}", row.point.id(), row.to_accuracy.why_not));
    if (!reasons.empty()) page.list(reasons);
}

void add_waiting_and_memory(HtmlPage& page, const ScalingTable& table, const ScalingModel& model) {
    if (!model.delays.rows.empty()) {
        page.heading("Who is waited for");
        page.paragraph(delay_explanation);
        add_table(page, model.delays, delays_csv(table));
    }
    page.heading("Memory");
    if (model.memory.rows.empty()) return page.paragraph("The records hold no ledger of memory by purpose.");
    page.svg(memory_svg(table));
    add_table(page, model.memory, memory_csv(table), "MiB of rank 0 while steps run");
}

}  // namespace

void add_scaling(HtmlPage& page, const RunFiles& run, const KernelResults& kernels) {
    const ScalingTable& table = run.table;
    const ScalingModel model = scaling_model(table);
    if (!run.complete)
        page.notice(HtmlPage::Notice::bad, "The sweep is still running, or was stopped: this report is not complete.");
    if (!table.unpublishable.empty()) page.notice(HtmlPage::Notice::bad, plain_text(table.unpublishable));
    page.paragraph(plain_text(model.verdict));
    page.list(plain_texts(model.work));
    add_speed(page, table, model);
    add_efficiency(page, table, model);
    add_results(page, table, model);
    add_waiting_and_memory(page, table, model);
    if (!kernels.kernels.empty()) add_kernels(page, kernels);
    page.heading("What a reader has to know");
    page.list(plain_texts(model.notes));
    page.heading("Where it was measured");
    std::vector<std::pair<std::string, std::string>> more;
    if (!run.records.empty()) {
        const Record& first = run.records.front();
        const auto isa = first.params.find("isa");
        more = {{"data", first.data_sha},
                {"configuration", first.config_sha},
                {"kernels", isa != first.params.end() && isa->is_string() ? isa->get<std::string>() : ""}};
    }
    add_environment(page, run.run_id, run.environment, more);
    page.heading("How to run it again");
    add_command(page, run.environment, "xbench --config config.resolved.json --out NEW_FOLDER");
    page.paragraph(
        "Beside this file lie the tables as CSV, records.jsonl (each repeat), config.resolved.json and env.json. This page "
        "and "
        "the tables are made again from them, byte for byte, by:");
    page.code("xbench report FOLDER");
}

std::string scaling_page(const RunFiles& run, const KernelResults& kernels) {
    HtmlPage page(fmt::format("{}: {} scaling of {}", run.table.name, run.table.mode, run.table.model), run.table.machine);
    add_scaling(page, run, kernels);
    return page.text();
}

}  // namespace xbench
