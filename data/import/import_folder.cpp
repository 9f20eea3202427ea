// Labels from folders, by the conventions of torchvision's ImageFolder: SRC/class/..., with splits above the classes where
// there are any: SRC/train/class/.... A folder that holds nothing but one other folder (as archives unpack) is passed
// through.
//
// ImageFolder refuses a class without an image, and so does this. It numbers the classes of each split on their own, so
// that a class that is absent or spelled differently shifts all labels behind it; here a class that cannot be learned is
// refused, one that cannot be tested is said aloud.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/import/import_list.h"
#include "data/import/split_names.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

// The names of the folders directly below `prefix`, which is "" or "a/b/".
std::vector<std::string> folders_in(const FolderWalk& walk, const std::string& prefix) {
    std::vector<std::string> names;
    for (auto at = std::lower_bound(walk.folders.begin(), walk.folders.end(), prefix);
         at != walk.folders.end() && at->starts_with(prefix); ++at) {
        if (const std::string rest = at->substr(prefix.size()); rest.find('/') == std::string::npos) names.push_back(rest);
    }
    return names;
}

// The folder that holds the classes or the splits, below the source.
std::string root_below(const FolderWalk& walk) {
    std::string prefix;
    for (int depth = 0; depth < 8; ++depth) {
        const auto folders = folders_in(walk, prefix);
        if (folders.size() != 1 || split_named(folders[0]) || folders_in(walk, prefix + folders[0] + "/").empty()) break;
        prefix += folders[0] + "/";
    }
    return prefix;
}

// Where the classes are, and what is below each.
class Layout {
public:
    Layout(const FolderWalk& walk, const ImportOptions& options)
        : walk_(walk),
          prefix_(root_below(walk)),
          place_(escape_bytes((fs::path(options.source) / prefix_).string())),
          split_anew_(options.shares.has_value()) {
        std::vector<TopFolder> top;
        for (const std::string& name : folders_in(walk, prefix_))
            top.push_back({name, folders_in(walk, prefix_ + name + "/")});
        if (options.split_folders) splits_ = splits_among(top, place_);
        if (splits_.empty()) find_classes(prefix_, std::nullopt);
        for (const auto& [name, split] : splits_) find_classes(prefix_ + name + "/", split);
    }

    ImportList list() const {
        ImportList list = start_list(walk_);
        say_what_splits_are(list);
        std::vector<std::string> labels;
        std::map<std::string, std::array<int64_t, 3>> files;  // of each class, by split
        for (const auto& [name, folders] : classes_) files[name] = {};
        for (const std::string& file : walk_.files) {
            const auto label = label_of(file);
            if (!label) {
                list.ignored.push_back({file, rule_beside});
                continue;
            }
            list.items.push_back({file, 0, {}, label->second, {}, {}});
            labels.push_back(label->first);
            ++files[label->first][static_cast<size_t>(label->second.value_or(Split::train))];
        }
        number(list, labels);
        check_spelling(list, place_);
        check_presence(list, files);
        return list;
    }

private:
    // Names of classes are UTF-8 from here on.
    void find_classes(const std::string& below, std::optional<Split> split) {
        for (const std::string& name : folders_in(walk_, below)) {
            const std::string label = escape_bytes(name);
            if (label != name && !is_utf8(name)) escaped_.insert(label);
            classes_[label].push_back(below + name);
            label_of_folder_[below + name + "/"] = {label, split};
        }
    }

    using Label = std::pair<std::string, std::optional<Split>>;
    std::optional<Label> label_of(const std::string& file) const {
        if (!file.starts_with(prefix_)) return std::nullopt;
        size_t end = file.find('/', prefix_.size());
        if (end != std::string::npos && !splits_.empty()) end = file.find('/', end + 1);
        if (end == std::string::npos) return std::nullopt;
        const auto found = label_of_folder_.find(file.substr(0, end + 1));
        return found == label_of_folder_.end() ? std::nullopt : std::optional(found->second);
    }

    void say_what_splits_are(ImportList& list) const {
        for (const auto& [name, split] : splits_) {
            if (!split_named(name))
                list.notes.push_back(
                    fmt::format("folder '{}' is taken as the split {}", escape_bytes(name), name_of(split)));
        }
        if (!escaped_.empty()) {
            list.warnings.push_back(
                fmt::format("names of classes are not UTF-8; their other bytes are written as \\xNN: {} "
                            "(convmv -f latin1 -t utf8 --notest -r FOLDER renames them)",
                            fmt::join(escaped_, ", ")));
        }
    }

    void number(ImportList& list, const std::vector<std::string>& labels) const {
        std::vector<std::string> names;
        for (const auto& [name, folders] : classes_) names.push_back(name);
        list.class_names = sorted_names(names);
        if (list.class_names.size() < 2) {
            throw UsageError(fmt::format("holds {} class folders", list.class_names.size()), place_,
                             "use a folder for each class, with or without train, val and test above, or a CSV (--labels)");
        }
        std::map<std::string, int32_t> index;
        for (int32_t k = 0; const std::string& name : list.class_names) index[name] = k++;
        for (size_t i = 0; i < labels.size(); ++i) list.items[i].classes = {index[labels[i]]};
    }

    bool unreadable(const std::string& folder) const {
        return std::any_of(walk_.unreadable.begin(), walk_.unreadable.end(), [&](const LeftOut& left) {
            return left.path == folder || left.path.starts_with(folder + "/") || folder.starts_with(left.path + "/");
        });
    }

    void check_presence(ImportList& list, const std::map<std::string, std::array<int64_t, 3>>& files) const {
        std::array<int64_t, 3> all{};
        for (const auto& [name, count] : files) {
            for (size_t s = 0; s < 3; ++s) all[s] += count[s];
        }
        for (const auto& [name, count] : files) {
            const auto& folders = classes_.at(name);
            if (count[0] + count[1] + count[2] == 0) {
                const bool hidden =
                    std::any_of(folders.begin(), folders.end(), [&](const auto& f) { return unreadable(f); });
                if (!hidden)
                    throw UsageError("the class folder holds no image", place_ + (place_.ends_with('/') ? "" : "/") + name,
                                     "remove it, or fill it");
            } else if (!split_anew_ && !splits_.empty() && all[0] > 0 && count[0] == 0) {
                throw UsageError(
                    fmt::format("class '{}' has images in val or test and none in train: it cannot be learned", name),
                    place_, "add training images, remove the class, or split everything anew (--split 70,15,15)");
            }
            if (split_anew_) continue;
            for (const size_t s : {size_t{1}, size_t{2}}) {
                if (count[0] > 0 && all[s] > 0 && count[s] == 0) {
                    list.warnings.push_back(fmt::format("class '{}' has no image in {}: its scores there mean nothing", name,
                                                        name_of(static_cast<Split>(s))));
                }
            }
        }
    }

    const FolderWalk& walk_;
    const std::string prefix_, place_;
    const bool split_anew_;
    std::map<std::string, Split> splits_;                      // by folder; empty: there are none
    std::map<std::string, std::vector<std::string>> classes_;  // label -> its folders
    std::map<std::string, Label> label_of_folder_;             // "a/b/" -> its label and split
    std::set<std::string> escaped_;
};

}  // namespace

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
    const FolderWalk walk = walk_folder(options.source);
    return Layout(walk, options).list();
}

}  // namespace xbench
