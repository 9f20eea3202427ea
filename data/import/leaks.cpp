// Images with the same small copy are one for the search, so that a set of copies is no harder than a set of originals. The
// pairs of the rest are all compared: 64 bits a time, a row of pairs a thread.
#include "data/import/leaks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "core/parallel_for.h"
#include "data/import/near_hashes.h"

namespace xbench {
namespace {

constexpr int similar_bits = 4;
constexpr double identical_correlation = 0.99, similar_correlation = 0.93;
constexpr size_t most_examples = 100, most_found = 1'000'000;  // similar pairs that a thread keeps
constexpr size_t splits_known = 3;
constexpr const char* no_leaks = "no image and no group was found in more than one split";

// Images that have the same small copy.
struct Copies {
    std::vector<int64_t> images;
    std::array<int64_t, splits_known> in_split{};
    int64_t count() const { return static_cast<int64_t>(images.size()); }
};

using Found = LeakFinder::Found;  // here of the copies

// A pair of copies in one orientation, and what a thread has found.
struct Candidate {
    Found pair;
    size_t orientation = 0;
};
struct Candidates {
    std::vector<Candidate> all;
    size_t similar = 0;
};

// Copy a in this orientation against copy b, whose hashes differ in so many bits.
void compare(Candidates& found, const Found& pair, const Thumbnail& a, const Thumbnail& b, size_t orientation, int bits) {
    const double r = orientation == 0 ? correlation(a, b) : correlation(oriented(a, orientation), b);
    const bool identical = std::abs(r) > identical_correlation;
    if (!identical && ((bits > similar_bits && std::abs(r) <= similar_correlation) || found.similar == most_found)) return;
    found.similar += !identical;
    found.all.push_back({{pair.a, pair.b, r, identical, orientation != 0, r < 0}, orientation});
}

// Each pair once, in its best orientation: of several that are as good, the first.
std::vector<Found> best_of(std::vector<Candidates>& found) {
    std::vector<Candidate> all;
    for (Candidates& of_thread : found) all.insert(all.end(), of_thread.all.begin(), of_thread.all.end());
    std::sort(all.begin(), all.end(), [](const Candidate& x, const Candidate& y) {
        if (x.pair.a != y.pair.a || x.pair.b != y.pair.b)
            return std::pair(x.pair.a, x.pair.b) < std::pair(y.pair.a, y.pair.b);
        const double better = std::abs(x.pair.correlation) - std::abs(y.pair.correlation);
        return better != 0 ? better > 0 : x.orientation < y.orientation;
    });
    std::vector<Found> best;
    for (const Candidate& candidate : all) {
        const bool known = !best.empty() && best.back().a == candidate.pair.a && best.back().b == candidate.pair.b;
        if (!known) best.push_back(candidate.pair);
    }
    return best;
}

std::vector<Copies> copies_of(const std::vector<Thumbnail>& thumbnails, std::span<const uint8_t> splits) {
    std::unordered_map<std::string_view, size_t> known;
    std::vector<Copies> copies;
    for (size_t i = 0; i < thumbnails.size(); ++i) {
        const std::string_view bytes(reinterpret_cast<const char*>(thumbnails[i].data()), thumbnails[i].size());
        const auto [entry, fresh] = known.emplace(bytes, copies.size());
        if (fresh) copies.emplace_back();
        Copies& same = copies[entry->second];
        same.images.push_back(static_cast<int64_t>(i));
        ++same.in_split[splits.empty() ? 0 : std::min<size_t>(splits[i], splits_known - 1)];
    }
    return copies;
}

int64_t pairs_across(const Copies& a, const Copies& b) {
    int64_t same = 0;
    for (size_t s = 0; s < splits_known; ++s) same += a.in_split[s] * b.in_split[s];
    return a.count() * b.count() - same;
}

int64_t pairs_of(int64_t count) { return count * (count - 1) / 2; }

// Counts, groups and examples from what was found.
class Account {
public:
    Account(const std::vector<Copies>& copies, std::span<const uint8_t> splits)
        : copies_(copies), splits_(splits), parent_(copies.size()) {
        std::iota(parent_.begin(), parent_.end(), size_t{0});
        for (const Copies& same : copies) add_copies(same);
    }
    void add(const Found& pair) {
        const Copies &a = copies_[pair.a], &b = copies_[pair.b];
        const int64_t pairs = a.count() * b.count(), across = pairs_across(a, b);
        if (!pair.identical) {
            report.similar_pairs += pairs;
            report.similar_across += across;
            return;
        }
        report.identical_pairs += pairs;
        report.identical_across += across;
        parent_[root(pair.a)] = root(pair.b);
        add_example(pair, across > 0);
    }
    LeakReport finish(std::span<const std::string> patients) {
        count_groups();
        std::unordered_map<std::string, std::set<uint8_t>> splits_of;
        for (size_t i = 0; i < patients.size(); ++i) {
            if (!patients[i].empty()) splits_of[patients[i]].insert(splits_[i]);
        }
        report.patients = static_cast<int64_t>(splits_of.size());
        for (const auto& patient : splits_of) report.patients_across += patient.second.size() > 1;
        report.examples = std::move(across_);
        report.examples.insert(report.examples.end(), within_.begin(), within_.end());
        if (report.examples.size() > most_examples) report.examples.resize(most_examples);
        return std::move(report);
    }
    LeakReport report;

private:
    size_t root(size_t i) {
        while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
        return i;
    }
    void add_copies(const Copies& same) {
        int64_t together = 0;
        for (const int64_t count : same.in_split) together += pairs_of(count);
        report.identical_pairs += pairs_of(same.count());
        report.identical_across += pairs_of(same.count()) - together;
        for (size_t i = 1; i < same.images.size(); ++i) keep({same.images[0], same.images[i], 1, false, false});
    }
    void add_example(const Found& pair, bool wants_across) {
        for (const int64_t a : copies_[pair.a].images) {
            for (const int64_t b : copies_[pair.b].images) {
                const bool across = splits_[static_cast<size_t>(a)] != splits_[static_cast<size_t>(b)];
                if (across != wants_across) continue;
                return keep({std::min(a, b), std::max(a, b), pair.correlation, pair.turned, pair.negative});
            }
        }
    }
    void keep(const LeakPair& pair) {
        const bool across = splits_[static_cast<size_t>(pair.a)] != splits_[static_cast<size_t>(pair.b)];
        auto& list = across ? across_ : within_;
        if (list.size() < most_examples) list.push_back(pair);
    }
    void count_groups() {
        std::map<size_t, Copies> groups;
        for (size_t i = 0; i < copies_.size(); ++i) {
            Copies& group = groups[root(i)];
            group.images.insert(group.images.end(), copies_[i].images.begin(), copies_[i].images.end());
            for (size_t s = 0; s < splits_known; ++s) group.in_split[s] += copies_[i].in_split[s];
        }
        for (const auto& [at, group] : groups) {
            if (group.count() < 2) continue;
            const auto several =
                std::count_if(group.in_split.begin(), group.in_split.end(), [](int64_t c) { return c > 0; });
            ++report.groups;
            report.groups_across += several > 1;
        }
    }

