// Labels from a CSV: columns path and label, and optionally split and group, under these names or others (--columns).
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest.h"
#include "data/import/csv.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

constexpr size_t no_column = static_cast<size_t>(-1);
const char* const no_finding = "No Finding";  // in a multi-label table: none of the classes

// Where the columns stand; split and group may be missing.
struct Columns {
    size_t path, label, split, group;
};

size_t find_column(const CsvTable& table, const ImportOptions& options, const std::string& role, bool required) {
    const auto mapped = options.columns.find(role);
    const std::string name = mapped == options.columns.end() ? role : mapped->second;
    const auto found = std::find(table.header.begin(), table.header.end(), name);
    if (found != table.header.end()) return static_cast<size_t>(found - table.header.begin());
    if (!required && mapped == options.columns.end()) return no_column;
    const std::string guess = nearest(name, table.header);
    throw UsageError(fmt::format("no column '{}'; the header is {}{}", name, fmt::join(table.header, ","),
                                 guess.empty() ? "" : "; did you mean " + guess + "?"),
                     table.path + ":1", fmt::format("name it with --columns {}=NAME", role));
}

Columns find_columns(const CsvTable& table, const ImportOptions& options) {
    for (const auto& [role, name] : options.columns) {
        if (role != "path" && role != "label" && role != "split" && role != "group") {
            throw UsageError(fmt::format("'{}' is not a column's role", role), "--columns",
                             "use path, label, split and group");
        }
    }
    return {find_column(table, options, "path", true), find_column(table, options, "label", true),
            find_column(table, options, "split", false), find_column(table, options, "group", false)};
}

// The files below the source, found by their path or by their bare name.
class FileIndex {
public:
    explicit FileIndex(const std::string& source) : files_(files_below(source)) {
        for (const std::string& file : files_) by_name_[file.substr(file.rfind('/') + 1)].push_back(&file);
    }
    // The path below the source, or "" when there is no such file.
    std::string find(const std::string& written, const std::string& place) const {
        const std::string path = std::filesystem::path(written).lexically_normal().generic_string();
        if (std::binary_search(files_.begin(), files_.end(), path)) return path;
        if (path.find('/') != std::string::npos) return {};
        const auto named = by_name_.find(path);
        if (named == by_name_.end()) return {};
        if (named->second.size() > 1) {
            throw UsageError(fmt::format("'{}' is {} files, among them {} and {}", written, named->second.size(),
                                         *named->second[0], *named->second[1]),
                             place, "write the path relative to the source folder");
        }
        return *named->second[0];
    }
    int64_t size() const { return static_cast<int64_t>(files_.size()); }

private:
    std::vector<std::string> files_;
    std::unordered_map<std::string, std::vector<const std::string*>> by_name_;
};

std::optional<Split> split_in_path(const std::string& path) {
    const auto parts = split_text(path, '/');
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
        try {
            return split_from(parts[i]);
        } catch (const UsageError&) {
        }
    }
    return std::nullopt;
}

std::string trimmed(const std::string& text) {
    const size_t first = text.find_first_not_of(" \t");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> labels_in(const std::string& field) {
    std::vector<std::string> labels;
    for (const std::string& part : split_text(field, '|')) {
        if (const std::string label = trimmed(part); !label.empty()) labels.push_back(label);
    }
    return labels;
}

void number_classes(ImportList& list, const std::vector<std::vector<std::string>>& labels) {
    list.multilabel = std::any_of(labels.begin(), labels.end(), [](const auto& several) { return several.size() > 1; });
    const auto counts = [&](const std::string& label) { return !list.multilabel || label != no_finding; };
    std::set<std::string> unique;
    for (const auto& several : labels) unique.insert(several.begin(), several.end());
    if (list.multilabel) unique.erase(no_finding);
    list.class_names = sorted_names({unique.begin(), unique.end()});
    std::map<std::string, int32_t> index;
    for (int32_t k = 0; const std::string& name : list.class_names) index[name] = k++;
    for (size_t i = 0; i < labels.size(); ++i) {
        std::set<int32_t> classes;
        for (const std::string& label : labels[i]) {
            if (counts(label)) classes.insert(index[label]);
        }
        list.items[i].classes.assign(classes.begin(), classes.end());
    }
}

// Without a split column, folders named train, val and test on every path are the splits.
void split_by_path(ImportList& list) {
    for (ImportItem& item : list.items) item.split = split_in_path(item.path);
    const bool all =
        std::all_of(list.items.begin(), list.items.end(), [](const ImportItem& item) { return item.split.has_value(); });
    if (all) return;
    for (ImportItem& item : list.items) item.split.reset();
}

}  // namespace

ImportList list_csv(const ImportOptions& options) {
    const CsvTable table = read_csv(options.labels);
    const Columns columns = find_columns(table, options);
    const FileIndex files(options.source);
    ImportList list;
    std::vector<std::vector<std::string>> labels;
    std::unordered_map<std::string, int> seen;  // path -> line
    for (size_t i = 0; i < table.rows.size(); ++i) {
        const auto& row = table.rows[i];
        const std::string place = fmt::format("{}:{}", table.path, table.lines[i]);
        ImportItem item{files.find(row[columns.path], place), {}, {}, {}};
        if (item.path.empty()) {
            list.quarantined.push_back({row[columns.path], fmt::format("{}: no such file below the source", place)});
            continue;
        }
        if (const auto [first, fresh] = seen.emplace(item.path, table.lines[i]); !fresh) {
            throw UsageError(fmt::format("'{}' was already listed in line {}", item.path, first->second), place,
                             "keep one row an image");
        }
        auto several = labels_in(row[columns.label]);
        if (several.empty()) {
            list.quarantined.push_back({item.path, fmt::format("{}: no label", place)});
            continue;
        }
        if (columns.split != no_column) {
            try {
                item.split = split_from(trimmed(row[columns.split]));
            } catch (const UsageError& error) {
                throw UsageError(error.what(), place);
            }
        }
        if (columns.group != no_column) item.group = row[columns.group];
        labels.push_back(std::move(several));
        list.items.push_back(std::move(item));
    }
    list.unlisted = files.size() - static_cast<int64_t>(seen.size());
    number_classes(list, labels);
    if (columns.split == no_column) split_by_path(list);
    if (list.class_names.size() < 2 && !list.multilabel && !list.items.empty()) {
        throw UsageError("all images have the same label", table.path, "check the column of --columns label=NAME");
    }
    return list;
}

}  // namespace xbench
