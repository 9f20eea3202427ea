// The table of formats: how each is recognised, and who lists its items.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include <fmt/core.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/utf8.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr size_t longest_pattern = 256;  // bytes of --group-regex

constexpr ImportFormat formats[] = {
    {"npz", Table::none, is_npz, list_npz},
    {"cifar", Table::none, is_cifar, list_cifar},
    {"nih", Table::found, is_nih, list_nih},
    {"rsna", Table::found, is_rsna, list_rsna},
    {"coco", Table::needed, is_coco, list_coco},
    {"csv", Table::needed, [](const ImportOptions& options) { return !options.labels.empty(); }, list_csv},
    {"folder", Table::none, [](const ImportOptions&) { return true; }, list_folder},
};

const ImportFormat& find_format(const ImportOptions& options) {
    std::vector<std::string> names{"auto"};
    for (const ImportFormat& row : formats) {
        if (options.format == row.name || (options.format == "auto" && row.recognises(options))) return row;
        names.emplace_back(row.name);
    }
    const std::string guess = nearest(options.format, names);
    throw UsageError(fmt::format("format '{}' cannot be imported{}", options.format,
                                 guess.empty() ? "" : "; did you mean " + guess + "?"),
                     "--format", "this version reads " + format_names());
}

bool by_path(const ImportItem& a, const ImportItem& b) { return a.path != b.path ? a.path < b.path : a.frame < b.frame; }

// What the first parentheses catch; "" where the pattern does not match, or gives up on the path.
std::string first_group(const std::string& path, const std::regex& regex) {
    std::smatch found;
    try {
        return std::regex_search(path, found, regex) ? found[1].str() : "";
    } catch (const std::regex_error&) {
        return "";
    }
}

// Given to a format that does not read them, they would change nothing, and nobody would know.
void refuse_unread(const ImportFormat& format, const ImportOptions& options) {
    const auto list = format.list;
    const bool by_cells = list == list_csv || list == list_nih;
    const struct {
        const char* option;
        bool given, read;
    } all[] = {{"--join", !options.joins.empty(), list == list_csv},
               {"--columns", !options.columns.empty(), by_cells},
               {"--drop-labels", !options.drop_labels.empty(), by_cells},
               {"--multilabel", options.multilabel, by_cells || list == list_coco},
               {"--class-names", !options.class_names.empty(), list == list_npz || list == list_cifar},
               {"--rsna-classes", options.rsna_classes != 2, list == list_rsna}};
    for (const auto& one : all)
        if (one.given && !one.read)
            throw UsageError(fmt::format("format {} does not read it", format.name), one.option,
                             "leave it out, or name another --format (a CSV with --labels is format csv)");
}

}  // namespace

std::string format_names() {
    std::string names;
    for (const ImportFormat& row : formats) names += (names.empty() ? "" : ", ") + std::string(row.name);
    return names;
}

ImportList list_images(const ImportOptions& options) {
    std::error_code failure;
    if (!fs::is_directory(options.source, failure) && !is_npz(options)) {
        const bool there = fs::exists(fs::symlink_status(options.source, failure));
        throw UsageError(there ? "is not a folder" : "there is no such folder", escape_bytes(options.source),
                         "unpack archives first, then name the folder");
    }
    const ImportFormat& format = find_format(options);
    if (format.table == Table::needed && options.labels.empty())
        throw UsageError(fmt::format("format {} needs a table", format.name), "--format", "name it with --labels FILE");
    if (format.table == Table::none && !options.labels.empty()) {
        throw UsageError(fmt::format("format {} takes no table", format.name), "--labels", "use --format csv");
    }
    refuse_unread(format, options);
    ImportList list = format.list(options);
    if (!options.group_regex.empty()) group_by_name(list, options.group_regex);
    if (list.records == nullptr) std::sort(list.items.begin(), list.items.end(), by_path);
    return list;
}

