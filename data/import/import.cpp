// The import from end to end: outputs are tried, the source is listed, files are decoded, splits are chosen; what stands
// beside the set is written first and renamed last, so that a failure leaves nothing or all of it.
#include "data/import/import.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/core.h>

#include "core/durable_file.h"
#include "core/error.h"
#include "core/parallel_for.h"
#include "core/utf8.h"
#include "data/import/decode_items.h"
#include "data/import/import_list.h"
#include "data/import/import_report.h"
#include "data/import/import_splits.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

void check(const ImportOptions& options) {
    if (options.channels != 1 && options.channels != 3) throw UsageError("must be 1 or 3", "--channels");
    if (options.size < 1 || options.size > 4096) throw UsageError("must be 1 to 4096", "--size");
    if (options.val_share && !(*options.val_share >= 0 && *options.val_share < 1))
        throw UsageError("must be at least 0 and below 1", "--val-share");
    if (options.val_share && options.shares)
        throw UsageError("--split splits everything anew, val too", "--val-share", "keep one of the two");
    if (options.threads < 0) throw UsageError("must be at least 0", "--threads");
    if (options.out.empty()) throw UsageError("no file to write", "--out", "name the HDF5 set");
    if (!is_utf8(options.out)) throw UsageError("the name is not UTF-8", escape_bytes(options.out), "choose another --out");
}

// The files beside the set.
class SideFiles {
public:
    explicit SideFiles(const ImportOptions& options)
        : wanted_(options.side_files), quarantine_(options.out + ".quarantine.csv"), account_(options.out + ".import.json") {
        try_output(options.out);
        if (!wanted_) return;
        try_output(quarantine_);
        try_output(account_);
    }
    // Everything but the renaming, which hardly fails.
    void write(const ImportReport& report, const ImportOptions& options) {
        if (!wanted_) return;
        write(account_file_, account_, account_json(report, options));
        if (!report.quarantined.empty()) write(quarantine_file_, quarantine_, quarantine_csv(report));
    }
    void commit() {
        if (!wanted_) return;
        account_file_->commit();
        std::error_code ignored;
        if (quarantine_file_)
            quarantine_file_->commit();
        else if (fs::is_regular_file(fs::symlink_status(quarantine_, ignored)))
            fs::remove(quarantine_, ignored);  // of an earlier import
    }

private:
    static void write(std::optional<DurableFile>& file, const fs::path& path, const std::string& text) {
        file.emplace(path, DurableFile::Folders::must_exist);
        file->write(text);
        file->sync();
    }
    const bool wanted_;
    const fs::path quarantine_, account_;
    std::optional<DurableFile> quarantine_file_, account_file_;
};

// Boxes as the set has them: in pixels of the stored image.
void add_boxes(SetRecords& records, const ImportItem& item, const std::array<int64_t, 2>& size) {
    const auto& meant = item.declared[0] > 0 ? item.declared : size;
    const auto across = static_cast<float>(records.info.width) / static_cast<float>(meant[0]);
    const auto down = static_cast<float>(records.info.height) / static_cast<float>(meant[1]);
    for (const Box& box : item.boxes)
        records.boxes.push_back({box[0], box[1] * across, box[2] * down, box[3] * across, box[4] * down});
    records.box_offsets.push_back(static_cast<int64_t>(records.boxes.size()));
}

void set_targets(SetRecords& records, size_t image, const ImportItem& item) {
    uint8_t* row = records.targets.data() + image * records.info.class_names.size();
    for (const int32_t k : item.classes) row[k] = 1;
    for (const int32_t k : item.unknown) row[k] = unknown_label;
}

