// An image of a data set, and a heat map over it, as PNG files: gray {1,h,w} or RGB {3,h,w} in [0,1], enlarged by a whole
// factor where it is small. The map's colours are those of matplotlib's inferno, whose lightness rises all the way; where
// the map is 0 the image shows through unchanged.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace xbench {

struct ShownImage {
    std::span<const float> pixels;  // {channels,height,width}
    int64_t channels = 1, height = 0, width = 0;
};

// By how much an image must be enlarged to be at least so many pixels wide and high.
int64_t enlargement(const ShownImage& image, int64_t least_side);

std::vector<uint8_t> image_png(const ShownImage& image, int64_t factor);
// `map` is {rows,columns} of numbers from 0 on, covers the whole image, and is divided by its maximum here.
std::vector<uint8_t> overlay_png(const ShownImage& image, std::span<const float> map, int64_t rows, int64_t columns,
                                 int64_t factor);

}  // namespace xbench
