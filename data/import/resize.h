// Antialiased separable resizing with the Lanczos-3 window, like Pillow's Image.resize(size, LANCZOS): the window widens
// with the reduction, weights are normalised at the border, and the horizontal pass is rounded and clipped before the
// vertical one. 8-bit results differ from Pillow's by at most 1 level (rarely: its weights are fixed-point).
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "data/import/decoders.h"

namespace xbench {

// Keeps tables of weights and scratch memory between images. For one thread.
class Resizer {
public:
    // Writes the channels of `image` one after the other as planes of width x height samples, in the image's own depth.
    void resize(const Image& image, int64_t width, int64_t height, uint8_t* planes);

private:
    // Output i is the sum of weights[i * taps + t] * input[first[i] + t] over t < taps; the rest of a row is zero.
    struct Taps {
        int64_t taps = 0;
        std::vector<int64_t> first;
        std::vector<float> weights;
    };
    const Taps& taps_for(int64_t from, int64_t to);
    template <class T>
    void resize_plane(const Image& image, int channel, int64_t width, int64_t height, T* plane);
    template <class T>
    void resize_rows(const Image& image, int channel, int64_t width);

    std::map<std::pair<int64_t, int64_t>, Taps> tables_;
    std::vector<float> columns_;  // a strip of rows of the image, transposed: {width, strip}
    std::vector<float> rows_;     // after the horizontal pass: {image height, width rounded up to a strip}
};

}  // namespace xbench
