// Group-wise stratified splitting: groups in seeded order, the large ones first, each to the split where it brings the
// class counts nearest to what the shares ask for.
#include "data/set/splits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <sstream>

#include "core/error.h"
#include "core/rng.h"

namespace xbench {
namespace {

struct Group {
    std::vector<size_t> items;
    std::vector<int64_t> counts;  // per class
};

std::vector<Group> collect_groups(std::span<const int32_t> strata, std::span<const std::string> groups, size_t classes) {
    std::map<std::string, size_t> place;
    std::vector<Group> collected;
    for (size_t i = 0; i < strata.size(); ++i) {
        size_t at = collected.size();
        if (!groups.empty() && !groups[i].empty()) at = place.emplace(groups[i], at).first->second;
        if (at == collected.size()) collected.push_back({{}, std::vector<int64_t>(classes)});
        collected[at].items.push_back(i);
        ++collected[at].counts[static_cast<size_t>(strata[i])];
    }
    return collected;
}

// How much the squared distance from the wanted counts changes, relative to each class's size, when the group joins.
double cost_of_joining(const Group& group, const std::vector<double>& missing, const std::vector<int64_t>& totals) {
    double cost = 0;
    for (size_t c = 0; c < totals.size(); ++c) {
        if (group.counts[c] == 0) continue;
        const auto count = static_cast<double>(group.counts[c]);
        cost += count * (count - 2 * missing[c]) / static_cast<double>(totals[c]);
    }
    return cost;
}

}  // namespace

SplitShares parse_shares(const std::string& text) {
    std::istringstream stream(text);
    std::array<double, 3> share{};
    char comma1 = 0, comma2 = 0;
    stream >> share[0] >> comma1 >> share[1] >> comma2 >> share[2];
    const bool numbers = !stream.fail() && comma1 == ',' && comma2 == ',' && (stream >> std::ws).eof();
    const double sum = share[0] + share[1] + share[2];
    const bool positive = std::all_of(share.begin(), share.end(), [](double s) { return s >= 0; });
    const char* const example = "give three shares of train,val,test such as 70,15,15";
    if (!numbers) throw UsageError("'" + text + "' is not three numbers with commas between", "--split", example);
    if (!positive || !std::isfinite(sum))
        throw UsageError("'" + text + "' has a share below 0 or without bound", "--split", example);
    if (!(share[0] > 0))
        throw UsageError("'" + text + "' leaves nothing to train on: the share of train is 0", "--split", example);
    return {share[0] / sum, share[1] / sum, share[2] / sum};
}

std::vector<uint8_t> assign_splits(std::span<const int32_t> strata, std::span<const std::string> groups,
                                   const SplitShares& shares, uint64_t seed) {
    if (strata.empty()) return {};
    const auto classes = static_cast<size_t>(*std::max_element(strata.begin(), strata.end())) + 1;
    std::vector<int64_t> totals(classes);
    for (const int32_t stratum : strata) ++totals[static_cast<size_t>(stratum)];

    std::vector<Group> collected = collect_groups(strata, groups, classes);
    Random random(seed, RandomUse::split);
    random.shuffle(collected);
    std::stable_sort(collected.begin(), collected.end(),
                     [](const Group& a, const Group& b) { return a.items.size() > b.items.size(); });

    const std::array<double, 3> share{shares.train, shares.val, shares.test};
    std::array<std::vector<double>, 3> missing;  // [split][class]
    for (size_t s = 0; s < 3; ++s) {
        for (const int64_t total : totals) missing[s].push_back(share[s] * static_cast<double>(total));
    }
    std::vector<uint8_t> splits(strata.size());
    for (const Group& group : collected) {
        size_t best = 0;
        double best_cost = cost_of_joining(group, missing[0], totals);
        for (size_t s = 1; s < 3; ++s) {
            const double cost = cost_of_joining(group, missing[s], totals);
            if (share[s] > 0 && cost < best_cost) {
                best = s;
                best_cost = cost;
            }
        }
        for (size_t c = 0; c < classes; ++c) missing[best][c] -= static_cast<double>(group.counts[c]);
        for (const size_t item : group.items) splits[item] = static_cast<uint8_t>(best);
    }
    return splits;
}

}  // namespace xbench