    const std::vector<Copies>& copies_;
    std::span<const uint8_t> splits_;
    std::vector<size_t> parent_;
    std::vector<LeakPair> across_, within_;
};

}  // namespace

void LeakFinder::add(const uint8_t* planes, int64_t channels, int64_t height, int64_t width, int bytes_per_pixel) {
    if (bytes_per_pixel == 2) {
        narrow_.resize(static_cast<size_t>(channels * height * width));
        for (size_t i = 0; i < narrow_.size(); ++i) {
            uint16_t wide;
            std::memcpy(&wide, planes + 2 * i, sizeof wide);
            narrow_[i] = static_cast<uint8_t>((wide + 128) / 257);
        }
        planes = narrow_.data();
    }
    thumbnails_.push_back(make_thumbnail(resizer_, planes, channels, height, width));
}

void LeakFinder::compare_all(int threads) {
    threads = std::max(1, threads);
    if (compared_ == thumbnails_.size()) return;
    compared_ = thumbnails_.size();
    const auto copies = copies_of(thumbnails_, {});
    std::vector<const Thumbnail*> small;
    for (const Copies& same : copies) small.push_back(&thumbnails_[static_cast<size_t>(same.images[0])]);
    std::vector<std::array<uint64_t, orientations>> hashes(copies.size());
    parallel_for(static_cast<int64_t>(copies.size()), threads, 64, [&](int64_t i, int) {
        hashes[static_cast<size_t>(i)] = perceptual_hashes(*small[static_cast<size_t>(i)]);
    });
    std::vector<Candidates> found(static_cast<size_t>(threads));
    near_pairs(hashes, threads, [&](int thread, size_t i, size_t orientation, size_t j) {
        compare(found[static_cast<size_t>(thread)], {i, j}, *small[i], *small[j], orientation,
                std::popcount(hashes[i][orientation] ^ hashes[j][0]));
    });
    found_ = best_of(found);
}

std::vector<std::array<int64_t, 2>> LeakFinder::identical(int threads) {
    compare_all(threads);
    const auto copies = copies_of(thumbnails_, {});
    std::vector<std::array<int64_t, 2>> pairs;
    for (const Copies& same : copies)
        for (size_t i = 1; i < same.images.size(); ++i) pairs.push_back({same.images[0], same.images[i]});
    for (const Found& pair : found_)
        if (pair.identical) pairs.push_back({copies[pair.a].images[0], copies[pair.b].images[0]});
    return pairs;
}

LeakReport LeakFinder::find(std::span<const uint8_t> splits, std::span<const std::string> patients, int threads) {
    compare_all(threads);
    const auto copies = copies_of(thumbnails_, splits);
    Account account(copies, splits);
    for (const Found& pair : found_) account.add(pair);
    account.report.images = static_cast<int64_t>(thumbnails_.size());
    account.report.pairs_compared = pairs_of(static_cast<int64_t>(copies.size()));
    return account.finish(patients);
}

std::string LeakReport::verdict() const {
    if (!leaks()) return no_leaks;
    std::string text;
    if (identical_across > 0)
        text =
            fmt::format("{} pairs of identical images ({} groups) lie in different splits", identical_across, groups_across);
    if (patients_across > 0)
        text += fmt::format("{}{} of {} groups (patients) lie in more than one split", text.empty() ? "" : "; ",
                            patients_across, patients);
    return text;
}

bool says_leaks(const std::string& verdict) { return !verdict.empty() && verdict != no_leaks; }

LeakReport find_leaks(const Dataset& dataset, int threads) {
    const DatasetInfo& info = dataset.info();
    const auto values = static_cast<size_t>(info.channels * info.height * info.width);
    std::vector<float> image(values);
    std::vector<uint8_t> planes(values);
    LeakFinder finder;
    for (int64_t i = 0; i < info.count; ++i) {
        dataset.read(std::span(&i, 1), image.data());
        for (size_t v = 0; v < values; ++v) planes[v] = static_cast<uint8_t>(image[v] * 255 + 0.5f);
        finder.add(planes.data(), info.channels, info.height, info.width, 1);
    }
    return finder.find(dataset.splits(), dataset.groups(), threads);
}

void refuse_leaks(const LeakReport& report, const std::string& place) {
    if (!report.leaks()) return;
    throw Error(report.verdict(), place,
                "split it anew by group (data import --split 70,15,15), or set data.leaks to report; data leaks lists them");
}

Json to_json(const LeakReport& report, const std::vector<std::string>& ids) {
    Json json{{"schema", "xbench.leaks/1"},
              {"verdict", report.verdict()},
              {"leaks", report.leaks()},
              {"images", report.images},
              {"pairs_compared", report.pairs_compared},
              {"identical",
               {{"pairs", report.identical_pairs},
                {"pairs_across_splits", report.identical_across},
                {"groups", report.groups},
                {"groups_across_splits", report.groups_across}}},
              {"similar", {{"pairs", report.similar_pairs}, {"pairs_across_splits", report.similar_across}}},
              {"patients", {{"groups", report.patients}, {"groups_across_splits", report.patients_across}}}};
    json["examples"] = Json::array();
    for (const LeakPair& pair : report.examples) {
        json["examples"].push_back({{"a", ids[static_cast<size_t>(pair.a)]},
                                    {"b", ids[static_cast<size_t>(pair.b)]},
                                    {"correlation", pair.correlation},
                                    {"turned", pair.turned},
                                    {"negative", pair.negative}});
    }
    return json;
}

}  // namespace xbench
