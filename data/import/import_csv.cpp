// Labels from a CSV: columns path and label, and optionally split and group, under these names or others (--columns).
// Cells that say that a value is missing (nan, NA, empty ...) are no class, no group and no split.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/csv_paths.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

constexpr size_t no_column = static_cast<size_t>(-1);
constexpr size_t most_hints = 20;             // each looks through all files
constexpr size_t longest_label = 4096;        // bytes, that a set's reader takes
const char* const no_finding = "No Finding";  // in a multi-label table: none of the classes
// As pandas has them, in lower case.
constexpr std::array missing_values{"",     "nan",  "na",   "n/a",    "#n/a",    "#n/a n/a", "#na",      "<na>",
                                    "null", "none", "-nan", "1.#ind", "-1.#ind", "1.#qnan",  "-1.#qnan", "#null!"};

bool is_missing(const std::string& cell) {
    return std::find(missing_values.begin(), missing_values.end(), lower_case(cell)) != missing_values.end();
}

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

// The labels of a cell; empty when it has none. A part that is missing takes the others with it: nobody can tell what the
// image shows.
std::vector<std::string> labels_in(const std::string& cell, const std::string& place) {
    std::vector<std::string> labels;
    for (const std::string& part : split_text(cell, '|')) {
        const std::string label = trimmed(part);
        if (label.size() > longest_label)
            throw UsageError(fmt::format("a label of {} bytes; {} can be stored", label.size(), longest_label), place);
        if (is_missing(label)) return {};
        labels.push_back(label);
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

// The rows one by one.
class TableLister {
public:
    TableLister(const ImportOptions& options, CsvTable table, const FolderWalk& walk)
        : table_(std::move(table)),
          columns_(find_columns(table_, options)),
          source_(escape_bytes(options.source)),
          walk_(walk),
          files_(walk.files, options.source),
          list_(start_list(walk)) {}

    ImportList list() {
        for (size_t i = 0; i < table_.rows.size(); ++i)
            take(table_.rows[i], fmt::format("{}:{}", table_.path, table_.lines[i]), table_.lines[i]);
        if (seen_.empty()) {
            throw UsageError(fmt::format("none of its {} paths is a file below {}; the first is '{}'{}", table_.rows.size(),
                                         source_, table_.rows[0][columns_.path], files_.hint(table_.rows[0][columns_.path])),
                             fmt::format("{}:{}", table_.path, table_.lines[0]),
                             "write paths relative to the source folder");
        }
        for (const std::string& file : walk_.files) {
            if (!seen_.contains(file)) list_.ignored.push_back({file, rule_unlisted});
        }
        number_classes(list_, labels_);
        if (columns_.split == no_column) split_by_path(list_);
        if (list_.class_names.size() < 2 && !list_.multilabel && !list_.items.empty()) {
            throw UsageError("all images have the same label", table_.path, "check the column of --columns label=NAME");
        }
        check_spelling(list_, table_.path);
        return std::move(list_);
    }

private:
    void take(const std::vector<std::string>& row, const std::string& place, int line) {
        ImportItem item;
        item.path = files_.find(row[columns_.path], place);
        if (item.path.empty()) {
            const std::string hint = ++missing_ <= most_hints ? files_.hint(row[columns_.path]) : "";
            list_.quarantined.push_back(
                {row[columns_.path], fmt::format("{}: no such file below the source{}", place, hint), false});
            return;
        }
        if (const auto [first, fresh] = seen_.emplace(item.path, line); !fresh) {
            throw UsageError(fmt::format("'{}' was already listed in line {}", escape_bytes(item.path), first->second),
                             place, "keep one row an image");
        }
        auto several = labels_in(row[columns_.label], place);
        if (several.empty()) return quarantine(item, place, "label", row[columns_.label]);
        if (columns_.split != no_column) {
            const std::string& cell = row[columns_.split];
            if (is_missing(cell)) return quarantine(item, place, "split", cell);
            try {
                item.split = split_from(cell);
            } catch (const UsageError& error) {
                throw UsageError(error.what(), place);
            }
        }
        if (columns_.group != no_column && !is_missing(row[columns_.group])) item.group = row[columns_.group];
        labels_.push_back(std::move(several));
        list_.items.push_back(std::move(item));
    }

    void quarantine(const ImportItem& item, const std::string& place, const char* what, const std::string& cell) {
        const std::string said = cell.empty() ? "" : fmt::format(" ('{}' says that it is missing)", cell);
        list_.quarantined.push_back({item.path, fmt::format("{}: no {}{}", place, what, said)});
    }

    const CsvTable table_;
    const Columns columns_;
    const std::string source_;
    const FolderWalk& walk_;
    const PathIndex files_;
    ImportList list_;
    std::vector<std::vector<std::string>> labels_;
    std::unordered_map<std::string, int> seen_;  // path -> line
    size_t missing_ = 0;
};

}  // namespace

ImportList list_csv(const ImportOptions& options) {
    CsvTable table = read_csv(options.labels, options.separator);
    const FolderWalk walk = walk_folder(options.source);
    return TableLister(options, std::move(table), walk).list();
}

}  // namespace xbench
