// Images in nhwc as the parts of a batch normalisation on a GPU take them. Plain data: host and device include it.
#pragma once

#include <cstdint>

namespace xbench {

// Sums over an image are taken in `parts` parts of part_pixels pixels, by its size alone.
struct NhwcShape {
    int32_t channels, pixels, parts, part_pixels;
    uint32_t blocks_of_image;  // of the grid of an elementwise kernel
};

constexpr int nhwc_columns = 32, nhwc_rows = 8;  // threads of a block that sums: channels, pixels at a time
constexpr int32_t pixels_of_part = 1024;

inline NhwcShape nhwc_shape(int64_t channels, int64_t pixels, unsigned blocks_of_image) {
    const auto all = static_cast<int32_t>(pixels);
    return {static_cast<int32_t>(channels), all, (all + pixels_of_part - 1) / pixels_of_part, pixels_of_part,
            blocks_of_image};
}

}  // namespace xbench
