// The walk: one folder after the other, by name, with the error of each step looked at.
#include "data/import/folder_walk.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr int deepest = 100;  // folders below each other

// In lower case.
constexpr std::array system_folders{"lost+found",
                                    "@eadir",
                                    "#recycle",
                                    "#snapshot",
                                    "@recycle",
                                    "@recently-snapshot",
                                    "@tmp",
                                    "$recycle.bin",
                                    "recycler",
                                    "recycled",
                                    "system volume information",
                                    "__macosx",
                                    "network trash folder",
                                    "temporary items",
                                    "thevolumesettingsfolder",
                                    "found.000",
                                    "__pycache__"};
constexpr std::array system_files{"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "folder.jpg.@synoeastream"};

template <size_t N>
bool is_one_of(const std::array<const char*, N>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), lower_case(name)) != names.end();
}

const char* rule_for(const std::string& name, bool folder) {
    if (folder ? is_one_of(system_folders, name) : is_one_of(system_files, name)) return rule_system;
    if (name.ends_with("@SynoEAStream") || name.ends_with("@SynoResource")) return rule_system;
    return name.starts_with('.') ? rule_hidden : nullptr;
}

// Of an entry itself, not of what it links to; as the folder tells it, without a look at the file, for most.
fs::file_status own_status(const fs::directory_entry& entry) {
    std::error_code ignored;
    if (entry.is_symlink(ignored)) return fs::file_status(fs::file_type::symlink);
    if (entry.is_regular_file(ignored)) return fs::file_status(fs::file_type::regular);
    if (entry.is_directory(ignored)) return fs::file_status(fs::file_type::directory);
    return entry.symlink_status(ignored);
}

class Walker {
public:
    explicit Walker(fs::path source) : source_(std::move(source)) {}

    // `rule` is that of the folder, for all that is in it; null: none.
    void visit(const std::string& below, const char* rule, int depth) {
        std::vector<std::pair<std::string, fs::file_status>> entries;
        if (!list(below, depth, entries)) return;
        struct stat self {};
        ::stat((source_ / below).c_str(), &self);
        above_.emplace_back(self.st_dev, self.st_ino);
        for (const auto& [name, status] : entries)
            take(below.empty() ? name : below + '/' + name, name, status, rule, depth);
        above_.pop_back();
    }

    FolderWalk walk;

private:
    // False when the folder cannot be listed, which is then on record.
    bool list(const std::string& below, int depth, std::vector<std::pair<std::string, fs::file_status>>& entries) {
        if (depth > deepest) {
            walk.unreadable.push_back({below, "more than 100 folders deep"});
            return false;
        }
        std::error_code failure;
        fs::directory_iterator entry(source_ / below, failure);
        while (!failure && entry != fs::directory_iterator()) {
            entries.emplace_back(entry->path().filename().string(), own_status(*entry));
            entry.increment(failure);
        }
        if (failure && below.empty()) {
            throw UsageError("cannot be listed: " + failure.message(), source_.string(), "name a folder that you may read");
        }
        if (failure) walk.unreadable.push_back({below, failure.message()});
        std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        return true;  // of a folder that failed half-way, what was listed
    }

    void take(const std::string& path, const std::string& name, const fs::file_status& own, const char* rule, int depth) {
        std::error_code ignored;
        const bool link = own.type() == fs::file_type::symlink;
        const fs::file_status status = link ? fs::status(source_ / path, ignored) : own;
        const bool folder = status.type() == fs::file_type::directory;
        if (rule == nullptr) rule = rule_for(name, folder);
        if (folder && !(link && rule != nullptr)) {
            if (link && leads_back(path)) {
                walk.ignored.push_back({path, rule_loop});
                return;
            }
            walk.links_followed += link;
            ++walk.all_folders;
            if (rule == nullptr) walk.folders.push_back(path);
            visit(path, rule, depth + 1);
        } else if (rule != nullptr) {
            walk.ignored.push_back({path, rule});
        } else if (link && !fs::exists(status)) {
            walk.broken.push_back({path, "a link to nothing that can be read"});
        } else {
            walk.files.push_back(path);
        }
    }

    bool leads_back(const std::string& path) const {
        struct stat target {};
        ::stat((source_ / path).c_str(), &target);
        return std::find(above_.begin(), above_.end(), std::pair{target.st_dev, target.st_ino}) != above_.end();
    }

    const fs::path source_;
    std::vector<std::pair<dev_t, ino_t>> above_;  // the folders from the source down to here
};

}  // namespace

FolderWalk walk_folder(const fs::path& folder) {
    Walker walker(folder);
    walker.visit("", nullptr, 0);
    FolderWalk& walk = walker.walk;
    std::sort(walk.files.begin(), walk.files.end());
    std::sort(walk.folders.begin(), walk.folders.end());
    for (auto* list : {&walk.ignored, &walk.broken, &walk.unreadable}) {
        std::sort(list->begin(), list->end(), [](const LeftOut& a, const LeftOut& b) { return a.path < b.path; });
    }
    return std::move(walk);
}

}  // namespace xbench
