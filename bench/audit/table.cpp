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
        const auto time = column.role == Role::seconds ? parse_time(text) : std::nullopt;  // its unit, not the header's
        auto printed = time ? time : parse_printed(text);
        if (!printed)
            throw UsageError(fmt::format("\"{}\" in column {} is no number", text, csv.header[c]),
                             fmt::format("{}:{}", csv.path, csv.lines[r]), "leave the field empty where there is none");
        if (!time) fit_unit(*printed, column);
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

char separator_of(const std::string& text) {
    const std::string header = text.substr(0, text.find('\n'));
    char best = ',';
    for (const char separator : {';', '\t'})
        if (std::count(header.begin(), header.end(), separator) > std::count(header.begin(), header.end(), best))
            best = separator;
    return best;
}

// Digits around the one comma of a number; -1 where the cell has no such comma.
int digits_behind_comma(const std::string& cell) {
    const auto is_digit = [&](size_t at) { return at < cell.size() && cell[at] >= '0' && cell[at] <= '9'; };
    const size_t comma = cell.find(',');
    if (comma == std::string::npos || comma == 0 || cell.find(',', comma + 1) != std::string::npos ||
        cell.find('.') != std::string::npos || !is_digit(comma - 1))
        return -1;
    int digits = 0;
    while (is_digit(comma + 1 + static_cast<size_t>(digits))) ++digits;
    return digits > 0 ? digits : -1;
}

void read_decimal_commas(CsvTable& csv) {
    const auto is_decimal = [](const std::string& cell) {
        const int digits = digits_behind_comma(cell);
        return digits > 0 && (digits != 3 || cell.starts_with("0,"));
    };
    const bool decimal = std::any_of(csv.rows.begin(), csv.rows.end(), [&](const std::vector<std::string>& row) {
        return std::any_of(row.begin(), row.end(), is_decimal);
    });
    if (!decimal) return;
    for (std::vector<std::string>& row : csv.rows)
        for (std::string& cell : row)
            if (digits_behind_comma(cell) > 0) cell[cell.find(',')] = '.';
}

}  // namespace

CsvTable parse_table(const std::string& text, const std::string& path) {
    const char separator = separator_of(text);
    CsvTable csv = parse_csv(text, path, separator);
    if (separator != ',') read_decimal_commas(csv);
    return csv;
}

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
