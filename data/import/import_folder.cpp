// Labels from folders: SRC/class/..., or SRC/train|val|test/class/.... A folder that holds nothing but one other folder
// (as archives unpack) is passed through.
#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/core.h>

#include "core/error.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

bool left_by_a_system(const std::string& name) {
    return name.starts_with('.') || name == "__MACOSX" || name == "Thumbs.db" || name == "desktop.ini";
}

std::optional<Split> split_named(const std::string& name) {
    try {
        return split_from(name);
    } catch (const UsageError&) {
        return std::nullopt;
    }
}

std::vector<std::string> folders_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (entry.is_directory() && !left_by_a_system(name)) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

// Whether the folder's own folders are splits. All or none must be.
bool holds_splits(const std::vector<std::string>& folders, const std::string& place) {
    const auto splits =
        std::count_if(folders.begin(), folders.end(), [](const auto& name) { return split_named(name).has_value(); });
    if (splits == 0) return false;
    for (const std::string& name : folders) {
        if (!split_named(name)) {
            throw UsageError(fmt::format("folder '{}' stands beside train, val and test", name), place,
                             "move it away, or list what you want in a CSV (--labels)");
        }
    }
    return true;
}

// The folder that holds the classes or the splits, relative to the source: "" or "a/b/".
std::string root_below(const fs::path& source) {
    std::string prefix;
    for (int depth = 0; depth < 8; ++depth) {
        const auto folders = folders_in(source / prefix);
        if (folders.size() != 1 || split_named(folders[0]) || folders_in(source / prefix / folders[0]).empty()) break;
        prefix += folders[0] + "/";
    }
    return prefix;
}

}  // namespace

std::vector<std::string> files_below(const fs::path& folder) {
    std::vector<std::string> found;
    std::error_code failure;
    fs::recursive_directory_iterator walk(folder, failure), end;
    if (failure) throw UsageError("cannot be read: " + failure.message(), folder.string(), "name a folder of images");
    for (; walk != end; walk.increment(failure)) {
        if (failure) throw Error("cannot be read: " + failure.message(), folder.string());
        const fs::path& path = walk->path();
        if (left_by_a_system(path.filename().string())) {
            if (walk->is_directory(failure)) walk.disable_recursion_pending();
            continue;
        }
        if (!walk->is_directory(failure)) found.push_back(path.lexically_relative(folder).generic_string());
    }
    std::sort(found.begin(), found.end());
    return found;
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

std::vector<std::string> sorted_names(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::map<int64_t, std::string> by_value;
    for (const std::string& name : names) {
        int64_t value = 0;
        const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), value);
        if (failure != std::errc{} || end != name.data() + name.size() || !by_value.emplace(value, name).second)
            return names;
    }
    names.clear();
    for (auto& [value, name] : by_value) names.push_back(std::move(name));
    return names;
}

ImportList list_folder(const ImportOptions& options) {
    const fs::path source = options.source;
    const std::string prefix = root_below(source);
    const std::string place = (source / prefix).string();
    const auto folders = folders_in(source / prefix);
    const bool splits = holds_splits(folders, place);
    const size_t class_depth = splits ? 1 : 0;

    ImportList list;
    std::vector<std::string> labels;
    for (const std::string& file : files_below(source / prefix)) {
        const auto parts = split_text(file, '/');
        if (parts.size() < class_depth + 2) continue;  // beside the classes: a README, a table of labels
        ImportItem item{prefix + file, {}, {}, {}};
        if (splits) item.split = split_from(parts[0]);
        labels.push_back(parts[class_depth]);
        list.items.push_back(std::move(item));
    }
    list.class_names = sorted_names(labels);
    if (list.class_names.size() < 2) {
        throw UsageError(fmt::format("holds {} class folders", list.class_names.size()), place,
                         "use a folder for each class, with or without train, val and test above, or a CSV (--labels)");
    }
    for (size_t i = 0; i < labels.size(); ++i) {
        const auto name = std::find(list.class_names.begin(), list.class_names.end(), labels[i]);
        list.items[i].classes = {static_cast<int32_t>(name - list.class_names.begin())};
    }
    return list;
}

ImportList list_images(const ImportOptions& options) {
    std::error_code failure;
    if (!fs::is_directory(options.source, failure)) {
        throw UsageError("is not a folder", options.source, "unpack archives first, then name the folder");
    }
    if (options.format != "auto" && options.format != "folder" && options.format != "csv") {
        throw UsageError(fmt::format("format '{}' cannot be imported", options.format), "--format",
                         "this version reads folder and csv");
    }
    const bool csv = options.format == "csv" || (options.format == "auto" && !options.labels.empty());
    if (csv && options.labels.empty())
        throw UsageError("format csv needs a table", "--format", "name it with --labels FILE.csv");
    if (!csv && !options.labels.empty()) throw UsageError("format folder takes no table", "--labels", "use --format csv");
    ImportList list = csv ? list_csv(options) : list_folder(options);
    std::sort(list.items.begin(), list.items.end(),
              [](const ImportItem& a, const ImportItem& b) { return a.path < b.path; });
    return list;
}

}  // namespace xbench
