// Blocks of hashes are passed over fast; only one that holds a near hash is looked at one by one.
//
// The index: of 64 bits in four parts, 8 that differ leave one part with at most 2. So for each part the hashes are sorted
// by 14 of its 16 bits; those that ask with a value meet only the hashes within two bits of it, or of its complement, some
// hundredths of all.
#include "data/import/near_hashes.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "core/parallel_for.h"

namespace xbench {
namespace {

// How far the number of differing bits is from 32, at most: hashes are near, or near to being complements, from 24 on. The
// same loop is compiled for two kinds of processors; with VPOPCNTDQ it takes eight hashes at once.
inline int64_t farthest_from_half(uint64_t hash, const uint64_t* plain, size_t count) {
    int64_t most = 0;
    for (size_t j = 0; j < count; ++j) {
        const int64_t distance = static_cast<int64_t>(__builtin_popcountll(hash ^ plain[j])) - 32;
        most = std::max(most, distance < 0 ? -distance : distance);
    }
    return most;
}
#if defined(__x86_64__)
#if defined(__clang__)
#define XB_VECTORISED
#else
#define XB_VECTORISED optimize("O3"),
#endif
__attribute__((XB_VECTORISED target("avx512f,avx512vpopcntdq"), flatten)) int64_t farthest_wide(uint64_t hash,
                                                                                                const uint64_t* plain,
                                                                                                size_t count) {
    return farthest_from_half(hash, plain, count);
}
__attribute__((target("popcnt"), flatten)) int64_t farthest_narrow(uint64_t hash, const uint64_t* plain, size_t count) {
    return farthest_from_half(hash, plain, count);
}
#undef XB_VECTORISED
bool has_wide_popcount() {
    static const bool has = __builtin_cpu_supports("avx512vpopcntdq") != 0;
    return has;
}
#else
constexpr auto farthest_wide = farthest_from_half, farthest_narrow = farthest_from_half;
bool has_wide_popcount() { return false; }
#endif

constexpr size_t block = 64;  // hashes

// Calls hit(j, bits that differ) for the near ones from `first` on.
template <class Hit>
void scan(uint64_t hash, std::span<const uint64_t> plain, size_t first, const Hit& hit) {
    const auto farthest = has_wide_popcount() ? farthest_wide : farthest_narrow;
    for (size_t begin = first; begin < plain.size(); begin += block) {
        const size_t end = std::min(begin + block, plain.size());
        if (farthest(hash, plain.data() + begin, end - begin) < 32 - near_bits) continue;
        for (size_t j = begin; j < end; ++j) {
            const int bits = std::popcount(hash ^ plain[j]);
            if (bits <= near_bits || bits >= 64 - near_bits) hit(j);
        }
    }
}

constexpr int parts = 4, part_distance = 16, part_bits = 14, part_near = near_bits / parts;
constexpr size_t part_values = size_t{1} << part_bits;

size_t part_of(uint64_t hash, int part) { return hash >> (part_distance * part) & (part_values - 1); }

bool part_is_near(uint64_t difference, int part) {
    const int bits = std::popcount(part_of(difference, part));
    return bits <= part_near || bits >= part_bits - part_near;
}

// Near hashes are met in each part that is near; the first of these counts.
bool met_before(uint64_t difference, int part) {
    for (int p = 0; p < part; ++p)
        if (part_is_near(difference, p)) return true;
    return false;
}

struct Hashes {
    std::vector<uint64_t> hashes;
    std::vector<uint32_t> numbers;  // as they came
};

// Hashes by the value of one part.
class Sorted {
public:
    Sorted(std::span<const uint64_t> hashes, int part) : start_(part_values + 1) {
        for (const uint64_t hash : hashes) ++start_[part_of(hash, part) + 1];
        for (size_t v = 0; v < part_values; ++v) start_[v + 1] += start_[v];
        sorted_.hashes.resize(hashes.size());
        sorted_.numbers.resize(hashes.size());
        std::vector<uint32_t> next(start_.begin(), start_.end() - 1);
        for (size_t i = 0; i < hashes.size(); ++i) {
            const uint32_t at = next[part_of(hashes[i], part)]++;
            sorted_.hashes[at] = hashes[i];
            sorted_.numbers[at] = static_cast<uint32_t>(i);
        }
    }
    size_t begin(size_t value) const { return start_[value]; }
    size_t end(size_t value) const { return start_[value + 1]; }
    uint64_t hash(size_t at) const { return sorted_.hashes[at]; }
    size_t number(size_t at) const { return sorted_.numbers[at]; }
    void append_to(Hashes& all, size_t value) const {
        const auto copy = [&](const auto& from, auto& to) {
            to.insert(to.end(), from.begin() + start_[value], from.begin() + start_[value + 1]);
        };
        copy(sorted_.hashes, all.hashes);
        copy(sorted_.numbers, all.numbers);
    }

private:
    std::vector<uint32_t> start_;
    Hashes sorted_;
};

// Differences of a part that count as near.
std::vector<size_t> near_differences() {
    std::vector<size_t> all;
    for (size_t v = 0; v < part_values; ++v)
        if (part_is_near(v, 0)) all.push_back(v);
    return all;
}

void join_by(int part, std::span<const uint64_t> asking, std::span<const uint64_t> plain, int threads, const NearPair& met) {
    const Sorted askers(asking, part), asked(plain, part);
    const std::vector<size_t> differences = near_differences();
    std::vector<Hashes> near_ones(static_cast<size_t>(threads));
    parallel_for(static_cast<int64_t>(part_values), threads, 64, [&](int64_t v, int thread) {
        const auto value = static_cast<size_t>(v);
        if (askers.begin(value) == askers.end(value)) return;
        Hashes& near = near_ones[static_cast<size_t>(thread)];
        near.hashes.clear();
        near.numbers.clear();
        for (const size_t difference : differences) asked.append_to(near, value ^ difference);
        for (size_t q = askers.begin(value); q < askers.end(value); ++q) {
            const size_t i = askers.number(q) / orientations, orientation = askers.number(q) % orientations;
            scan(askers.hash(q), near.hashes, 0, [&](size_t at) {
                const size_t j = near.numbers[at];
                if (i < j && !met_before(askers.hash(q) ^ plain[j], part)) met(thread, i, orientation, j);
            });
        }
    });
}

}  // namespace

void near_pairs(std::span<const std::array<uint64_t, orientations>> hashes, int threads, const NearPair& met,
                size_t indexed_from) {
    std::vector<uint64_t> plain(hashes.size());
    for (size_t i = 0; i < hashes.size(); ++i) plain[i] = hashes[i][0];
    if (hashes.size() < indexed_from) {
        parallel_for(static_cast<int64_t>(hashes.size()), threads, 16, [&](int64_t at, int thread) {
            const auto i = static_cast<size_t>(at);
            for (size_t o = 0; o < orientations; ++o)
                scan(hashes[i][o], plain, i + 1, [&](size_t j) { met(thread, i, o, j); });
        });
        return;
    }
    const std::span asking(hashes.data()->data(), hashes.size() * orientations);
    for (int part = 0; part < parts; ++part) join_by(part, asking, plain, threads, met);
}

}  // namespace xbench
