// Where the partial sums of images (kernels/cuda/image_sums.cuh) lie, as host and device see it.
#pragma once

#include <cstdint>

namespace xbench {

constexpr int sum_columns = 32, sum_lanes = 8;  // threads of a block: columns of the sums, leaves at a time

// {images (or leaves), parts, width}
template <class T>
struct Partials {
    const T* partial;
    int64_t width;
    int32_t parts;       // of an image (or leaf), added in ascending order
    int32_t of_leaves;   // 1: one for each leaf in place of one for each image
    int32_t images = 1;  // of a leaf that share one, which lies where that of the first of them would
};

template <class T>
Partials<T> image_partials(const T* partial, int64_t width, int32_t parts = 1) {
    return {partial, width, parts, 0};
}

}  // namespace xbench
