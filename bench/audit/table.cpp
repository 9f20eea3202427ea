// Reads cells by what their columns are.
#include "bench/audit/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "bench/audit/columns.h"
#include "core/error.h"

namespace xbench::audit {
namespace {

bool is_word(Role role) {
    return role == Role::name || role == Role::table || role == Role::device || role == Role::base || role == Role::mode ||
           role == Role::evaluated_on || role == Role::other;
}

bool is_missing(const std::string& text) {
    static const std::set<std::string> words{"",       "na",    "nan",     "none", "null", "oom", "outofmemory",
                                             "failed", "error", "timeout", "tbd"};
    return words.contains(plain(text));
}

void take_word(Row& row, Role role, const std::string& text) {
    if (role == Role::name) row.name += (row.name.empty() ? "" : " ") + text;
    if (role == Role::device) row.device = text;
    if (role == Role::mode) row.mode = plain(text);
    if (role == Role::evaluated_on) row.evaluated_on = text;
    if (role == Role::base) row.marked_base = !is_missing(text) && plain(text) != "no" && plain(text) != "0";
}

void multiply(Printed& printed, double factor) {
    printed.value *= factor;
    printed.unit *= factor;
    printed.scale *= factor;
}

// Shares in percent without a % are known by their size: nobody prints an accuracy of 87.2 otherwise.
void fit_unit(Printed& printed, const Column& column) {
    const double whole = column.role == Role::efficiency ? 8 : 2;
    if (printed.percent) return;
    multiply(printed, column.factor);
    if (is_share(column.role) && column.factor == 1 && printed.value > whole) multiply(printed, 0.01);
}

bool is_divisor(Role role) {
    return role == Role::ranks || role == Role::threads || role == Role::seconds || role == Role::rate ||
           role == Role::speedup || role == Role::efficiency || role == Role::n_test || role == Role::images ||
           role == Role::epochs || role == Role::batch || role == Role::steps || role == Role::steps_per_epoch ||
           role == Role::images_per_epoch;
}

Row read_row(Table& table, const CsvTable& csv, const std::vector<Column>& columns, size_t r) {
    Row row;
    row.index = static_cast<int>(r);
    for (size_t c = 0; c < columns.size(); ++c) {
        const std::string& text = csv.rows[r][c];
        const Column& column = columns[c];
        if (is_word(column.role)) {
            take_word(row, column.role, text);
            continue;
        }
        if (is_missing(text)) continue;
        auto printed = parse_printed(text);
        if (!printed)
            throw UsageError(fmt::format("\"{}\" in column {} is no number", text, csv.header[c]),
                             fmt::format("{}:{}", csv.path, csv.lines[r]), "leave the field empty where there is none");
        fit_unit(*printed, column);
        if (is_divisor(column.role) && printed->value <= 0)
            throw UsageError(fmt::format("{} in column {} is not above 0", text, csv.header[c]),
                             fmt::format("{}:{}", csv.path, csv.lines[r]), "leave the field empty where there is none");
        const int id = static_cast<int>(table.cells.size());
        table.cells.push_back({*printed, column.role, row.index, csv.header[c]});
        if (column.role == Role::count)
            row.counts.push_back(id);
        else
            row.cells.emplace(column.role, id);
    }
    return row;
}

}  // namespace

bool Cell::is_share() const { return role != Role::efficiency && audit::is_share(role); }

bool Cell::whole() const {
    switch (role) {
        case Role::ranks:
        case Role::threads:
        case Role::images:
        case Role::images_per_epoch:
        case Role::batch:
        case Role::steps:
        case Role::steps_per_epoch:
        case Role::epochs:
        case Role::support:
        case Role::n_test:
        case Role::repeats:
        case Role::true_positive:
        case Role::false_positive:
        case Role::false_negative:
        case Role::true_negative:
        case Role::count: return true;
        default: return false;
    }
}

Range Cell::range(Rounding rounding) const { return whole() ? exactly(printed.value) : range_of(printed, rounding); }

bool Group::has(Role role) const {
    return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.has(role); });
}

double Table::processors(const Row& row) const {
    if (!row.has(Role::ranks) && !row.has(Role::threads)) return 0;
    return (row.has(Role::ranks) ? value(row, Role::ranks) : 1) * (row.has(Role::threads) ? value(row, Role::threads) : 1);
}

Table audit_table(const CsvTable& csv) {
    Table table;
    const std::vector<Column> columns = columns_of(csv.header);
    for (size_t i = 0; i < columns.size(); ++i)
        if (columns[i].role == Role::other && !csv.header[i].empty()) table.ignored.push_back(csv.header[i]);
    if (std::all_of(columns.begin(), columns.end(), [](const Column& column) { return is_word(column.role); }))
        throw UsageError("has no column that a check reads", csv.path,
                         "name columns ranks, threads, seconds, images_per_second, speedup, efficiency, accuracy, n_test, "
                         "precision, recall, f1, support ...");
    for (size_t r = 0; r < csv.rows.size(); ++r) {
        std::string name;
        for (size_t c = 0; c < columns.size(); ++c)
            if (columns[c].role == Role::table) name = csv.rows[r][c];
        auto group = std::find_if(table.groups.begin(), table.groups.end(), [&](const Group& g) { return g.name == name; });
        if (group == table.groups.end()) {
            table.groups.push_back({name, {}, {}});
            group = table.groups.end() - 1;
            for (const Column& column : columns)
                if (column.role == Role::count) group->predicted.push_back(column.name);
        }
        group->rows.push_back(read_row(table, csv, columns, r));
        if (group->rows.back().name.empty()) group->rows.back().name = fmt::format("row {}", group->rows.size());
    }
    return table;
}

}  // namespace xbench::audit
