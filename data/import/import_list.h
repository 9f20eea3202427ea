// What an import will read: items with their labels, boxes, splits and groups, found by walking folders or listed in a
// CSV; and an account of everything else below the source.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/import/folder_walk.h"
#include "data/import/import.h"
#include "data/import/records.h"
#include "data/set/dataset.h"

namespace xbench {

struct ImportItem {
    std::string path;                    // below the source, with '/', bytes as the file system has them
    int64_t frame = 0;                   // of a file that holds several images
    std::vector<int32_t> classes;        // one; of a multi-label set any number, ascending
    std::optional<Split> split;          // either all items have one or none has
    std::string group;                   // may be empty
    std::vector<Box> boxes;              // in pixels of the file's image
    std::vector<int32_t> unknown = {};   // of a multi-label set: classes of which nobody knows, ascending
    std::vector<std::string> meta = {};  // in the order of ImportList::meta_names
    std::array<int64_t, 2> declared{};   // width and height that the boxes are meant for; 0: those of the file
};

struct ImportList {
    std::vector<ImportItem> items;         // by path and frame
    std::vector<std::string> class_names;  // sorted; numbers by value
    bool multilabel = false;
    std::vector<std::string> meta_names = {};            // view, sex, age, site: columns that the set keeps
    bool has_boxes = false;                              // the source tells boxes; an item without any has none
    std::vector<ImportReport::Quarantined> quarantined;  // listed, but no such file or no label
    std::vector<LeftOut> ignored, unreadable;            // files with their rule; folders with the reason
    int64_t files = 0, folders = 0, links_followed = 0;  // met below the source
    std::shared_ptr<RecordReader> records = {};          // reads the items, where they are no files
    std::optional<SplitShares> default_shares = {};      // of the format, where the source has no splits
    std::vector<std::string> notes, warnings;
};

// A row of the table of formats.
enum class Table { none, needed, found };  // of --labels: refused, asked for, or looked for where it is not given
struct ImportFormat {
    const char* name;
    Table table;
    bool (*recognises)(const ImportOptions& options);  // whether `auto` takes it; the first row that does wins
    ImportList (*list)(const ImportOptions& options);
};
// "folder, csv"
std::string format_names();

// Throws UsageError naming the folder, or the CSV's line.
ImportList list_images(const ImportOptions& options);
ImportList list_folder(const ImportOptions& options);
ImportList list_csv(const ImportOptions& options);
ImportList list_nih(const ImportOptions& options);
ImportList list_rsna(const ImportOptions& options);
ImportList list_coco(const ImportOptions& options);
bool is_nih(const ImportOptions& options);
bool is_rsna(const ImportOptions& options);
bool is_coco(const ImportOptions& options);
ImportList list_npz(const ImportOptions& options);
ImportList list_cifar(const ImportOptions& options);
bool is_npz(const ImportOptions& options);
bool is_cifar(const ImportOptions& options);
// Every file below a folder, or one file, without labels; all in the test split. Of one file the source becomes its folder.
ImportList list_unlabelled(ImportOptions& options);

// A list that starts with what the walk met and left out; its files are still to be accounted for.
ImportList start_list(const FolderWalk& walk);
// Where the source tells no group, what the first parentheses of the pattern catch in the path is one. Throws UsageError.
void group_by_name(ImportList& list, const std::string& pattern);
// Class names in the order of their index: by value when all are numbers, else by name.
std::vector<std::string> sorted_names(std::vector<std::string> names);
std::vector<std::string> split_text(const std::string& text, char separator);
// Lower case of ASCII letters; other bytes stay.
std::string lower_case(std::string text);
// Warns of names that differ in nothing but case, or are the same number, and refuses them when no split holds both: then
// they are one class, spelled in two ways. Needs items with classes and splits.
void check_spelling(ImportList& list, const std::string& place);

}  // namespace xbench
