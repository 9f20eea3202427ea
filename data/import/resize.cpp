// The Lanczos-3 resize. A side that stays as it is needs no pass: there the window is 1 at its middle and 0 at all other
// samples. Both passes run over samples that lie side by side, so that the compiler makes vectors of them:
// the vertical one over a row, the horizontal one over a strip of rows that was transposed first.
#include "data/import/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace xbench {
namespace {

constexpr int64_t strip = 16;        // rows that the horizontal pass takes together
constexpr size_t most_tables = 512;  // (from, to) sizes remembered

int64_t padded(int64_t width) { return (width + strip - 1) / strip * strip; }

double lanczos3(double x) {
    if (x < -3 || x >= 3) return 0;
    if (x == 0) return 1;
    const double angle = 3.141592653589793 * x;
    return std::sin(angle) / angle * (std::sin(angle / 3) / (angle / 3));
}

// Four neighbouring samples, by the vector extension of GCC and clang: GCC 12 takes the same loops over arrays apart into
// scalars.
using Four = float __attribute__((vector_size(16)));
using WholeFour = int32_t __attribute__((vector_size(16)));

// sum = weights[0] * rows[0..strip) + weights[1] * rows[pitch..pitch + strip) + ..., rounded and clipped to what T holds.
// Both passes come down to this loop, whose sums stay in registers.
template <class T>
inline void weighted_sum(const float* weights, int64_t taps, const float* rows, int64_t pitch, int32_t* sum) {
    Four lanes[strip / 4] = {};
    for (int64_t t = 0; t < taps; ++t, rows += pitch) {
        for (size_t l = 0; l < strip / 4; ++l) {
            Four row;
            std::memcpy(&row, rows + 4 * l, sizeof row);
            lanes[l] += weights[t] * row;
        }
    }
    constexpr float most = std::numeric_limits<T>::max();
    // A little above one half: ties, which symmetric windows give often, go up in spite of rounding errors, as Pillow's do.
    constexpr float half = 0.5f + most / (1 << 22);
    for (size_t l = 0; l < strip / 4; ++l) {
        Four value = lanes[l] > 0.0f ? lanes[l] : Four{};
        value = value < most ? value : Four{} + most;
        const WholeFour whole = __builtin_convertvector(value + half, WholeFour);
        std::memcpy(sum + 4 * l, &whole, sizeof whole);
    }
}

}  // namespace

const Resizer::Taps& Resizer::taps_for(int64_t from, int64_t to) {
    if (const auto known = tables_.find({from, to}); known != tables_.end()) return known->second;
    if (tables_.size() >= most_tables) tables_.clear();
    Taps table;
    const double scale = static_cast<double>(from) / static_cast<double>(to), widening = std::max(scale, 1.0);
    const double support = 3 * widening;
    const auto window = [&](int64_t i) {  // the inputs of output i
        const double centre = (static_cast<double>(i) + 0.5) * scale;
        return std::pair{std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0),
                         std::min(static_cast<int64_t>(centre + support + 0.5), from)};
    };
    for (int64_t i = 0; i < to; ++i) table.taps = std::max(table.taps, window(i).second - window(i).first);
    table.weights.assign(static_cast<size_t>(to * table.taps), 0.0f);
    std::vector<double> weights;
    for (int64_t i = 0; i < to; ++i) {
        const double centre = (static_cast<double>(i) + 0.5) * scale;
        auto [first, last] = window(i);
        weights.clear();
        double total = 0;
        for (int64_t x = first; x < last; ++x) {
            weights.push_back(lanczos3((static_cast<double>(x) - centre + 0.5) / widening));
            total += weights.back();
        }
        // The window is as long for all outputs; near the far border it starts earlier, with zero weights.
        const int64_t lead = std::max<int64_t>(first + table.taps - from, 0);
        first -= lead;
        for (size_t t = 0; t < weights.size(); ++t) {
            table.weights[static_cast<size_t>(i * table.taps + lead) + t] = static_cast<float>(weights[t] / total);
        }
        table.first.push_back(first);
    }
    return tables_.emplace(std::pair{from, to}, std::move(table)).first->second;
}

// The horizontal pass of one channel, into rows_.
template <class T>
void Resizer::resize_rows(const Image& image, int channel, int64_t width) {
    const T* samples = reinterpret_cast<const T*>(image.samples.data()) + channel;
    const int64_t step = image.channels, pitch = padded(width);
    rows_.resize(static_cast<size_t>(image.height * pitch));
    if (image.width == width) {
        for (int64_t y = 0; y < image.height; ++y)
            for (int64_t x = 0; x < width; ++x) rows_[static_cast<size_t>(y * pitch + x)] = samples[(y * width + x) * step];
        return;
    }
    const Taps& across = taps_for(image.width, width);
    columns_.resize(static_cast<size_t>(image.width * strip));
    for (int64_t top = 0; top < image.height; top += strip) {
        const int64_t count = std::min(strip, image.height - top);
        for (int64_t r = 0; r < count; ++r) {
            const T* row = samples + (top + r) * image.width * step;
            for (int64_t x = 0; x < image.width; ++x) columns_[static_cast<size_t>(x * strip + r)] = row[x * step];
        }
        for (int64_t x = 0; x < width; ++x) {
            int32_t sum[strip];
            weighted_sum<T>(across.weights.data() + x * across.taps, across.taps,
                            columns_.data() + across.first[static_cast<size_t>(x)] * strip, strip, sum);
            for (int64_t r = 0; r < count; ++r)
                rows_[static_cast<size_t>((top + r) * pitch + x)] = static_cast<float>(sum[r]);
        }
    }
}

template <class T>
void Resizer::resize_plane(const Image& image, int channel, int64_t width, int64_t height, T* plane) {
    if (image.width == width && image.height == height) {
        const T* samples = reinterpret_cast<const T*>(image.samples.data()) + channel;
        for (int64_t i = 0; i < width * height; ++i) plane[i] = samples[i * image.channels];
        return;
    }
    resize_rows<T>(image, channel, width);
    if (image.height == height) {
        const int64_t pitch = padded(width);
        for (int64_t y = 0; y < height; ++y)
            for (int64_t x = 0; x < width; ++x)
                plane[y * width + x] = static_cast<T>(rows_[static_cast<size_t>(y * pitch + x)]);
        return;
    }
    const Taps& down = taps_for(image.height, height);
    const int64_t pitch = padded(width);
    for (int64_t y = 0; y < height; ++y) {
        const float* weights = down.weights.data() + y * down.taps;
        const float* rows = rows_.data() + down.first[static_cast<size_t>(y)] * pitch;
        for (int64_t left = 0; left < width; left += strip) {
            int32_t sum[strip];
            weighted_sum<T>(weights, down.taps, rows + left, pitch, sum);
            const int64_t count = std::min(strip, width - left);
            for (int64_t l = 0; l < count; ++l) plane[y * width + left + l] = static_cast<T>(sum[l]);
        }
    }
}

void Resizer::resize(const Image& image, int64_t width, int64_t height, uint8_t* planes) {
    const int64_t plane_bytes = width * height * image.bytes_per_sample;
    for (int channel = 0; channel < image.channels; ++channel, planes += plane_bytes) {
        if (image.bytes_per_sample == 2)
            resize_plane(image, channel, width, height, reinterpret_cast<uint16_t*>(planes));
        else
            resize_plane(image, channel, width, height, planes);
    }
}

}  // namespace xbench
