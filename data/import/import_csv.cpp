// Labels from a CSV: columns path and label, and optionally split and group, under these names or others (--columns).
// Cells that say that a value is missing (nan, NA, empty ...) are no class, no group and no split.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/csv_boxes.h"
#include "data/import/csv_join.h"
#include "data/import/csv_labels.h"
#include "data/import/csv_paths.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

constexpr size_t most_hints = 20;  // each looks through all files
constexpr std::array roles{"path", "label", "labels", "split", "group", "box", "corners", "reader"};
constexpr std::array meta_roles{"view", "sex", "age", "site"};

// Where the columns stand; split and group may be missing.
struct Columns {
    size_t path, split, group;
    std::vector<std::pair<std::string, size_t>> meta;  // that the set keeps
};

Columns find_columns(const CsvTable& table, const ImportOptions& options) {
    for (const auto& [role, name] : options.columns) {
        const bool is_meta = std::find(meta_roles.begin(), meta_roles.end(), role) != meta_roles.end();
        const bool is_known = std::find(roles.begin(), roles.end(), role) != roles.end();
        if (!is_meta && !is_known) {
            throw UsageError(fmt::format("'{}' is not a column's role", role), "--columns",
                             "use path, label or labels, split, group, box or corners, reader, view, sex, age and site");
        }
    }
    Columns columns{find_column(table, options, "path", true),
                    find_column(table, options, "split", false),
                    find_column(table, options, "group", false),
                    {}};
    for (const char* role : meta_roles) {
        if (const size_t at = find_column(table, options, role, false); at != no_column) columns.meta.emplace_back(role, at);
    }
    return columns;
}

