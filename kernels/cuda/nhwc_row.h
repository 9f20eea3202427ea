// Which operands the rows for images in nhwc on a GPU take, as row.h says of plain ones.
#pragma once

#include "kernels/cuda/row.h"

namespace xbench {

// The same call with its images in plain layout; refused where an image is in another layout than `layout`.
inline Support all_images_in(const Problem& problem, Layout layout, Problem& plain) {
    plain = problem;
    const auto check = [&](KernelTensor* tensors, int32_t count) {
        bool all = true;
        for (int32_t i = 0; i < count; ++i) {
            if (tensors[i].rank != 4) continue;
            all = all && tensors[i].layout == layout && elements_of_image(tensors[i]) < int64_t{1} << 30;
            tensors[i].layout = Layout::plain;
        }
        return all;
    };
    return check(plain.in, plain.n_in) && check(plain.out, plain.n_out) ? supported : refused("layout");
}

inline Support nhwc_f32_input(const Problem& problem) {
    Problem plain;
    return both(problem.in[0].rank == 4 || problem.out[0].rank == 4 ? supported : refused("layout"),
                both(all_images_in(problem, Layout::nhwc, plain), plain_f32_input(plain)));
}
// Element for element, in whatever order they lie: plain or nhwc, but all operands alike.
inline Support alike_f32_output(const Problem& problem) {
    Problem plain;
    const bool nhwc = problem.out[0].rank == 4 && problem.out[0].layout == Layout::nhwc;
    return both(all_images_in(problem, nhwc ? Layout::nhwc : Layout::plain, plain), plain_f32_output(plain));
}

}  // namespace xbench
