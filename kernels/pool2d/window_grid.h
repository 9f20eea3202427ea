// The grids of kernels over the windows, or the pixels, of plain f32 images on a GPU: blocks of one image each, and whether
// its windows of 2x2 can be read in aligned pairs. Of poolings, and of a batch normalisation in front of one.
#pragma once

#include <algorithm>

#include "kernels/cuda/row.h"
#include "kernels/pool2d/pool_shape.h"

namespace xbench {

constexpr unsigned window_threads = 256;

// Offsets within an image are 32-bit numbers.
inline Support takes_images_of_windows(const Problem& problem) {
    const int64_t most =
        std::max(elements_of_image(problem.in[0]), problem.n_out > 0 ? elements_of_image(problem.out[0]) : 0);
    return both(plain_f32_input(problem), most < int64_t{1} << 30 ? supported : refused("size"));
}

// `x` and `y` as the pooling forward has them; a thread takes one of `items` of an image, or `each`.
inline PoolShape window_shape(const KernelTensor& x, const KernelTensor& y, int64_t items, int each = 1) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    const unsigned blocks = blocks_for(items, int64_t{window_threads} * each);
    return {size(x.dim[1]), size(x.dim[2]), size(x.dim[3]), size(y.dim[2]), size(y.dim[3]), blocks};
}
inline Extent blocks_of(const PoolShape& shape, const KernelTensor& x) {
    return {shape.blocks_of_image * static_cast<unsigned>(x.dim[0])};
}

// Of 2x2 windows side by side: those of an image, one more row where its height is odd.
inline int64_t halving_windows(const KernelTensor& x) { return x.dim[1] * ((x.dim[2] + 1) / 2) * (x.dim[3] / 2); }
inline bool has_aligned_pairs(const KernelTensor& x) {
    return x.dim[3] % 2 == 0 && reinterpret_cast<uintptr_t>(x.data) % 8 == 0;
}

}  // namespace xbench
