// Image files and their labels -> one HDF5 set. Files that cannot be decoded are quarantined with their reason, listed in
// OUT.quarantine.csv and counted; they never end an import unless nothing is left.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/set/splits.h"

namespace xbench {

struct ImportOptions {
    std::string source;                          // folder
    std::string out;                             // the HDF5 set
    std::string labels;                          // CSV, or empty: folders name the classes
    std::map<std::string, std::string> columns;  // path, label, split, group -> their name in the CSV's header
    std::string format = "auto";                 // auto | folder | csv
    int64_t channels = 1, size = 64;
    SplitShares shares;       // where the source has no splits
    double val_share = 0.15;  // of the training images, where the source has train and test but no val; 0: none
    uint64_t seed = 1;
    int threads = 0;  // 0: all cores
    std::string created_by = "xbench data import";
};

struct ImportProgress {
    int64_t done = 0, total = 0, quarantined = 0;
    double seconds_left = 0;
};

struct ImportReport {
    int64_t images = 0;
    int bytes_per_pixel = 1;
    bool multilabel = false;
    std::vector<std::string> class_names;
    std::vector<std::array<int64_t, 3>>
        counts;  // [class][split]; of a multi-label set an image counts in each of its classes
    std::array<int64_t, 3> split_counts{};
    struct Quarantined {
        std::string path, reason;
    };
    std::vector<Quarantined> quarantined;
    int64_t duplicates = 0;                // files whose bytes another file already has
    int64_t duplicates_across_splits = 0;  // of those, in another split than the first: a leak
    int64_t groups_across_splits = 0;      // groups (patients) in more than one split: a leak
    int64_t unlisted = 0;                  // files below the source that the CSV does not name
    std::vector<std::string> notes;        // decisions that the user should know of
    double seconds = 0;
    double images_per_second() const { return seconds > 0 ? static_cast<double>(images) / seconds : 0; }
};

using ImportObserver = std::function<void(const ImportProgress&)>;

// Throws UsageError for a wrong option or table, Error when nothing can be imported or written.
ImportReport import_images(const ImportOptions& options, const ImportObserver& observer = {});

}  // namespace xbench