// "058Y" of NIH's tables is 58; other units stay.
std::string plain_age(std::string age) {
    if (age.ends_with('Y') || age.ends_with('y')) age.pop_back();
    while (age.size() > 1 && age[0] == '0' && age[1] != '.') age.erase(0, 1);
    return age;
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

// `fixed` are the classes of a table with a column each, in its order; else the labels' own, sorted.
void number_classes(ImportList& list, const std::vector<RowLabels>& labels, const std::vector<std::string>& fixed) {
    list.multilabel = list.multilabel || !fixed.empty() ||
                      std::any_of(labels.begin(), labels.end(), [](const RowLabels& row) { return row.present.size() > 1; });
    std::set<std::string> unique;
    for (const RowLabels& row : labels) unique.insert(row.present.begin(), row.present.end());
    if (list.multilabel) std::erase_if(unique, is_no_finding);
    list.class_names = fixed.empty() ? sorted_names({unique.begin(), unique.end()}) : fixed;
    std::map<std::string, int32_t> index;
    for (int32_t k = 0; const std::string& name : list.class_names) index[name] = k++;
    const auto numbers = [&](const std::vector<std::string>& names) {
        std::set<int32_t> classes;
        for (const std::string& name : names) {
            if (const auto known = index.find(name); known != index.end()) classes.insert(known->second);
        }
        return std::vector<int32_t>(classes.begin(), classes.end());
    };
    for (size_t i = 0; i < labels.size(); ++i) {
        list.items[i].classes = numbers(labels[i].present);
        list.items[i].unknown = numbers(labels[i].unknown);
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
    TableLister(const ImportOptions& options, JoinedTable joined, const FolderWalk& walk)
        : table_(std::move(joined.table)),
          without_(std::move(joined.without)),
          columns_(find_columns(table_, options)),
          label_columns_(table_, options),
          boxes_(table_, options),
          source_(escape_bytes(options.source)),
          walk_(walk),
          files_(walk.files, options.source),
          list_(start_list(walk)) {
        for (const auto& [role, at] : columns_.meta) list_.meta_names.push_back(role);
        list_.multilabel = options.multilabel || boxes_.given();
        list_.notes = std::move(joined.notes);
    }

    ImportList list() {
        for (size_t i = 0; i < table_.rows.size(); ++i) take(i, fmt::format("{}:{}", table_.path, table_.lines[i]));
        if (seen_.empty()) {
            throw UsageError(fmt::format("none of its {} paths is a file below {}; the first is '{}'{}", table_.rows.size(),
                                         source_, table_.rows[0][columns_.path], files_.hint(table_.rows[0][columns_.path])),
                             fmt::format("{}:{}", table_.path, table_.lines[0]),
                             "write paths relative to the source folder");
        }
        for (const std::string& file : walk_.files) {
            if (!seen_.contains(file)) list_.ignored.push_back({file, rule_unlisted});
        }
        for (size_t i = 0; i < labels_.size() && boxes_.given(); ++i) labels_[i].present = boxes_.classes_of(i);
        number_classes(list_, labels_, label_columns_.classes());
        if (boxes_.given()) boxes_.give_boxes(list_);
        if (boxes_.left_out() > 0)
            list_.notes.push_back(fmt::format("{} boxes without an area are left out", boxes_.left_out()));
        if (columns_.split == no_column) split_by_path(list_);
        if (list_.class_names.size() < 2 && !list_.multilabel && !list_.items.empty()) {
            throw UsageError("all images have the same label", table_.path, "check the column of --columns label=NAME");
        }
        check_spelling(list_, table_.path);
        return std::move(list_);
    }

private:
    void take(size_t number, const std::string& place) {
        const std::vector<std::string>& row = table_.rows[number];
        ImportItem item;
        item.path = files_.find(row[columns_.path], place);
        if (item.path.empty()) {
            const std::string hint = ++missing_ <= most_hints ? files_.hint(row[columns_.path]) : "";
            list_.quarantined.push_back(
                {row[columns_.path], fmt::format("{}: no such file below the source{}", place, hint), false});
            return;
        }
        const auto [first, fresh] = seen_.emplace(item.path, table_.lines[number]);
        if (!fresh && boxes_.given()) return take_again(item.path, row, place);
        if (!fresh) {
            throw UsageError(fmt::format("'{}' was already listed in line {}", escape_bytes(item.path), first->second),
                             place, "keep one row an image");
        }
        if (!without_[number].empty())
            return list_.quarantined.push_back({item.path, fmt::format("{}: {}", place, without_[number])});
        RowLabels labels = label_columns_.read(row, place);
        if (labels.missing) return quarantine(item, place, "label", label_columns_.cell(row));
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
        for (const auto& [role, at] : columns_.meta) {
            const std::string value = is_missing(row[at]) ? "" : row[at];
            item.meta.push_back(role == "age" ? plain_age(value) : value);
        }
        if (boxes_.given()) {
            place_of_[item.path] = list_.items.size();
            boxes_.add(list_.items.size(), row, labels, place);
        }
        labels_.push_back(std::move(labels));
        list_.items.push_back(std::move(item));
    }

    // One more row of an image: another box, or another reader. What else it says of the image was said by the first.
    void take_again(const std::string& path, const std::vector<std::string>& row, const std::string& place) {
        const auto known = place_of_.find(path);
        if (known == place_of_.end()) return;  // quarantined by its first row
        const RowLabels labels = label_columns_.read(row, place);
        const std::string group = columns_.group != no_column && !is_missing(row[columns_.group]) ? row[columns_.group] : "";
        if (group != list_.items[known->second].group)
            throw UsageError("another group than in the first row of the image", place);
        boxes_.add(known->second, row, labels, place);
    }

    void quarantine(const ImportItem& item, const std::string& place, const char* what, const std::string& cell) {
        const std::string said = cell.empty() ? "" : fmt::format(" ('{}' says that it is missing)", cell);
        list_.quarantined.push_back({item.path, fmt::format("{}: no {}{}", place, what, said)});
    }

    const CsvTable table_;
    const std::vector<std::string> without_;  // of its rows
    const Columns columns_;
    const LabelColumns label_columns_;
    BoxColumns boxes_;
    std::unordered_map<std::string, size_t> place_of_;  // of boxes: path -> item
    const std::string source_;
    const FolderWalk& walk_;
    const PathIndex files_;
    ImportList list_;
    std::vector<RowLabels> labels_;
    std::unordered_map<std::string, int> seen_;  // path -> line
    size_t missing_ = 0;
};

}  // namespace

ImportList list_csv(const ImportOptions& options) {
    JoinedTable joined = read_joined(options);
    const FolderWalk walk = walk_folder(options.source);
    return TableLister(options, std::move(joined), walk).list();
}

}  // namespace xbench
