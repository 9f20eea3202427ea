// Which operands the rows for images in nhwc on a GPU take, as row.h says of plain ones.
#pragma once

#include "kernels/cuda/row.h"

namespace xbench {

// What `support` says of the same call with its images in plain layout; refused where an image is in another layout than
// `layout`.
inline Support as_if_plain(const Problem& problem, Layout layout, Support (*support)(const Problem&)) {
    Problem plain = problem;
    bool all = true;
    const auto relabel = [&](KernelTensor* tensors, int32_t count) {
        for (int32_t i = 0; i < count; ++i) {
            if (tensors[i].rank != 4) continue;
            all = all && tensors[i].layout == layout && elements_of_image(tensors[i]) < int64_t{1} << 30;
            tensors[i].layout = Layout::plain;
        }
    };
    relabel(plain.in, plain.n_in);
    relabel(plain.out, plain.n_out);
    return all ? support(plain) : refused("layout");
}

inline Support nhwc_f32_input(const Problem& problem) {
    const bool images = problem.in[0].rank == 4 || problem.out[0].rank == 4;
    return images ? as_if_plain(problem, Layout::nhwc, plain_f32_input) : refused("layout");
}
// Element for element, in whatever order they lie: plain or nhwc, but all operands alike.
inline Support alike_f32_output(const Problem& problem) {
    const bool nhwc = problem.out[0].rank == 4 && problem.out[0].layout == Layout::nhwc;
    return as_if_plain(problem, nhwc ? Layout::nhwc : Layout::plain, plain_f32_output);
}

}  // namespace xbench
