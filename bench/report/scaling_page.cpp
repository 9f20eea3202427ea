// The parts of the page, from top to bottom.
#include "bench/report/scaling_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/draw/html_page.h"
#include "bench/report/scaling_charts.h"

namespace xbench {
namespace {

using Cells = std::vector<std::string>;

std::string number(const std::optional<double>& value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "";
}

std::string interval(const std::optional<double>& low, const std::optional<double>& high, int digits) {
    return low && high ? fmt::format("{:.{}f} to {:.{}f}", *low, digits, *high, digits) : "";
}

// Notes are Markdown with nothing but bold and code in it.
std::string plain(std::string text) {
    std::string result;
    for (const char c : text)
        if (c != '*' && c != '`') result += c;
    return result;
}

const ScalingRow* fastest(const ScalingTable& table) {
    const ScalingRow* best = nullptr;
    for (const ScalingRow& row : table.rows)
        if (row.speedup && row.point.status == PointStatus::ok && row.relative_cores > 1 &&
            (best == nullptr || *row.speedup > *best->speedup))
            best = &row;
    return best;
}

std::string weights_verdict(const ScalingTable& table) {
    for (const std::string& note : table.notes)
        if (plain(note).rfind("Weights: ", 0) == 0) return " " + plain(note);
    return "";
}

std::string missing_rows(const ScalingTable& table) {
    const auto missing =
        std::count_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return !row.has_result; });
    if (missing == 0) return "";
    return fmt::format(" {} of {} rows ha{} no result.", missing, table.rows.size(), missing == 1 ? "s" : "ve");
}

struct PageTable {
    Cells header;
    std::vector<Cells> rows;
};

PageTable speed_table(const ScalingTable& table) {
    PageTable html{{"row", "ranks x threads", "images/s", "interval", "level", "step ms", "speed-up", "95% interval",
                    "efficiency", "Karp-Flatt", "p"},
                   {}};
    for (const ScalingRow& row : table.rows) {
        Cells cells{row.point.id(), fmt::format("{} x {}", row.point.ranks, row.point.threads)};
        if (row.timed()) {
            const Interval& rate = row.images_per_second;
            const Cells timed{fmt::format("{:.1f}", rate.median),
                              fmt::format("{:.1f} to {:.1f}", rate.low, rate.high),
                              rate.level > 0 ? fmt::format("{:.1f}%", 100 * rate.level) : "range",
                              fmt::format("{:.3f}", row.step_ms.median),
                              number(row.speedup, 3),
                              interval(row.speedup_low, row.speedup_high, 3),
                              number(row.efficiency, 3),
                              number(row.karp_flatt, 4),
                              row.speedup ? fmt::format("{:.2g}", row.p_against_base) : ""};
            cells.insert(cells.end(), timed.begin(), timed.end());
        }
        cells.resize(html.header.size());
        html.rows.push_back(cells);
    }
    return html;
}

PageTable quality_table(const ScalingTable& table) {
    PageTable html{
        {"row", "repeats", "noise", "step times", "exposed ms", "skew ms", "accuracy", "test loss", "weights", "status"},
        {}};
    for (const ScalingRow& row : table.rows) {
        Cells cells{row.point.id(), std::to_string(row.repeats)};
        if (row.timed())
            for (const std::string& text :
                 {fmt::format("{:.1f}%", 100 * row.noise), std::string(name_of(row.warmup)),
                  fmt::format("{:.3f}", row.exposed_comm_ms), fmt::format("{:.3f}", row.rank_skew_ms)})
                cells.push_back(text);
        cells.resize(6);
        for (const std::string& text : {number(row.test_accuracy, 4), number(row.test_loss, 4),
                                        row.weights_hash.substr(0, 8), std::string(name_of(row.point.status))})
            cells.push_back(text);
        html.rows.push_back(cells);
    }
    return html;
}

Cells why_not(const ScalingTable& table) {
    Cells reasons;
    for (const ScalingRow& row : table.rows) {
        if (!row.point.reason.empty())
            reasons.push_back(fmt::format("{} {}: {}", row.point.id(), name_of(row.point.status), row.point.reason));
        if (!row.no_speedup.empty())
            reasons.push_back(fmt::format("{} has no speed-up: it {}", row.point.id(), row.no_speedup));
    }
    return reasons;
}