void add_meta(SetRecords& records, const ImportList& list, const DecodedItems& items) {
    for (size_t m = 0; m < list.meta_names.size(); ++m) {
        auto& column = records.meta[list.meta_names[m]];
        for (const ImportItem* item : items.kept) column.push_back(item->meta[m]);
    }
    if (list.records == nullptr) {  // of files: what they were before they were made to fit
        for (const auto& [width, height] : items.sizes) {
            records.meta["width"].push_back(fmt::format("{}", width));
            records.meta["height"].push_back(fmt::format("{}", height));
        }
    }
    const auto& made = items.renderings;
    if (std::any_of(made.begin(), made.end(), [](const std::string& text) { return !text.empty(); }))
        records.meta["rendering"] = made;
}

SetRecords make_records(const ImportList& list, const DecodedItems& items, const DatasetInfo& info) {
    SetRecords records;
    records.info = info;
    const bool grouped = std::any_of(items.groups.begin(), items.groups.end(), [](const auto& g) { return !g.empty(); });
    const size_t classes = info.class_names.size();
    if (info.multilabel) records.targets.assign(items.kept.size() * classes, 0);
    if (list.has_boxes) records.box_offsets.push_back(0);
    for (size_t i = 0; i < items.kept.size(); ++i) {
        const ImportItem& item = *items.kept[i];
        const std::string id = escape_bytes(item.path);
        records.ids.push_back(item.frame == 0 ? id : fmt::format("{}[{}]", id, item.frame));
        if (grouped) records.groups.push_back(items.groups[i]);
        if (list.has_boxes) add_boxes(records, item, items.sizes[i]);
        if (!info.multilabel)
            records.labels.push_back(item.classes.front());
        else
            set_targets(records, i, item);
    }
    add_meta(records, list, items);
    return records;
}

void count_classes(ImportReport& report, const DecodedItems& items, const SetRecords& records) {
    report.counts.resize(report.class_names.size());
    for (size_t i = 0; i < items.kept.size(); ++i) {
        ++report.split_counts[records.splits[i]];
        for (const int32_t k : items.kept[i]->classes) ++report.counts[static_cast<size_t>(k)][records.splits[i]];
    }
}

void count_leaks(ImportReport& report, const DecodedItems& items, const SetRecords& records) {
    std::unordered_map<std::string, uint8_t> first_split;
    std::unordered_map<std::string, std::set<uint8_t>> group_splits;
    for (size_t i = 0; i < items.kept.size(); ++i) {
        const auto [first, fresh] = first_split.emplace(items.digests[i], records.splits[i]);
        report.duplicates += !fresh;
        report.duplicates_across_splits += !fresh && first->second != records.splits[i];
        if (!items.groups[i].empty()) group_splits[items.groups[i]].insert(records.splits[i]);
    }
    report.groups = static_cast<int64_t>(group_splits.size());
    for (const auto& [group, splits] : group_splits) report.groups_across_splits += splits.size() > 1;
}

