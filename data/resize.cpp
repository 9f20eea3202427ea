// The Lanczos-3 resize. Both passes run over samples that lie side by side, so that the compiler makes vectors of them:
// the vertical one over a row, the horizontal one over a strip of rows that was transposed first.
#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace xbench {
namespace {

constexpr int64_t strip = 16;        // rows that the horizontal pass takes together
constexpr size_t most_tables = 512;  // (from, to) sizes remembered

double lanczos3(double x) {
    if (x < -3 || x >= 3) return 0;
    if (x == 0) return 1;
    const double angle = 3.141592653589793 * x;
    return std::sin(angle) / angle * (std::sin(angle / 3) / (angle / 3));
}

// Rounds and clips to what T holds; the value stays a float.
template <class T>
inline float settle(float value) {
    constexpr float most = std::numeric_limits<T>::max();
    return static_cast<float>(static_cast<int32_t>(std::min(std::max(value, 0.0f), most) + 0.5f));
}

}  // namespace

const Resizer::Taps& Resizer::taps_for(int64_t from, int64_t to) {
    if (const auto known = tables_.find({from, to}); known != tables_.end()) return known->second;
    if (tables_.size() >= most_tables) tables_.clear();
    Taps table;
    const double scale = static_cast<double>(from) / static_cast<double>(to), widening = std::max(scale, 1.0);
    const double support = 3 * widening;
    table.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
    table.taps = std::min(table.taps, from);
    table.weights.assign(static_cast<size_t>(to * table.taps), 0.0f);
    std::vector<double> weights;
    for (int64_t i = 0; i < to; ++i) {
        const double centre = (static_cast<double>(i) + 0.5) * scale;
        int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
        const int64_t last = std::min(static_cast<int64_t>(centre + support + 0.5), from);
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
void Resizer::resize_rows(const Image& image, int channel, const Taps& across, int64_t width) {
    const T* samples = reinterpret_cast<const T*>(image.samples.data()) + channel;
    const int64_t step = image.channels, pitch = image.width * step;
    columns_.resize(static_cast<size_t>(image.width * strip));
    rows_.resize(static_cast<size_t>(image.height * width));
    for (int64_t top = 0; top < image.height; top += strip) {
        const int64_t count = std::min(strip, image.height - top);
        for (int64_t r = 0; r < count; ++r) {
            const T* row = samples + (top + r) * pitch;
            for (int64_t x = 0; x < image.width; ++x) columns_[static_cast<size_t>(x * strip + r)] = row[x * step];
        }
        for (int64_t x = 0; x < width; ++x) {
            const float* weights = across.weights.data() + x * across.taps;
            const float* column = columns_.data() + across.first[static_cast<size_t>(x)] * strip;
            std::array<float, strip> sum{};
            for (int64_t t = 0; t < across.taps; ++t, column += strip) {
                for (size_t r = 0; r < strip; ++r) sum[r] += weights[t] * column[r];
            }
            for (float& value : sum) value = settle<T>(value);
            for (int64_t r = 0; r < count; ++r)
                rows_[static_cast<size_t>((top + r) * width + x)] = sum[static_cast<size_t>(r)];
        }
    }
}

template <class T>
void Resizer::resize_plane(const Image& image, int channel, int64_t width, int64_t height, T* plane) {
    resize_rows<T>(image, channel, taps_for(image.width, width), width);
    const Taps& down = taps_for(image.height, height);
    sum_.resize(static_cast<size_t>(width));
    for (int64_t y = 0; y < height; ++y) {
        std::fill(sum_.begin(), sum_.end(), 0.0f);
        for (int64_t t = 0; t < down.taps; ++t) {
            const float weight = down.weights[static_cast<size_t>(y * down.taps + t)];
            const float* row = rows_.data() + (down.first[static_cast<size_t>(y)] + t) * width;
            for (size_t x = 0; x < sum_.size(); ++x) sum_[x] += weight * row[x];
        }
        for (size_t x = 0; x < sum_.size(); ++x)
            plane[static_cast<size_t>(y * width) + x] = static_cast<T>(settle<T>(sum_[x]));
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
