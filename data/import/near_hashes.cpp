// Blocks of hashes are passed over fast; only one that holds a near hash is looked at one by one.
#include "data/import/near_hashes.h"

#include <algorithm>
#include <bit>

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

}  // namespace

void near_hashes(uint64_t hash, const std::vector<uint64_t>& plain, size_t first, int most_bits,
                 std::vector<uint32_t>& places) {
    constexpr size_t block = 256;
    const auto farthest = has_wide_popcount() ? farthest_wide : farthest_narrow;
    for (size_t begin = first; begin < plain.size(); begin += block) {
        const size_t end = std::min(begin + block, plain.size());
        if (farthest(hash, plain.data() + begin, end - begin) < 32 - most_bits) continue;
        for (size_t j = begin; j < end; ++j) {
            const int bits = std::popcount(hash ^ plain[j]);
            if (bits <= most_bits || bits >= 64 - most_bits) places.push_back(static_cast<uint32_t>(j));
        }
    }
}

}  // namespace xbench