// Where each file went. A file of several images is imported when one of them is.
void account_for(ImportReport& report, const ImportList& list, const DecodedItems& items) {
    std::unordered_set<std::string> imported, quarantined;
    for (const ImportItem* item : items.kept) imported.insert(item->path);
    for (const auto* several : {&list.quarantined, &items.failed}) {
        for (const auto& entry : *several) {
            report.rows_without_file += !entry.on_disk;
            if (entry.on_disk && !imported.contains(entry.path)) quarantined.insert(entry.path);
            report.quarantined.push_back(
                {entry.on_disk ? escape_bytes(entry.path) : entry.path, entry.reason, entry.on_disk});
        }
    }
    std::sort(report.quarantined.begin(), report.quarantined.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    for (const auto* several : {&list.ignored, &items.left_out})
        for (const auto& [path, rule] : *several) report.ignored.push_back({escape_bytes(path), rule});
    for (const auto& [path, reason] : list.unreadable) report.unreadable.push_back({escape_bytes(path), reason});
    report.files_met = list.files;
    report.files_imported = static_cast<int64_t>(imported.size());
    report.files_quarantined = static_cast<int64_t>(quarantined.size());
    report.folders_met = list.folders;
    report.links_followed = list.links_followed;
    report.decoder_warnings = items.warned;
    report.rotated = items.rotated;
    report.burned_in = items.burned_in;
    for (const std::string& rendering : items.renderings) {
        if (!rendering.empty()) ++report.renderings[rendering];
    }
}

ImportReport start_report(const ImportList& list, const DecodedItems& items, const DatasetInfo& info) {
    ImportReport report;
    report.class_names = info.class_names;
    report.multilabel = info.multilabel;
    report.bytes_per_pixel = items.bytes_per_pixel;
    report.images = static_cast<int64_t>(items.kept.size());
    report.notes = list.notes;
    report.warnings = list.warnings;
    account_for(report, list, items);
    return report;
}

[[noreturn]] void end_without_images(const ImportReport& report, const ImportOptions& options, SideFiles& beside) {
    const std::string source = escape_bytes(options.source);
    if (report.quarantined.empty()) throw Error("holds no image", source, "name a folder of PNG and JPEG files");
    beside.write(report, options);
    beside.commit();
    const auto& first = report.quarantined.front();
    const std::string name = first.path.empty() ? "" : first.path + ": ";
    throw Error(
        fmt::format("none of {} files could be read; the first: {}{}", report.quarantined.size(), name, first.reason),
        source, options.side_files ? "all reasons are in " + options.out + ".quarantine.csv" : "");
}

ImportReport import_from(const ImportOptions& options, SideFiles& beside, const ImportList& list,
                         const ImportObserver& observer, SharedImport* shared = nullptr) {
    const auto start = std::chrono::steady_clock::now();
    DatasetInfo info{escape_bytes(options.source),
                     static_cast<int64_t>(list.items.size()),
                     options.channels,
                     options.size,
                     options.size,
                     1,
                     list.class_names,
                     list.multilabel};
    std::optional<ImportJournal> journal;
    if (static_cast<int64_t>(list.items.size()) >= options.journal_from && list.records == nullptr)
        journal.emplace(options, list);
    DecodedItems items = decode_items(options, list, info, observer, shared, journal ? &*journal : nullptr);
    info.bytes_per_pixel = items.bytes_per_pixel;
    ImportReport report = start_report(list, items, info);
    if (items.kept.empty()) end_without_images(report, options, beside);
    SetRecords records = make_records(list, items, info);
    records.created_by = options.created_by;
    records.splits = choose_splits(options, list, items, report.notes);
    report.splits_drawn = options.shares || !items.kept.front()->split;
    count_classes(report, items, records);
    count_leaks(report, items, records);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (options.look_for_leaks) {
        report.leaks =
            items.leaks.find(records.splits, records.groups, options.threads > 0 ? options.threads : usable_cores());
        records.info.leaks = report.leaks->verdict();
        if (options.refuse_leaks) refuse_leaks(*report.leaks, escape_bytes(options.source));
    }
    report.ids = records.ids;
    add_remarks(report, options, items);
    beside.write(report, options);
    items.writer->finish(records);
    beside.commit();
    if (journal) {
        report.resumed = journal->taken();
        journal->remove();
    }
    return report;
}

}  // namespace

ImportReport import_list(const ImportOptions& options, ImportList list, const ImportObserver& observer) {
    check(options);
    SideFiles beside(options);
    return import_from(options, beside, list, observer);
}

ImportReport import_images(const ImportOptions& options, const ImportObserver& observer, SharedImport* shared) {
    check(options);
    SideFiles beside(options);  // before the listing, which may take long
    return import_from(options, beside, list_images(options), observer, shared);
}

ImportReport import_unlabelled(const ImportOptions& options, const ImportObserver& observer) {
    check(options);
    SideFiles beside(options);
    ImportOptions resolved = options;
    const ImportList list = list_unlabelled(resolved);
    return import_from(resolved, beside, list, observer);
}

}  // namespace xbench
