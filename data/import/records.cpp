// Both depths and all layouts of samples alike.
#include "data/import/records.h"

#include <cstring>

namespace xbench {
namespace {

template <class T>
void copy_samples(const uint8_t* bytes, size_t pixels, size_t stored, bool planes, size_t channels, uint8_t* target) {
    const auto sample = [&](size_t i, size_t c) {
        T value;
        std::memcpy(&value, bytes + (planes ? c * pixels + i : i * stored + c) * sizeof(T), sizeof(T));
        return value;
    };
    for (size_t i = 0; i < pixels; ++i) {
        for (size_t c = 0; c < channels; ++c) {
            const T value = channels == 1 && stored == 3 ? static_cast<T>(luma(sample(i, 0), sample(i, 1), sample(i, 2)))
                                                         : sample(i, stored == 1 ? 0 : c);
            std::memcpy(target + (i * channels + c) * sizeof(T), &value, sizeof(T));
        }
    }
}

}  // namespace

Image image_of_samples(std::span<const uint8_t> samples, int64_t height, int64_t width, int stored_channels,
                       int bytes_per_sample, bool planes, int channels) {
    Image image;
    image.width = width;
    image.height = height;
    image.channels = channels;
    image.bytes_per_sample = bytes_per_sample;
    const auto pixels = static_cast<size_t>(height * width);
    image.samples.resize(pixels * static_cast<size_t>(channels * bytes_per_sample));
    const auto copy = bytes_per_sample == 2 ? copy_samples<uint16_t> : copy_samples<uint8_t>;
    copy(samples.data(), pixels, static_cast<size_t>(stored_channels), planes, static_cast<size_t>(channels),
         image.samples.data());
    return image;
}

}  // namespace xbench
