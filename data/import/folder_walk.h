// Everything below a folder: files that may be images, files that a named rule leaves out, folders that cannot be listed.
// Each file is in exactly one of the lists, so that their counts add up to what is on the disk.
//
// Links to folders are followed, as in torchvision's ImageFolder, except links back to a folder above. Links to files count
// as files. Names are bytes: they need not be UTF-8.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace xbench {

struct LeftOut {
    std::string path, reason;  // below the source; the rule, or the system's words
};

struct FolderWalk {
    std::vector<std::string> files;    // may be images; sorted, relative, with '/'
    std::vector<std::string> folders;  // that may hold images; sorted
    std::vector<LeftOut> ignored;      // files, each with its rule; sorted by path
    std::vector<LeftOut> broken;       // links to nothing
    std::vector<LeftOut> unreadable;   // folders
    int64_t all_folders = 0;           // with those that hold nothing of interest
    int64_t links_followed = 0;        // to folders
    int64_t all_files() const { return static_cast<int64_t>(files.size() + ignored.size() + broken.size()); }
};

// The rules by which names are left out.
inline constexpr const char* rule_hidden = "hidden (its name begins with a dot)";
inline constexpr const char* rule_system = "left by an operating system or a NAS";
inline constexpr const char* rule_loop = "a link back to a folder above it";
inline constexpr const char* rule_beside = "lies beside the class folders";
inline constexpr const char* rule_unlisted = "not in the table";

// Throws UsageError when the folder itself cannot be listed.
FolderWalk walk_folder(const std::filesystem::path& folder);

}  // namespace xbench
