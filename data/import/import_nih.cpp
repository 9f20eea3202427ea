// NIH ChestX-ray14 as it is distributed: images_0NN/images/*.png, Data_Entry_2017.csv (or _v2020) with `A|B` and "No
// Finding", and the official lists. The official test images stay test; val is then drawn from train_val by patient. Without
// the lists patients are split 70/10/20. Several releases of the labels exist: the table's SHA-256 is said.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unordered_set>

#include <fmt/core.h>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr const char *image_column = "Image Index", *label_column = "Finding Labels";
constexpr const char* patient_in_name = R"((\d{8})_\d{3})";

std::string whole_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The table: the one that is named, or a Data_Entry*.csv on top of the source.
std::string nih_table(const ImportOptions& options) {
    const auto columns = [](const std::string& path) { return header_of(path); };
    const auto is_nih = [&](const std::string& path) {
        const auto header = columns(path);
        const auto has = [&](const char* name) { return std::find(header.begin(), header.end(), name) != header.end(); };
        return has(image_column) && has(label_column);
    };
    if (!options.labels.empty()) return is_nih(options.labels) ? options.labels : "";
    std::vector<std::string> found;
    std::error_code failure;
    if (!fs::is_directory(options.source, failure)) return "";
    for (const fs::path& entry : list_folder(fs::path(options.source))) {
        const std::string name = entry.filename().string();
        if (name.starts_with("Data_Entry") && name.ends_with(".csv")) found.push_back(entry.string());
    }
    if (found.size() > 1 && is_nih(found[0]))
        throw UsageError(fmt::format("holds {} tables, among them {} and {}", found.size(), found[0], found[1]),
                         escape_bytes(options.source), "name one with --labels");
    return found.size() == 1 && is_nih(found[0]) ? found[0] : "";
}

std::unordered_set<std::string> names_in(const fs::path& list) {
    std::unordered_set<std::string> names;
    std::ifstream file(list);
    for (std::string line; std::getline(file, line);) {
        if (const std::string name = trimmed(line); !name.empty()) names.insert(fs::path(name).filename().string());
    }
    return names;
}

// The official lists beside the table or the images; false where they are not there.
bool split_by_lists(ImportList& list, const ImportOptions& options, const std::string& table) {
    for (const fs::path& folder : {fs::path(options.source), fs::path(table).parent_path()}) {
        const fs::path train_list = folder / "train_val_list.txt", test_list = folder / "test_list.txt";
        std::error_code failure;
        if (!fs::exists(train_list, failure) || !fs::exists(test_list, failure)) continue;
        const auto train = names_in(train_list), test = names_in(test_list);
        std::vector<ImportItem> kept;
        for (ImportItem& item : list.items) {
            const std::string name = fs::path(item.path).filename().string();
            const bool in_train = train.contains(name), in_test = test.contains(name);
            if (in_train == in_test) {
                list.quarantined.push_back(
                    {item.path, in_train ? "in both of the official lists" : "in none of the official lists"});
                continue;
            }
            item.split = in_test ? Split::test : Split::train;
            kept.push_back(std::move(item));
        }
        list.items = std::move(kept);
        list.notes.push_back("test is that of the official test_list.txt; val is drawn from train_val_list.txt by patient");
        return true;
    }
    return false;
}

}  // namespace

bool is_nih(const ImportOptions& options) { return !nih_table(options).empty(); }

ImportList list_nih(const ImportOptions& options) {
    ImportOptions as_table = options;
    as_table.labels = nih_table(options);
    if (as_table.labels.empty())
        throw UsageError("no table with columns 'Image Index' and 'Finding Labels'", escape_bytes(options.source),
                         "name it with --labels Data_Entry_2017.csv");
    const auto header = header_of(as_table.labels);
    const auto map = [&](const char* role, const char* name) {
        if (std::find(header.begin(), header.end(), name) != header.end()) as_table.columns.emplace(role, name);
    };
    map("path", image_column);
    map("label", label_column);
    map("group", "Patient ID");
    map("age", "Patient Age");
    map("sex", "Patient Gender");
    map("sex", "Patient Sex");
    map("view", "View Position");
    as_table.multilabel = true;
    if (!as_table.columns.contains("group") && options.group_regex.empty()) as_table.group_regex = patient_in_name;
    ImportList list = list_csv(as_table);
    if (!as_table.group_regex.empty()) group_by_name(list, as_table.group_regex);
    list.notes.push_back(
        fmt::format("labels of {}, SHA-256 {}", escape_bytes(as_table.labels), hex_of(sha256(whole_file(as_table.labels)))));
    if (!as_table.columns.contains("split") && !split_by_lists(list, options, as_table.labels))
        list.default_shares = SplitShares{0.7, 0.1, 0.2};
    return list;
}

}  // namespace xbench
