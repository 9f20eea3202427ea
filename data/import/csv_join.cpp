// One table after the other: an index of its rows by their keys, then a look-up for each row of the first.
#include "data/import/csv_join.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"
#include "data/import/csv_labels.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

constexpr char between_keys = '\x1f';  // in no table of text

struct KeyColumns {
    std::vector<size_t> ours, theirs;
    std::vector<std::string> names;  // theirs
};

constexpr const char* name_keys = "name keys that both tables have: --join FILE:KEY+KEY, or THEIRS=OURS";

KeyColumns named_keys(const std::string& keys, const CsvTable& ours, const CsvTable& theirs) {
    KeyColumns columns;
    for (const std::string& key : split_text(keys, '+')) {
        const size_t equals = key.find('=');
        const std::string there = trimmed(key.substr(0, equals));
        columns.theirs.push_back(column_named(theirs, there, name_keys));
        columns.ours.push_back(
            column_named(ours, equals == std::string::npos ? there : trimmed(key.substr(equals + 1)), name_keys));
        columns.names.push_back(there);
    }
    return columns;
}

KeyColumns shared_keys(const CsvTable& ours, const CsvTable& theirs) {
    KeyColumns columns;
    for (size_t i = 0; i < theirs.header.size(); ++i) {
        const std::string& name = theirs.header[i];
        if (std::find(ours.header.begin(), ours.header.end(), name) == ours.header.end()) continue;
        columns.theirs.push_back(column_named(theirs, name, name_keys));
        columns.ours.push_back(column_named(ours, name, name_keys));
        columns.names.push_back(name);
    }
    if (columns.names.empty())
        throw UsageError(fmt::format("shares no column with {}, whose header is {}; its own is {}", ours.path,
                                     fmt::join(ours.header, ","), fmt::join(theirs.header, ",")),
                         theirs.path + ":1", "name the keys: --join FILE:THEIRS=OURS");
    return columns;
}

// "" where one of the cells is missing: such a row has no partner.
std::string key_of(const std::vector<std::string>& row, const std::vector<size_t>& columns) {
    std::string key;
    for (const size_t column : columns) {
        if (is_missing(row[column])) return {};
        key += row[column] + between_keys;
    }
    return key;
}

std::string said(const std::vector<std::string>& names, const std::vector<std::string>& row,
                 const std::vector<size_t>& columns) {
    std::vector<std::string> parts;
    for (size_t k = 0; k < names.size(); ++k) parts.push_back(names[k] + " " + row[columns[k]]);
    return fmt::format("{}", fmt::join(parts, ", "));
}

using RowsByKey = std::unordered_map<std::string, size_t>;

RowsByKey index_rows(const CsvTable& table, const KeyColumns& keys) {
    RowsByKey rows;
    for (size_t i = 0; i < table.rows.size(); ++i) {
        const std::string key = key_of(table.rows[i], keys.theirs);
        if (key.empty()) continue;
        const auto [first, fresh] = rows.emplace(key, i);
        if (fresh || table.rows[first->second] == table.rows[i]) continue;
        throw UsageError(fmt::format("{} stands in line {}, too, and there it says something else",
                                     said(keys.names, table.rows[i], keys.theirs), table.lines[first->second]),
                         fmt::format("{}:{}", table.path, table.lines[i]), "keep one row, or join by more keys");
    }
    return rows;
}

// The columns of `theirs` that `ours` lacks.
std::vector<size_t> new_columns(const CsvTable& ours, const CsvTable& theirs) {
    std::vector<size_t> columns;
    for (size_t i = 0; i < theirs.header.size(); ++i)
        if (std::find(ours.header.begin(), ours.header.end(), theirs.header[i]) == ours.header.end()) columns.push_back(i);
    return columns;
}

void join(JoinedTable& joined, const CsvTable& theirs, const KeyColumns& keys) {
    const RowsByKey rows = index_rows(theirs, keys);
    const std::vector<size_t> added = new_columns(joined.table, theirs);
    for (const size_t column : added) joined.table.header.push_back(theirs.header[column]);
    std::vector<bool> met(theirs.rows.size());
    for (size_t i = 0; i < joined.table.rows.size(); ++i) {
        std::vector<std::string>& row = joined.table.rows[i];
        const auto partner = rows.find(key_of(row, keys.ours));
        const bool found = partner != rows.end();
        if (found) met[partner->second] = true;
        if (!found && joined.without[i].empty())
            joined.without[i] = fmt::format("no row of {} with {}", theirs.path, said(keys.names, row, keys.ours));
        for (const size_t column : added) row.push_back(found ? theirs.rows[partner->second][column] : "");
    }
    const auto alone = std::count_if(rows.begin(), rows.end(), [&](const auto& row) { return !met[row.second]; });
    joined.notes.push_back(fmt::format("{} is joined by {}; {} of its {} rows belong to no row of {}", theirs.path,
                                       fmt::join(keys.names, " and "), alone, rows.size(), joined.table.path));
}

// "FILE:KEYS", unless there is a file of the whole name.
std::pair<std::string, std::string> file_and_keys(const std::string& text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0 || path_exists(text)) return {text, ""};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

JoinedTable read_joined(const ImportOptions& options) {
    JoinedTable joined{read_csv(options.labels, options.separator), {}, {}};
    joined.without.resize(joined.table.rows.size());
    for (const std::string& one : options.joins) {
        const auto [file, keys] = file_and_keys(one);
        const CsvTable theirs = read_csv(file, options.separator, "--join");
        join(joined, theirs, keys.empty() ? shared_keys(joined.table, theirs) : named_keys(keys, joined.table, theirs));
    }
    return joined;
}

}  // namespace xbench
