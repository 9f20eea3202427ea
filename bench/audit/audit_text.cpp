// The report of an audit as Markdown, as sentences, as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "bench/audit/audit.h"
#include "bench/base/text_table.h"

namespace xbench::audit {
namespace {

std::string place(const std::string& table, const std::string& row) {
    return table.empty() || row.empty() ? table + row : table + ", " + row;
}

int count_of(const Report& report, Level level) {
    return static_cast<int>(
        std::count_if(report.findings.begin(), report.findings.end(), [&](const Finding& f) { return f.level == level; }));
}

std::string verdict_line(const Report& report) {
    const int impossible = count_of(report, Level::impossible), truncated = count_of(report, Level::if_truncated);
    std::string text = fmt::format("{}: {} relations judged; ", report.path, report.relations);
    text += impossible > 0 ? fmt::format("{} impossible", impossible) : "nothing is impossible";
    if (truncated > 0) text += fmt::format(", {} consistent if digits were cut off", truncated);
    return text + fmt::format(", {} remarks.\n", count_of(report, Level::remark));
}

std::string repairs_text(const Report& report, const std::string& bullet) {
    std::string text;
    for (const NamedRepair& repair : report.repairs)
        text += fmt::format("{}{}{}{}\n", bullet, repair.table.empty() ? "" : repair.table + ", ", repair.text,
                            repair.only ? "" : " (one of several)");
    return text;
}

std::string ignored_text(const Report& report) {
    return report.ignored.empty() ? ""
                                  : fmt::format("\nColumns that no check reads: {}.\n", fmt::join(report.ignored, ", "));
}

}  // namespace

std::string audit_markdown(const Report& report) {
    std::vector<std::vector<std::string>> rows;
    for (const Finding& finding : report.findings)
        rows.push_back(
            {std::to_string(finding.check), place(finding.table, finding.row), name_of(finding.level), finding.text});
    std::string text =
        verdict_line(report) + "\n" + markdown_table({{"check"}, {"row", false}, {"verdict", false}, {"what", false}}, rows);
    if (!report.repairs.empty())
        text += "\nA change of one cell that would make it consistent:\n" + repairs_text(report, "- ");
    return text + ignored_text(report);
}

std::string audit_text(const Report& report) {
    std::string text = verdict_line(report);
    for (const Level level : {Level::impossible, Level::if_truncated, Level::remark, Level::consistent})
        for (const Finding& finding : report.findings) {
            if (finding.level != level) continue;
            const std::string where = place(finding.table, finding.row);
            text += fmt::format("{}: {}{} [{}]\n", name_of(level), where.empty() ? "" : where + ": ", finding.text,
                                finding.check);
        }
    return text + repairs_text(report, "repair: ") + ignored_text(report);
}

Json to_json(const Report& report) {
    Json findings = Json::array(), repairs = Json::array();
    for (const Finding& f : report.findings)
        findings.push_back(
            Json{{"check", f.check}, {"verdict", name_of(f.level)}, {"table", f.table}, {"row", f.row}, {"text", f.text}});
    for (const NamedRepair& r : report.repairs)
        repairs.push_back(Json{
            {"table", r.table}, {"row", r.row}, {"column", r.column}, {"from", r.from}, {"to", r.to}, {"only", r.only}});
    return Json{{"table", report.path},
                {"relations", report.relations},
                {"impossible", count_of(report, Level::impossible)},
                {"if_truncated", count_of(report, Level::if_truncated)},
                {"findings", findings},
                {"repairs", repairs},
                {"ignored_columns", report.ignored}};
}

}  // namespace xbench::audit