void group_by_name(ImportList& list, const std::string& pattern) {
    if (pattern.size() > longest_pattern)
        throw UsageError(fmt::format("has {} bytes; {} are the most", pattern.size(), longest_pattern), "--group-regex");
    std::regex regex;
    try {
        regex = std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error&) {
        throw UsageError("'" + pattern + "' is not a regular expression", "--group-regex", "as in 'person(\\d+)_'");
    }
    if (regex.mark_count() < 1)
        throw UsageError("'" + pattern + "' has no parentheses around the group", "--group-regex", "as in 'person(\\d+)_'");
    int64_t without = 0;
    for (ImportItem& item : list.items) {
        if (item.group.empty()) item.group = escape_bytes(first_group(item.path, regex));
        without += item.group.empty();
    }
    if (without == static_cast<int64_t>(list.items.size()) && without > 0)
        throw UsageError("matches none of the paths, the first of which is " + escape_bytes(list.items[0].path),
                         "--group-regex", "write a pattern that does");
    if (without > 0) list.notes.push_back(fmt::format("{} paths do not match --group-regex: no group", without));
}

ImportList start_list(const FolderWalk& walk) {
    ImportList list;
    list.files = walk.all_files();
    list.folders = walk.all_folders;
    list.links_followed = walk.links_followed;
    list.ignored = walk.ignored;
    list.unreadable = walk.unreadable;
    for (const LeftOut& link : walk.broken) list.quarantined.push_back({link.path, link.reason});
    return list;
}

ImportList list_unlabelled(ImportOptions& options) {
    FolderWalk walk;
    std::error_code failure;
    if (fs::is_directory(options.source, failure)) {
        walk = walk_folder(options.source);
    } else {
        const fs::path file = options.source;
        walk.files.push_back(file.filename().string());
        options.source = file.has_parent_path() ? file.parent_path().string() : ".";
    }
    ImportList list = start_list(walk);
    for (const std::string& file : walk.files) list.items.push_back({file, 0, {0}, Split::test, {}, {}});
    list.class_names = {"unknown"};
    return list;
}

std::vector<std::string> split_text(const std::string& text, char separator) {
    std::vector<std::string> parts(1);
    for (const char letter : text) {
        if (letter == separator)
            parts.emplace_back();
        else
            parts.back() += letter;
    }
    return parts;
}

std::string lower_case(std::string text) {
    for (char& letter : text) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    }
    return text;
}

namespace {

// What names that a reader would take for one have in common: their letters, or, of numbers, their value.
std::string meaning_of(const std::string& name) {
    double value = 0;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), value);
    return failure == std::errc{} && end == name.data() + name.size() ? fmt::format("{}", value) : lower_case(name);
}

}  // namespace

void check_spelling(ImportList& list, const std::string& place) {
    std::map<std::string, std::vector<size_t>> spellings;
    for (size_t k = 0; k < list.class_names.size(); ++k) spellings[meaning_of(list.class_names[k])].push_back(k);
    std::vector<std::set<int>> splits(list.class_names.size());  // of each class; -1: not split yet
    for (const ImportItem& item : list.items) {
        for (const int32_t k : item.classes)
            splits[static_cast<size_t>(k)].insert(item.split ? static_cast<int>(*item.split) : -1);
    }
    for (const auto& spelling : spellings) {
        const auto& same = spelling.second;  // Clang 14 lets no lambda see a structured binding
        for (size_t i = 1; i < same.size(); ++i) {
            const std::string &first = list.class_names[same[0]], &other = list.class_names[same[i]];
            const bool letters = lower_case(first) == lower_case(other);
            const std::string both = fmt::format("classes '{}' and '{}' {}", first, other,
                                                 letters ? "differ in nothing but case" : "are the same number");
            const bool meet = std::any_of(splits[same[0]].begin(), splits[same[0]].end(),
                                          [&](int split) { return splits[same[i]].contains(split); });
            if (!meet) {
                throw UsageError(both + ", and no split has both: they would be two classes", place,
                                 "spell the name the same in all splits");
            }
            list.warnings.push_back(both + ": they are two classes; spell them alike if they are one");
        }
    }
}

}  // namespace xbench
