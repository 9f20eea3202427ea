// The transform as two products with the first eight rows of the cosine matrix.
#include "data/import/leak_hash.h"

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

constexpr size_t n = thumbnail_side, low = 8;
using Block = std::array<double, low * low>;  // row v, column u

const std::array<double, low * n>& cosines() {
    static const std::array<double, low* n> table = [] {
        std::array<double, low * n> made{};
        for (size_t k = 0; k < low; ++k)
            for (size_t x = 0; x < n; ++x)
                made[k * n + x] =
                    std::cos(3.141592653589793 * (2 * static_cast<double>(x) + 1) * static_cast<double>(k) / (2 * n));
        return made;
    }();
    return table;
}

Block low_frequencies(const Thumbnail& thumbnail) {
    const auto& c = cosines();
    std::array<double, n * low> rows{};
    for (size_t y = 0; y < n; ++y)
        for (size_t u = 0; u < low; ++u)
            for (size_t x = 0; x < n; ++x) rows[y * low + u] += c[u * n + x] * thumbnail[y * n + x];
    Block block{};
    for (size_t v = 0; v < low; ++v)
        for (size_t u = 0; u < low; ++u)
            for (size_t y = 0; y < n; ++y) block[v * low + u] += c[v * n + y] * rows[y * low + u];
    return block;
}

uint64_t hash_of(const Block& block) {
    Block sorted = block;
    std::sort(sorted.begin(), sorted.end());
    const double median = (sorted[31] + sorted[32]) / 2;
    uint64_t bits = 0;
    for (size_t i = 0; i < block.size(); ++i) bits |= uint64_t{block[i] > median} << i;
    return bits;
}

}  // namespace

Thumbnail make_thumbnail(Resizer& resizer, const uint8_t* planes, int64_t channels, int64_t height, int64_t width) {
    Image gray;
    gray.width = width;
    gray.height = height;
    gray.channels = 1;
    const auto pixels = static_cast<size_t>(height * width);
    gray.samples.assign(planes, planes + pixels);
    if (channels == 3) {
        for (size_t i = 0; i < pixels; ++i)
            gray.samples[i] = static_cast<uint8_t>(luma(planes[i], planes[pixels + i], planes[2 * pixels + i]));
    }
    Thumbnail thumbnail;
    if (height == thumbnail_side && width == thumbnail_side) {
        std::copy(gray.samples.begin(), gray.samples.end(), thumbnail.begin());
        return thumbnail;
    }
    resizer.resize(gray, thumbnail_side, thumbnail_side, thumbnail.data());
    return thumbnail;
}

std::array<uint64_t, orientations> perceptual_hashes(const Thumbnail& thumbnail) {
    const Block block = low_frequencies(thumbnail);
    std::array<uint64_t, orientations> hashes;
    for (size_t o = 0; o < orientations; ++o) {
        Block turned;
        for (size_t v = 0; v < low; ++v) {
            for (size_t u = 0; u < low; ++u) {
                const bool negative = ((o & 1) != 0 && u % 2 != 0) != ((o & 2) != 0 && v % 2 != 0);
                const double value = negative ? -block[v * low + u] : block[v * low + u];
                turned[(o & 4) != 0 ? u * low + v : v * low + u] = value;
            }
        }
        hashes[o] = hash_of(turned);
    }
    return hashes;
}

Thumbnail oriented(const Thumbnail& thumbnail, size_t orientation) {
    Thumbnail turned;
    for (size_t y = 0; y < n; ++y) {
        for (size_t x = 0; x < n; ++x) {
            const size_t from_x = (orientation & 1) != 0 ? n - 1 - x : x, from_y = (orientation & 2) != 0 ? n - 1 - y : y;
            turned[(orientation & 4) != 0 ? x * n + y : y * n + x] = thumbnail[from_y * n + from_x];
        }
    }
    return turned;
}

double correlation(const Thumbnail& a, const Thumbnail& b) {
    constexpr auto count = static_cast<double>(n * n);
    uint64_t sum_a = 0, sum_b = 0, squares_a = 0, squares_b = 0, products = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        sum_a += a[i], sum_b += b[i];
        squares_a += uint64_t{a[i]} * a[i], squares_b += uint64_t{b[i]} * b[i], products += uint64_t{a[i]} * b[i];
    }
    const double mean_a = static_cast<double>(sum_a) / count, mean_b = static_cast<double>(sum_b) / count;
    const double spread_a = static_cast<double>(squares_a) - count * mean_a * mean_a,
                 spread_b = static_cast<double>(squares_b) - count * mean_b * mean_b;
    if (!(spread_a > 0) || !(spread_b > 0)) return 0;
    return (static_cast<double>(products) - count * mean_a * mean_b) / std::sqrt(spread_a * spread_b);
}

}  // namespace xbench
