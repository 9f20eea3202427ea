// The transform as two products with the first eight rows of the cosine matrix.
#include "data/import/leak_hash.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace xbench {
namespace {

constexpr size_t n = thumbnail_side, low = 8;
using Block = std::array<double, low * low>;  // row v, column u

// Of place x and frequency k at x * low + k, so that loops over neighbouring frequencies become vectors. Every sum runs over
// places from the first to the last, whatever the processor: hashes are the same everywhere.
const std::array<double, n * low>& cosines() {
    static const std::array<double, n* low> table = [] {
        std::array<double, n * low> made{};
        for (size_t k = 0; k < low; ++k)
            for (size_t x = 0; x < n; ++x)
                made[x * low + k] =
                    std::cos(3.141592653589793 * (2 * static_cast<double>(x) + 1) * static_cast<double>(k) / (2 * n));
        return made;
    }();
    return table;
}

// Neighbouring doubles, by the vector extension of GCC and clang: GCC 12 makes scalars of the same loops over arrays.
using Two = double __attribute__((vector_size(16)));
using Row = std::array<Two, low / 2>;

// sum[k] += factor * with[k]
inline void add_scaled(Row& sum, double factor, const double* with) {
    for (size_t k = 0; k < low / 2; ++k) {
        Two part;
        std::memcpy(&part, with + 2 * k, sizeof part);
        sum[k] += factor * part;
    }
}

Block low_frequencies(const Thumbnail& thumbnail) {
    const auto& c = cosines();
    std::array<Row, low> sums{};
    for (size_t y = 0; y < n; ++y) {
        Row row{};
        for (size_t x = 0; x < n; ++x) add_scaled(row, thumbnail[y * n + x], c.data() + x * low);
        std::array<double, low> values;
        std::memcpy(values.data(), row.data(), sizeof row);
        for (size_t v = 0; v < low; ++v) add_scaled(sums[v], c[y * low + v], values.data());
    }
    Block block;
    std::memcpy(block.data(), sums.data(), sizeof block);
    return block;
}

double median_of(Block values) {
    const auto upper = values.begin() + 32;
    std::nth_element(values.begin(), upper, values.end());
    return (*std::max_element(values.begin(), upper) + *upper) / 2;
}

uint64_t hash_of(const Block& block) {
    const double median = median_of(block);
    uint64_t bits = 0;
    for (size_t i = 0; i < block.size(); ++i) bits |= uint64_t{block[i] > median} << i;
    return bits;
}

// Bit u of byte v becomes bit v of byte u.
uint64_t transposed(uint64_t bits) {
    const auto swap = [&](int distance, uint64_t mask) {
        const uint64_t differ = (bits ^ bits >> distance) & mask;
        bits ^= differ ^ differ << distance;
    };
    swap(7, 0x00AA00AA00AA00AA);
    swap(14, 0x0000CCCC0000CCCC);
    swap(28, 0x00000000F0F0F0F0);
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
    constexpr size_t transpose = 4;
    for (size_t o = 0; o < transpose; ++o) {
        Block turned;
        for (size_t v = 0; v < low; ++v) {
            for (size_t u = 0; u < low; ++u) {
                const bool negative = ((o & 1) != 0 && u % 2 != 0) != ((o & 2) != 0 && v % 2 != 0);
                turned[v * low + u] = negative ? -block[v * low + u] : block[v * low + u];
            }
        }
        hashes[o] = hash_of(turned);
        hashes[o + transpose] = transposed(hashes[o]);
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
