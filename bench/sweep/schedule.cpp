// A run's place is a random number of its own, by which its block is sorted.
#include "bench/sweep/schedule.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "core/hash.h"
#include "core/rng.h"

namespace xbench {
namespace {

uint64_t place_of(const std::string& name, int64_t repeat, uint64_t seed) {
    const std::string hash = hash_hex(name);
    uint64_t what = 0;
    std::from_chars(hash.data(), hash.data() + 16, what, 16);
    const uint64_t stream = random_stream(static_cast<uint32_t>(RandomUse::schedule), static_cast<uint32_t>(repeat));
    const Philox4 bits = philox4x32(seed, what, stream);
    return uint64_t{bits.v[0]} << 32 | bits.v[1];
}

size_t index_of(std::span<const Point> points, const std::string& id) {
    const auto found = std::find_if(points.begin(), points.end(), [&](const Point& point) { return point.id() == id; });
    return found == points.end() ? ScheduledRun::no_point : static_cast<size_t>(found - points.begin());
}

}  // namespace

std::vector<ScheduledRun> schedule_block(std::span<const Point> points, int64_t repeat, uint64_t seed,
                                         std::span<const Probe> probes) {
    std::vector<std::tuple<uint64_t, std::string, ScheduledRun>> placed;
    for (size_t i = 0; i < points.size(); ++i) {
        const std::string name = "row " + points[i].id();
        placed.emplace_back(place_of(name, repeat, seed), name, ScheduledRun{i, repeat, {}});
    }
    for (const Probe& probe : probes) {
        const std::string name = "probe " + probe.id;
        placed.emplace_back(place_of(name, repeat, seed), name, ScheduledRun{index_of(points, probe.row), repeat, probe.id});
    }
    std::sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) {
        return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
    });
    std::vector<ScheduledRun> runs;
    for (auto& entry : placed) runs.push_back(std::move(std::get<2>(entry)));
    return runs;
}

std::vector<ScheduledRun> schedule_runs(std::span<const Point> points, int64_t repeats, uint64_t seed,
                                        std::span<const Probe> probes) {
    std::vector<ScheduledRun> runs;
    for (int64_t repeat = 1; repeat <= repeats; ++repeat)
        for (ScheduledRun& run : schedule_block(points, repeat, seed, probes)) runs.push_back(std::move(run));
    return runs;
}

}  // namespace xbench
