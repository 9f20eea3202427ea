// Runs the checks over every table of a file, judges the relations, and names the cells that would repair it.
#include "bench/audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace xbench::audit {
namespace {

std::string row_name(const Group& group, int row) {
    for (const Row& candidate : group.rows)
        if (candidate.index == row) return candidate.name;
    return "";
}

Level level_of(Verdict verdict) {
    return verdict == Verdict::consistent     ? Level::consistent
           : verdict == Verdict::if_truncated ? Level::if_truncated
                                              : Level::impossible;
}

std::string result_text(const Table& table, const Relation& relation) {
    const Range range = expected(table, relation);
    if (!relation.solve) return fmt::format("{}: there {}", relation.text, "is none that fits");
    const Cell& cell = table.cells[static_cast<size_t>(relation.cells[0])];
    const double shown = 1 / cell.printed.scale;
    return fmt::format("{} {} is printed; {} gives {}{}", cell.column, cell.printed.text, relation.text,
                       range_text({range.low * shown, range.high * shown}), cell.printed.percent ? "%" : "");
}

Finding finding_of(const Table& table, const Group& group, const Relation& relation, Verdict verdict) {
    Finding finding{relation.check, level_of(verdict), group.name, row_name(group, relation.row), ""};
    if (!relation.solve && verdict != Verdict::impossible)
        finding.text = relation.text + ": there are some";
    else
        finding.text = result_text(table, relation);
    return finding;
}

// What a cell may become, with as many digits as it was printed with.
std::string printed_like(const Cell& cell, const Range& to) {
    const double scale = 1 / cell.printed.scale;
    if (cell.whole()) return fmt::format("{:g}", to.low);
    const int decimals = std::clamp(static_cast<int>(std::lround(-std::log10(cell.printed.unit * scale))), 0, 9);
    std::string text = fmt::format("{:.{}f}{}", (to.low + to.high) / 2 * scale, decimals, cell.printed.percent ? "%" : "");
    if (cell.printed.text.front() == '.' && text.starts_with("0.")) text.erase(0, 1);
    return text;
}

void add_repairs(const Table& table, const Group& group, const std::vector<Repair>& repairs, Report& report) {
    for (const Repair& repair : repairs) {
        const Cell& cell = table.cells[static_cast<size_t>(repair.cell)];
        NamedRepair named{
            group.name, row_name(group, cell.row), cell.column, cell.printed.text, printed_like(cell, repair.to),
            cell.row,   repairs.size() == 1,       ""};
        named.text = fmt::format("{}, {}: {} -> {}", named.row, named.column, named.from, named.to);
        report.repairs.push_back(std::move(named));
    }
}

// One cell that repairs the whole table; else, row by row, one of that row.
void find_repairs(const Table& table, const Group& group, const std::vector<Relation>& relations, Report& report) {
    const std::vector<Repair> whole = single_cell_repairs(table, relations);
    if (!whole.empty()) return add_repairs(table, group, whole, report);
    std::set<int> rows;
    for (const Relation& relation : relations)
        if (relation.row >= 0 && judge(table, relation) == Verdict::impossible) rows.insert(relation.row);
    for (const int row : rows) {
        const std::vector<Repair> repairs = single_cell_repairs(table, relations, row);
        if (repairs.empty())
            report.findings.push_back(
                {2, Level::remark, group.name, row_name(group, row), "no change of one cell makes this row consistent"});
        add_repairs(table, group, repairs, report);
    }
}

}  // namespace

const char* name_of(Level level) {
    constexpr const char* names[] = {"consistent", "consistent if truncated", "impossible", "remark"};
    return names[static_cast<int>(level)];
}

bool Report::impossible() const {
    return std::any_of(findings.begin(), findings.end(),
                       [](const Finding& finding) { return finding.level == Level::impossible; });
}

Report audit(const CsvTable& csv) {
    const Table table = audit_table(csv);
    Report report;
    report.path = csv.path;
    report.ignored = table.ignored;
    for (const Group& group : table.groups) {
        std::vector<Relation> relations;
        const Work work{table, group, relations, report.findings};
        check_scaling(work);
        check_scores(work);
        for (const Relation& relation : relations) {
            const Verdict verdict = judge(table, relation);
            report.findings.push_back(finding_of(table, group, relation, verdict));
            ++report.relations;
        }
        find_repairs(table, group, relations, report);
    }
    std::stable_sort(report.findings.begin(), report.findings.end(), [](const Finding& a, const Finding& b) {
        return a.table != b.table ? a.table < b.table : a.check < b.check;
    });
    return report;
}

}  // namespace xbench::audit
