// Files of the same bytes, and images that show the same, belong to one group even when their groups say nothing, so that no
// drawn split leaks.
#include "data/import/import_splits.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <unordered_map>

#include <fmt/core.h>

#include "core/parallel_for.h"

namespace xbench {
namespace {

constexpr double default_val_share = 0.15;

std::vector<std::string> leak_free_groups(const DecodedItems& items, std::span<const std::array<int64_t, 2>> same) {
    const size_t count = items.kept.size();
    std::vector<size_t> parent(count);
    std::iota(parent.begin(), parent.end(), size_t{0});
    const auto root = [&](size_t i) {
        while (parent[i] != i) i = parent[i] = parent[parent[i]];
        return i;
    };
    std::unordered_map<std::string, size_t> by_group, by_digest;
    for (size_t i = 0; i < count; ++i) {
        const std::string& group = items.groups[i];
        if (!group.empty()) parent[root(i)] = root(by_group.emplace(group, i).first->second);
        parent[root(i)] = root(by_digest.emplace(items.digests[i], i).first->second);
    }
    for (const auto& [a, b] : same) parent[root(static_cast<size_t>(a))] = root(static_cast<size_t>(b));
    std::vector<std::string> groups;
    for (size_t i = 0; i < count; ++i) groups.push_back(fmt::format("{}", root(i)));
    return groups;
}

// The class that an image is balanced by: its first; of a multi-label image without any, one more.
std::vector<int32_t> strata_of(const DecodedItems& items, size_t classes) {
    std::vector<int32_t> strata;
    for (const ImportItem* item : items.kept)
        strata.push_back(item->classes.empty() ? static_cast<int32_t>(classes) : item->classes[0]);
    return strata;
}

// Draws val from the images of train and val; test stays. Returns how many became val.
int64_t draw_val(std::vector<uint8_t>& splits, std::span<const int32_t> strata, std::span<const std::string> groups,
                 double share, uint64_t seed) {
    std::vector<size_t> places;
    std::vector<int32_t> own_strata;
    std::vector<std::string> own_groups;
    for (size_t i = 0; i < splits.size(); ++i) {
        if (splits[i] == static_cast<uint8_t>(Split::test)) continue;
        places.push_back(i);
        own_strata.push_back(strata[i]);
        own_groups.push_back(groups[i]);
    }
    const auto parts = assign_splits(own_strata, own_groups, {1 - share, share, 0}, seed);
    for (size_t t = 0; t < places.size(); ++t) splits[places[t]] = parts[t];
    return std::count(parts.begin(), parts.end(), static_cast<uint8_t>(Split::val));
}

}  // namespace

std::vector<uint8_t> choose_splits(const ImportOptions& options, const ImportList& list, DecodedItems& items,
                                   std::vector<std::string>& notes) {
    std::vector<std::array<int64_t, 2>> same;
    if (options.look_for_leaks) same = items.leaks.identical(options.threads > 0 ? options.threads : usable_cores());
    const auto groups = leak_free_groups(items, same);
    const auto strata = strata_of(items, list.class_names.size());
    const bool given = items.kept.front()->split.has_value();
    if (!given || options.shares) {
        const char* why = given ? "the source's splits are set aside (--split)" : "the source has no splits";
        notes.push_back(fmt::format("{}: split by group with seed {}", why, options.seed));
        return assign_splits(strata, groups, options.shares.value_or(list.default_shares.value_or(SplitShares{})),
                             options.seed);
    }
    std::vector<uint8_t> splits;
    for (const ImportItem* item : items.kept) splits.push_back(static_cast<uint8_t>(*item->split));
    const auto has = [&](Split split) {
        return std::find(splits.begin(), splits.end(), static_cast<uint8_t>(split)) != splits.end();
    };
    const double share = options.val_share.value_or(default_val_share);
    const bool had_val = has(Split::val);
    if (!has(Split::train) || share <= 0 || (had_val && !options.val_share)) return splits;
    const int64_t drawn = draw_val(splits, strata, groups, share, options.seed);
    notes.push_back(
        had_val ? fmt::format("val is drawn anew from train and val: {} images (--val-share {})", drawn, share)
                : fmt::format("the source has no val split: {} training images became one (--val-share {})", drawn, share));
    return splits;
}

}  // namespace xbench
