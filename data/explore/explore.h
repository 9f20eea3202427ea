// A look at a set before anything is trained on it: what is in it, how bright it is, who is in it, and what leaks. One pass
// over the images, of which none is kept; a kilobyte an image is.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "data/import/leaks.h"
#include "data/set/image_set.h"
#include "data/set/set_summary.h"

namespace xbench {

// Counts in bins of equal width from `low` to `high`; what lies outside is in the first or the last.
struct Histogram {
    double low = 0, high = 1;
    std::vector<int64_t> counts;
    void add(double value);
    double centre(size_t bin) const;
};

// Of some images (a class, or all): how bright they are and how much they vary. Pixels in [0,1], over all channels.
struct Intensity {
    std::string name;
    int64_t images = 0;
    double mean = 0, mean_spread = 0;          // of the images' means: their mean and standard deviation
    double contrast = 0, contrast_spread = 0;  // of the images' standard deviations
    double black = 0, white = 0;               // share of the pixels that are 0, or the largest value
    Histogram brightness, variation;           // images by their mean, and by their standard deviation
};

// One column of /meta: images and classes by its values.
struct Subgroups {
    std::string column;
    struct Row {
        std::string value;  // "" : unknown
        int64_t images = 0;
        std::vector<int64_t> with_class;
        std::array<int64_t, 3> in_split{};
    };
    std::vector<Row> rows;
};

struct ExploreReport {
    SetSummary summary;
    std::vector<int64_t> unknown;                // of a multi-label set, by class
    std::vector<std::vector<int64_t>> together;  // of a multi-label set: images that have both; the diagonal: the class
    Intensity all;
    std::vector<Intensity> by_class;
    std::map<std::string, int64_t> sizes;  // of the files, "1024x768": images; empty where the set does not know
    int64_t most_in_group = 0;
    std::vector<Subgroups> subgroups;
    LeakReport leaks;
    int64_t copies_labelled_otherwise = 0;  // of the pairs of identical images that are listed
    std::vector<std::string> warnings;
    std::vector<std::vector<int64_t>> samples;  // [class] images from all over the set
};

struct ExploreOptions {
    int threads = 1;
    int samples_of_class = 8;
};

using ExploreObserver = std::function<void(int64_t done, int64_t total)>;

// `records` and `images` are the two halves of one set; `path` is its name in words.
ExploreReport explore(const SetRecords& records, const Dataset& images, const std::string& path,
                      const ExploreOptions& options, const ExploreObserver& observer = {});
Json to_json(const ExploreReport& report, const std::vector<std::string>& ids);

}  // namespace xbench
