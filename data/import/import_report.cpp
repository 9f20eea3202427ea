// Remarks are made from counts alone, so that the same import says the same.
#include "data/import/import_report.h"

#include <map>

#include <fmt/core.h>

#include "core/json.h"
#include "core/utf8.h"
#include "data/import/csv.h"

namespace xbench {
namespace {

constexpr int64_t least_val = 30;  // images: below it the 95% interval of an accuracy is up to 18 points wide on each side
constexpr int64_t least_groups = 20;  // of which it means something that each has one image
constexpr uint32_t full_deep_sample = 65535;
constexpr size_t most_examples = 1000;  // of the files that a rule leaves out

std::string count_of(int64_t count, const char* thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

void note_ignored(ImportReport& report) {
    std::map<std::string, std::pair<int64_t, std::string>> rules;  // files, the first of them
    for (const auto& [path, rule] : report.ignored) {
        auto& [count, first] = rules.try_emplace(rule, 0, path).first->second;
        ++count;
    }
    for (const auto& [rule, found] : rules) {
        report.notes.push_back(
            fmt::format("{} left out, the first {}: {}", count_of(found.first, "file"), found.second, rule));
    }
}

void note_pixels(ImportReport& report, const DecodedItems& items) {
    if (items.warned > 0) {
        report.notes.push_back(
            fmt::format("{} read in full although the decoder had warnings (junk between segments and the like)",
                        count_of(items.warned, "JPEG file")));
    }
    if (items.rotated > 0) {
        report.notes.push_back(
            fmt::format("{} with an EXIF orientation: pixels are taken as stored, as Pillow and torchvision do",
                        count_of(items.rotated, "file")));
    }
    const uint32_t largest = items.largest_deep_sample;
    if (report.renderings.empty() && largest > 0 && largest <= full_deep_sample / 2) {
        int bits = 1;
        while (largest >> bits) ++bits;
        report.notes.push_back(
            fmt::format("the 16-bit files use {} bits only (largest value {}): scaled by 65535 their images are "
                        "at most {:.0f}% bright; set data.mean and data.std, or stretch the files",
                        bits, largest, 100.0 * largest / full_deep_sample));
    }
}

void warn_of_splits(ImportReport& report) {
    const auto [train, val, test] = report.split_counts;
    const char* const anew =
        report.splits_drawn ? "give it a larger share (--split)" : "--split 70,15,15 splits everything anew";
    const char* const draw = report.splits_drawn ? anew : "--val-share 0.15 draws it from the training images";
    if (train > 0 && val == 0)
        report.warnings.push_back(fmt::format("no val split: the best epoch cannot be chosen; {}", draw));
    if (train > 0 && test == 0)
        report.warnings.push_back(fmt::format("no test split: a training will have no test scores; {}", anew));
    if (train > 0 && val > 0 && val < least_val) {
        report.warnings.push_back(
            fmt::format("{} in val are too few to choose an epoch by; {}{}", count_of(val, "image"),
                        report.splits_drawn ? "" : "--val-share 0.15 draws val anew from train and val, ", anew));
    }
    for (size_t k = 0; k < report.counts.size(); ++k) {
        const auto& count = report.counts[k];
        if (count[0] + count[1] + count[2] == 0)
            report.warnings.push_back(fmt::format("class '{}' has no image in the set", report.class_names[k]));
    }
}

void warn_of_leaks(ImportReport& report) {
    if (report.duplicates > 0)
        report.notes.push_back(
            fmt::format("{} the same bytes as another",
                        report.duplicates == 1 ? "1 file has" : count_of(report.duplicates, "file") + " have"));
    if (report.duplicates_across_splits > 0) {
        report.warnings.push_back(
            fmt::format("{} of them lie in another split than their double: test scores will be too good",
                        report.duplicates_across_splits));
    }
    if (report.groups_across_splits > 0) {
        report.warnings.push_back(
            fmt::format("{} groups lie in more than one split: test scores may be too good", report.groups_across_splits));
    }
}

void warn_of_patients(ImportReport& report) {
    if (report.groups >= least_groups && report.groups == report.images) {
        report.warnings.push_back(
            "every image is a group of its own: if one patient can have several images, these groups are no patients, and "
            "a split by them is a split by image");
    }
    if (report.burned_in > 0) {
        report.warnings.push_back(fmt::format("{} with text burned into the pixels, by their own word: names may be legible",
                                              count_of(report.burned_in, "DICOM image")));
    }
}

void warn_of_pictures(ImportReport& report) {
    if (!report.leaks) return;
    const LeakReport& leaks = *report.leaks;
    if (leaks.identical_across > 0) {
        report.warnings.push_back(fmt::format(
            "{} pairs of images that show the same lie in different splits ({} groups): test scores will be too good",
            leaks.identical_across, leaks.groups_across));
    }
    if (leaks.similar_across > 0)
        report.notes.push_back(fmt::format("{} pairs of similar images lie in different splits", leaks.similar_across));
}

Json list_of(const std::vector<ImportReport::Ignored>& entries) {
    Json list = Json::array();
    for (const auto& [path, reason] : entries) list.push_back({{"path", path}, {"reason", reason}});
    return list;
}

Json ignored_by_rule(const ImportReport& report) {
    Json rules = Json::object();
    for (const auto& [path, rule] : report.ignored) {
        Json& entry = rules[rule];
        if (entry.is_null()) entry = {{"files", 0}, {"paths", Json::array()}};
        entry["files"] = entry["files"].get<int64_t>() + 1;
        if (entry["paths"].size() < most_examples) entry["paths"].push_back(path);
    }
    return rules;
}

}  // namespace

void add_remarks(ImportReport& report, const ImportOptions& options, const DecodedItems& items) {
    note_ignored(report);
    if (report.links_followed > 0)
        report.notes.push_back(fmt::format("{} followed", count_of(report.links_followed, "link") + " to folders"));
    note_pixels(report, items);
    warn_of_splits(report);
    warn_of_leaks(report);
    warn_of_pictures(report);
    warn_of_patients(report);
    for (const auto& [path, reason] : report.unreadable) {
        report.warnings.push_back(
            fmt::format("folder {} cannot be listed, and what it holds is not imported: {}", path, reason));
    }
    if (!report.quarantined.empty()) {
        const auto& first = report.quarantined.front();
        report.warnings.push_back(fmt::format(
            "{} quarantined; reasons in {}.quarantine.csv, the first: {}: {}",
            report.quarantined.size() == 1 ? "1 file was"
                                           : count_of(static_cast<int64_t>(report.quarantined.size()), "file") + " were",
            options.out, first.path, first.reason));
    }
}

std::string quarantine_csv(const ImportReport& report) {
    std::string text = "path,reason\n";
    for (const auto& entry : report.quarantined) text += csv_field(entry.path) + ',' + csv_field(entry.reason) + '\n';
    return text;
}

std::string account_json(const ImportReport& report, const ImportOptions& options) {
    Json account{{"schema", "xbench.import/1"},
                 {"source", escape_bytes(options.source)},
                 {"set", options.out},
                 {"created_by", options.created_by},
                 {"files",
                  {{"met", report.files_met},
                   {"imported", report.files_imported},
                   {"quarantined", report.files_quarantined},
                   {"ignored", report.ignored.size()}}},
                 {"folders", {{"met", report.folders_met}, {"not_readable", report.unreadable.size()}}},
                 {"images", report.images},
                 {"links_followed", report.links_followed},
                 {"rows_without_file", report.rows_without_file},
                 {"decoder_warnings", report.decoder_warnings},
                 {"exif_orientations", report.rotated},
                 {"ignored", ignored_by_rule(report)},
                 {"not_readable", list_of(report.unreadable)}};
    account["quarantined"] = Json::array();
    for (const auto& entry : report.quarantined)
        account["quarantined"].push_back({{"path", entry.path}, {"reason", entry.reason}, {"on_disk", entry.on_disk}});
    account["classes"] = Json::array();
    for (size_t k = 0; k < report.counts.size(); ++k) {
        const auto& count = report.counts[k];
        account["classes"].push_back(
            {{"name", report.class_names[k]}, {"train", count[0]}, {"val", count[1]}, {"test", count[2]}});
    }
    if (!report.renderings.empty()) account["dicom_renderings"] = report.renderings;
    account["leaks"] = report.leaks ? to_json(*report.leaks, report.ids) : Json();
    account["notes"] = report.notes;
    account["warnings"] = report.warnings;
    return json_text(account, 2) + "\n";
}

}  // namespace xbench