// The lines of scaling.md below its heading, each an item.
Cells curve_lines(const ScalingTable& table) {
    Cells items;
    const std::string text = scaling_markdown(table);
    size_t at = text.find("## What the curve says");
    for (at = text.find('\n', at); at != std::string::npos && at < text.size();) {
        const size_t end = text.find('\n', at + 1);
        const std::string line = text.substr(at + 1, end - at - 1);
        if (line.rfind("Speed-up is", 0) == 0) break;
        if (line.rfind("- ", 0) == 0)
            items.push_back(line.substr(2));
        else if (line.rfind("  ", 0) == 0 && !items.empty())
            items.back() += line.substr(1);
        else if (!line.empty())
            items.push_back(line);
        at = end;
    }
    return items;
}

std::string words_of(const Json& environment) {
    std::string text;
    for (const Json& word : environment.value("command_line", Json::array()))
        if (word.is_string()) text += (text.empty() ? "" : " ") + word.get<std::string>();
    return text;
}

void add_provenance(HtmlPage& page, const RunFiles& run) {
    const Json build = run.environment.value("build", Json::object()),
               machine = run.environment.value("machine", Json::object());
    std::vector<std::pair<std::string, std::string>> facts{{"run", run.name},
                                                           {"measured", run.environment.value("time_utc", "not recorded")},
                                                           {"machine", machine_line(run.environment)}};
    for (const char* key : {"version", "commit", "flags"})
        if (build.contains(key) && build[key].is_string()) facts.emplace_back(key, build[key].get<std::string>());
    if (build.value("dirty", false)) facts.emplace_back("source", "changed since the commit");
    for (const char* key : {"host", "kernel"})
        if (machine.contains(key) && machine[key].is_string()) facts.emplace_back(key, machine[key].get<std::string>());
    if (!run.records.empty()) {
        facts.emplace_back("data", run.records.front().data_sha);
        facts.emplace_back("configuration", run.records.front().config_sha);
        facts.emplace_back("kernels", run.records.front().params.value("isa", ""));
    }
    page.facts(facts);
}

void add_charts(HtmlPage& page, const ScalingTable& table) {
    std::vector<std::string> charts;
    for (const std::string& svg : {speedup_svg(table), efficiency_svg(table), step_svg(table), accuracy_svg(table)})
        if (!svg.empty()) charts.push_back(svg);
    if (!charts.empty()) page.svgs_in_columns(charts);
}

void add_table(HtmlPage& page, const PageTable& table) { page.table(table.header, table.rows); }

}  // namespace

std::string verdict_of(const RunFiles& run) {
    const ScalingTable& table = run.table;
    const ScalingRow* best = fastest(table);
    std::string text = "No row has a speed-up.";
    if (best != nullptr) {
        const std::string bounds = interval(best->speedup_low, best->speedup_high, 2);
        text = fmt::format(
            "{} on {} x {} cores trains {:.2f} times as fast as the serial program{}, at an efficiency of {:.2f}.",
            family_of(*best), best->point.ranks, best->point.threads, *best->speedup,
            bounds.empty() ? "" : " (" + bounds + ")", best->efficiency.value_or(0));
    }
    return text + weights_verdict(table) + missing_rows(table);
}

std::string scaling_page(const RunFiles& run) {
    const ScalingTable& table = run.table;
    HtmlPage page(fmt::format("{}: {} scaling of {}", table.name, table.mode, table.model), table.machine);
    if (!run.complete)
        page.notice(HtmlPage::Notice::bad, "The sweep is still running, or was stopped: this report is not complete.");
    page.paragraph(verdict_of(run));
    page.heading("Speed-up and efficiency");
    add_charts(page, table);
    add_table(page, speed_table(table));
    page.paragraph(
        "Intervals of rates are by order statistics, at the level that so many repeats achieve. Those of speed-ups are by "
        "Hodges and Lehmann on logarithms. "
        "p is Mann and Whitney's against the baseline, by Holm over the rows.");
    if (!table.power.empty()) page.paragraph("Power: " + table.power + ".");
    page.heading("Results and waiting");
    add_table(page, quality_table(table));
    if (const Cells reasons = why_not(table); !reasons.empty()) page.list(reasons);
    page.heading("What a reader has to know");
    Cells notes;
    for (const std::string& note : table.notes) notes.push_back(plain(note));
    page.list(notes);
    page.heading("What the curve says");
    page.list(curve_lines(table));
    page.heading("Where it was measured");
    add_provenance(page, run);
    page.heading("How to run it again");
    page.paragraph("The command was: " + words_of(run.environment));
    page.paragraph("With the same configuration: xbench --config config.resolved.json --out NEW_FOLDER");
    page.paragraph(
        "Beside this file lie scaling.csv (all columns of these tables), records.jsonl (each repeat), config.resolved.json "
        "and env.json.");
    return page.text();
}

}  // namespace xbench
