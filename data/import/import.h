// Image files and their labels -> one HDF5 set, and an account of everything below the source. Each file is imported,
// quarantined with its reason (OUT.quarantine.csv), or ignored under a named rule. OUT.import.json holds the counts, which
// add up. Files that cannot be decoded end an import only if nothing is left.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/import/leaks.h"
#include "data/set/splits.h"

namespace xbench {

struct ImportOptions {
    std::string source;              // folder
    std::string out;                 // the HDF5 set
    std::string labels;              // CSV, or empty: folders name the classes
    std::vector<std::string> joins;  // more tables for its rows (data/import/csv_join.h)
    std::map<std::string, std::string>
        columns;           // path, label, labels, split, group, view ... -> their name in the CSV's header
    char separator = ',';  // of the CSV
    std::string uncertain = "ignore", blank = "zeros";  // in a column a class, -1 and blanks: zeros, ones or ignore
    std::string consensus = "union";                    // of several readers: union or majority
    std::vector<std::string> drop_labels;               // of cells: names that are no class
    std::vector<std::string> class_names;               // of formats that number their classes (npz, cifar)
    bool multilabel = false;      // labels of cells are classes that an image has or not, even if none has two
    int rsna_classes = 2;         // of format rsna: 2 or 3
    std::string group_regex;      // on the path; what its parentheses catch is the group where none is told
    std::string format = "auto";  // auto, or a name of the table of formats
    bool split_folders = true;    // false: folders on top are classes, whatever they are called
    int64_t channels = 1, size = 64;
    std::optional<SplitShares> shares;  // given: everything is split anew; else 70,15,15 where the source has no splits
    std::optional<double> val_share;  // given: val is drawn anew from train and val; else 0.15 of train where val is missing
    uint64_t seed = 1;
    int threads = 0;  // 0: all cores
    std::string created_by = "xbench data import";
    std::string patient_key;  // of the hash that stands for a DICOM patient; empty: a key made from all the files
    bool look_for_leaks = true, refuse_leaks = false;  // images and groups that lie in several splits
    bool keep_ids = false;                             // DICOM patients under their own PatientID
    std::string worker_program;  // decodes the files, by worker/serve.h; empty: this process does, and trusts them
    bool side_files = true;      // the quarantine's list and the account beside the set
    // From so many files on what is decoded is kept (data/import/journal.h), so that the same import goes on after a kill.
    int64_t journal_from = std::numeric_limits<int64_t>::max();
};

struct ImportProgress {
    int64_t done = 0, total = 0, quarantined = 0;
    double seconds_left = 0;
};

struct ImportReport {
    int64_t images = 0;
    int64_t resumed = 0;  // files that an import which was killed had decoded
    int bytes_per_pixel = 1;
    bool multilabel = false;
    std::vector<std::string> class_names;
    std::vector<std::array<int64_t, 3>>
        counts;  // [class][split]; of a multi-label set an image counts in each of its classes
    std::array<int64_t, 3> split_counts{};
    bool splits_drawn = false;  // by the import; else the source told them
    struct Quarantined {
        std::string path, reason;  // names are UTF-8, other bytes escaped (core/utf8.h)
        bool on_disk = true;       // false: a row of the table without a file
    };
    std::vector<Quarantined> quarantined;
    struct Ignored {
        std::string path, rule;
    };
    std::vector<Ignored> ignored;     // files
    std::vector<Ignored> unreadable;  // folders, with the system's reason
    // Files below the source: met = imported + quarantined + ignored.
    int64_t files_met = 0, files_imported = 0, files_quarantined = 0;
    int64_t folders_met = 0, links_followed = 0, rows_without_file = 0;
    int64_t decoder_warnings = 0;               // files that a decoder remarked on and read in full
    int64_t burned_in = 0;                      // DICOM images that say that text is burned into them
    std::map<std::string, int64_t> renderings;  // DICOM images by the window, function and polarity that made their pixels
    int64_t rotated = 0;                        // files with an EXIF orientation, which is ignored
    int64_t duplicates = 0;                     // files whose bytes another file already has
    int64_t duplicates_across_splits = 0;       // of those, in another split than the first: a leak
    int64_t groups = 0;                         // patients that are named
    int64_t groups_across_splits = 0;           // groups (patients) in more than one split: a leak
    std::optional<LeakReport> leaks;
    std::vector<std::string> ids;       // of the images, in the order of the set
    std::vector<std::string> notes;     // decisions that the user should know of
    std::vector<std::string> warnings;  // what may ruin an evaluation
    double seconds = 0;
    double images_per_second() const { return seconds > 0 ? static_cast<double>(images) / seconds : 0; }
};

using ImportObserver = std::function<void(const ImportProgress&)>;

// Outputs are tried before anything is decoded, and what is left behind after a failure is nothing or whole. An exception
// of the observer ends the import in the same way. Throws UsageError for a wrong option or table, Error when nothing can be
// imported or written.
// `shared` hands work to other ranks (data/import/shared_import.h).
class SharedImport;
ImportReport import_images(const ImportOptions& options, const ImportObserver& observer = {},
                           SharedImport* shared = nullptr);
// For predictions: every image below a folder, or one file, whose labels are not asked for. All are in the test split.
ImportReport import_unlabelled(const ImportOptions& options, const ImportObserver& observer = {});

// The same from a list that is at hand.
struct ImportList;
ImportReport import_list(const ImportOptions& options, ImportList list, const ImportObserver& observer = {});

}  // namespace xbench
