// RSNA Pneumonia Detection 2018: DICOM files named by patientId and stage_2_train_labels.csv, which has a row a box, so that
// an image of four boxes has four rows: one image each here. Of stage_2_detailed_class_info.csv, which repeats them too,
// come three classes where they are asked for. A patientId is one an image: it is no group.
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/csv_labels.h"
#include "data/import/csv_paths.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr const char *boxes_table = "stage_2_train_labels.csv", *classes_table = "stage_2_detailed_class_info.csv";
constexpr const char *opacity = "Lung Opacity", *no_opacity = "No Lung Opacity";

std::string rsna_table(const ImportOptions& options) {
    const auto is_rsna = [](const std::string& path) {
        const auto header = header_of(path);
        const auto has = [&](const char* name) { return std::find(header.begin(), header.end(), name) != header.end(); };
        return has("patientId") && has("Target") && has("width");
    };
    const std::string path = options.labels.empty() ? (fs::path(options.source) / boxes_table).string() : options.labels;
    return is_rsna(path) ? path : "";
}

struct Study {
    int line = 0;
    bool target = false;
    std::vector<std::array<float, 4>> boxes;
};

size_t required_column(const CsvTable& table, const char* name) {
    if (const auto at = column_of(table, name)) return *at;
    throw UsageError(fmt::format("no column '{}'", name), table.path + ":1");
}

float number_in(const std::string& cell, const std::string& place) {
    float value = 0;
    const auto [end, failure] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (failure != std::errc{} || end != cell.data() + cell.size()) throw UsageError("'" + cell + "' is no number", place);
    return value;
}

std::map<std::string, Study> studies_of(const CsvTable& table, int64_t& empty_boxes) {
    const size_t id = required_column(table, "patientId"), target = required_column(table, "Target");
    const std::array<size_t, 4> sides{required_column(table, "x"), required_column(table, "y"),
                                      required_column(table, "width"), required_column(table, "height")};
    std::map<std::string, Study> studies;
    for (size_t i = 0; i < table.rows.size(); ++i) {
        const auto& row = table.rows[i];
        const std::string place = fmt::format("{}:{}", table.path, table.lines[i]);
        const auto [entry, fresh] = studies.try_emplace(row[id], Study{table.lines[i], row[target] == "1", {}});
        if (row[target] != "0" && row[target] != "1") throw UsageError("Target is neither 0 nor 1", place);
        if (!fresh && entry->second.target != (row[target] == "1"))
            throw UsageError(fmt::format("another Target than in line {}", entry->second.line), place);
        if (is_missing(row[sides[0]])) continue;
        std::array<float, 4> box;
        for (size_t s = 0; s < 4; ++s) box[s] = number_in(row[sides[s]], place);
        if (box[2] > 0 && box[3] > 0)
            entry->second.boxes.push_back(box);
        else
            ++empty_boxes;
    }
    return studies;
}

// patientId -> one of the three classes.
std::map<std::string, std::string> detailed_classes(const fs::path& path) {
    const CsvTable table = read_csv(path.string());
    const size_t id = required_column(table, "patientId"), name = required_column(table, "class");
    std::map<std::string, std::string> classes;
    for (const auto& row : table.rows) classes.emplace(row[id], row[name]);
    return classes;
}

}  // namespace

bool is_rsna(const ImportOptions& options) { return !rsna_table(options).empty(); }

ImportList list_rsna(const ImportOptions& options) {
    const std::string path = rsna_table(options);
    if (path.empty())
        throw UsageError(fmt::format("no {} with patientId, x, y, width, height and Target", boxes_table),
                         escape_bytes(options.source), "name it with --labels");
    if (options.rsna_classes != 2 && options.rsna_classes != 3) throw UsageError("must be 2 or 3", "--rsna-classes");
    int64_t empty_boxes = 0;
    const auto studies = studies_of(read_csv(path), empty_boxes);
    std::map<std::string, std::string> detailed;
    if (options.rsna_classes == 3) detailed = detailed_classes(fs::path(path).parent_path() / classes_table);
    const FolderWalk walk = walk_folder(options.source);
    const PathIndex files(walk.files, options.source);
    ImportList list = start_list(walk);
    list.has_boxes = true;
    list.class_names = options.rsna_classes == 2
                           ? std::vector<std::string>{no_opacity, opacity}
                           : std::vector<std::string>{"Normal", "No Lung Opacity / Not Normal", opacity};
    const auto number_of = [&](const std::string& name) {
        return static_cast<int32_t>(std::find(list.class_names.begin(), list.class_names.end(), name) -
                                    list.class_names.begin());
    };
    std::map<std::string, bool> listed;
    for (const auto& study : studies) {
        const std::string place = fmt::format("{}:{}", path, study.second.line);
        ImportItem item;
        item.path = files.find(study.first, place);
        if (item.path.empty()) {
            list.quarantined.push_back({study.first, place + ": no such file below the source", false});
            continue;
        }
        listed[item.path] = true;
        const auto detail = detailed.find(study.first);
        const int32_t k = options.rsna_classes == 2  ? number_of(study.second.target ? opacity : no_opacity)
                          : detail == detailed.end() ? static_cast<int32_t>(list.class_names.size())
                                                     : number_of(detail->second);
        if (std::cmp_greater_equal(k, list.class_names.size())) {
            list.quarantined.push_back({item.path, fmt::format("{}: no class in {}", place, classes_table)});
            continue;
        }
        item.classes = {k};
        for (const auto& [x, y, w, h] : study.second.boxes)
            item.boxes.push_back({static_cast<float>(number_of(opacity)), x, y, w, h});
        list.items.push_back(std::move(item));
    }
    for (const std::string& file : walk.files) {
        if (!listed.contains(file)) list.ignored.push_back({file, rule_unlisted});
    }
    if (empty_boxes > 0) list.notes.push_back(fmt::format("{} boxes without an area are left out", empty_boxes));
    list.warnings.push_back(
        "a patientId of RSNA is one an image: a split by it is a split by image, and all images are also "
        "NIH's; real patients need NIH's mapping (--labels with a group column)");
    return list;
}

}  // namespace xbench
