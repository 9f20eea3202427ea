// What an import will read: files with their labels, splits and groups, found by walking folders or listed in a CSV.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/import/import.h"
#include "data/set/dataset.h"

namespace xbench {

struct ImportItem {
    std::string path;              // below the source, with '/'
    std::vector<int32_t> classes;  // one; of a multi-label set any number, ascending
    std::optional<Split> split;    // either all items have one or none has
    std::string group;             // may be empty
};

struct ImportList {
    std::vector<ImportItem> items;         // by path
    std::vector<std::string> class_names;  // sorted; numbers by value
    bool multilabel = false;
    std::vector<ImportReport::Quarantined> quarantined;  // listed, but no such file or no label
    int64_t unlisted = 0;
};

// Throws UsageError naming the folder, or the CSV's line.
ImportList list_images(const ImportOptions& options);
ImportList list_folder(const ImportOptions& options);
ImportList list_csv(const ImportOptions& options);

// All files below a folder that may be images, as sorted paths relative to it: everything but what systems leave behind
// (hidden files, Thumbs.db, desktop.ini, __MACOSX).
std::vector<std::string> files_below(const std::filesystem::path& folder);
// Class names in the order of their index: by value when all are numbers, else by name.
std::vector<std::string> sorted_names(std::vector<std::string> names);
std::vector<std::string> split_text(const std::string& text, char separator);

}  // namespace xbench
