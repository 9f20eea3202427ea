// Cells to classes. Names are compared whole: "normal" is no part of "abnormal".
#include "data/import/csv_labels.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

constexpr size_t longest_label = 4096;  // bytes, that a set's reader takes
// In CheXpert a row without a finding says nothing about devices.
constexpr const char* support_devices = "Support Devices";
constexpr std::array missing_values{"",     "nan",  "na",   "n/a",    "#n/a",    "#n/a n/a", "#na",      "<na>",
                                    "null", "none", "-nan", "1.#ind", "-1.#ind", "1.#qnan",  "-1.#qnan", "#null!"};

// The strings of ['a', "b's", ' c']. Throws UsageError.
std::vector<std::string> python_list(const std::string& cell, const std::string& place) {
    std::vector<std::string> parts;
    for (size_t at = 1; at < cell.size(); ++at) {
        const char quote = cell[at];
        if (quote != '\'' && quote != '"') continue;
        const size_t end = cell.find(quote, at + 1);
        if (end == std::string::npos)
            throw UsageError(fmt::format("the list {} has a string that is never closed", cell), place);
        parts.push_back(cell.substr(at + 1, end - at - 1));
        at = end;
    }
    return parts;
}

constexpr const char* name_labels = "name columns with --columns labels=FIRST..LAST or labels=A+B";

void check_policy(const std::string& policy, const char* option) {
    if (policy != "zeros" && policy != "ones" && policy != "ignore")
        throw UsageError("'" + policy + "' is no way to read a label", option, "use zeros, ones or ignore");
}

}  // namespace

bool is_no_finding(const std::string& label) { return lower_case(label) == lower_case(no_finding); }

bool is_missing(const std::string& cell) {
    return std::find(missing_values.begin(), missing_values.end(), lower_case(cell)) != missing_values.end();
}

size_t find_column(const CsvTable& table, const ImportOptions& options, const std::string& role, bool required) {
    const auto mapped = options.columns.find(role);
    const std::string name = mapped == options.columns.end() ? role : mapped->second;
    if (!required && mapped == options.columns.end()) return column_of(table, name).value_or(no_column);
    return column_named(table, name, fmt::format("name it with --columns {}=NAME", role));
}

LabelColumns::LabelColumns(const CsvTable& table, const ImportOptions& options) : options_(options) {
    check_policy(options.uncertain, "--uncertain");
    check_policy(options.blank, "--blank");
    const auto mapped = options.columns.find("labels");
    if (mapped == options.columns.end()) {
        columns_ = {find_column(table, options, "label", true)};
        return;
    }
    const size_t dots = mapped->second.find("..");
    if (dots != std::string::npos) {
        const size_t first = column_named(table, trimmed(mapped->second.substr(0, dots)), name_labels),
                     last = column_named(table, trimmed(mapped->second.substr(dots + 2)), name_labels);
        if (first > last)
            throw UsageError("the first column of the range stands behind the last", "--columns", "write FIRST..LAST");
        for (size_t i = first; i <= last; ++i) columns_.push_back(i);
    } else {
        for (const std::string& name : split_text(mapped->second, '+'))
            columns_.push_back(column_named(table, trimmed(name), name_labels));
    }
    for (const size_t column : columns_) classes_.push_back(table.header[column]);
}

RowLabels LabelColumns::read(const std::vector<std::string>& row, const std::string& place) const {
    return classes_.empty() ? read_cell(row[columns_[0]], place) : read_columns(row, place);
}

// A part that is missing takes the others with it: nobody can tell what the image shows.
RowLabels LabelColumns::read_cell(const std::string& cell, const std::string& place) const {
    const bool list = cell.starts_with('[') && cell.ends_with(']');
    RowLabels labels;
    for (const std::string& part : list ? python_list(cell, place) : split_text(cell, '|')) {
        const std::string label = trimmed(part);
        if (label.size() > longest_label)
            throw UsageError(fmt::format("a label of {} bytes; {} can be stored", label.size(), longest_label), place);
        if (is_missing(label) && !list) return {{}, {}, true};
        const auto& dropped = options_.drop_labels;
        if (!label.empty() && std::find(dropped.begin(), dropped.end(), label) == dropped.end())
            labels.present.push_back(label);
    }
    labels.missing = labels.present.empty() && options_.drop_labels.empty();
    if (labels.present.empty() && !labels.missing) labels.present.push_back(no_finding);
    return labels;
}

RowLabels LabelColumns::read_columns(const std::vector<std::string>& row, const std::string& place) const {
    const auto is = [](const std::string& cell, const char* number) {
        return cell == number || cell == std::string(number) + ".0";
    };
    bool normal = false;
    for (size_t k = 0; k < columns_.size(); ++k) normal = normal || (classes_[k] == no_finding && is(row[columns_[k]], "1"));
    RowLabels labels;
    const auto by = [&](const std::string& policy, const std::string& name) {
        if (policy == "ones") labels.present.push_back(name);
        if (policy == "ignore") labels.unknown.push_back(name);
    };
    for (size_t k = 0; k < columns_.size(); ++k) {
        const std::string &cell = row[columns_[k]], &name = classes_[k];
        if (is(cell, "1"))
            labels.present.push_back(name);
        else if (is(cell, "-1"))
            by(options_.uncertain, name);
        else if (is_missing(cell))
            by(normal && name != support_devices ? "zeros" : options_.blank, name);
        else if (!is(cell, "0"))
            throw UsageError(fmt::format("'{}' in column {} is none of 1, 0, -1 and a blank", cell, name), place);
    }
    return labels;
}

}  // namespace xbench
