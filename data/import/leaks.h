// Images and patients that lie in more than one split: a model that saw the test images is not tested.
//
// Two stages, as on X-rays, which all look alike, a perceptual hash alone calls thousands of pairs equal: candidates are
// pairs whose pHashes differ in at most 8 of 64 bits in one of 8 orientations, or as negatives; "identical" are those whose
// small gray copies correlate above .99 (below -.99 as negatives). "Similar" (at most 4 bits, or above .93) is told and
// never refused. Shifted, cropped or slightly rotated copies are not found: groups by file name or patient must say those.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "data/import/leak_hash.h"
#include "data/set/dataset.h"

namespace xbench {

struct LeakPair {
    int64_t a = 0, b = 0;  // images, a < b
    double correlation = 0;
    bool turned = false, negative = false;  // mirrored or rotated; one the negative of the other
};

struct LeakReport {
    int64_t images = 0, pairs_compared = 0;
    int64_t identical_pairs = 0, identical_across = 0;  // across: in different splits
    int64_t groups = 0, groups_across = 0;              // of identical images, connected; across: with several splits
    int64_t similar_pairs = 0, similar_across = 0;      // without the identical ones
    int64_t patients = 0, patients_across = 0;          // groups of the set
    std::vector<LeakPair> examples;                     // identical ones, those across splits first
    bool leaks() const { return identical_across > 0 || patients_across > 0; }
    std::string verdict() const;  // one sentence
};

// Collects images one by one, then compares all pairs.
class LeakFinder {
public:
    // Planes {c,h,w} of `bytes_per_pixel`, in the order of the set. Not for several threads at once.
    void add(const uint8_t* planes, int64_t channels, int64_t height, int64_t width, int bytes_per_pixel);
    LeakReport find(std::span<const uint8_t> splits, std::span<const std::string> patients, int threads);
    // Pairs that connect all images which show the same; for who draws splits. Both compare all pairs once.
    std::vector<std::array<int64_t, 2>> identical(int threads);

    struct Found {
        size_t a = 0, b = 0;  // numbers of small copies, in the order in which they came
        double correlation = 0;
        bool identical = false, turned = false, negative = false;
    };

private:
    void compare_all(int threads);
    Resizer resizer_;
    std::vector<uint8_t> narrow_;
    std::vector<Thumbnail> thumbnails_;
    std::vector<Found> found_;
    size_t compared_ = 0;  // images
};

// Of a verdict that a set or weights carry; false where nobody has looked, too.
bool says_leaks(const std::string& verdict);

LeakReport find_leaks(const Dataset& dataset, int threads);
// Throws Error where images or patients lie in several splits. `place` names the set.
void refuse_leaks(const LeakReport& report, const std::string& place);
Json to_json(const LeakReport& report, const std::vector<std::string>& ids);

}  // namespace xbench
