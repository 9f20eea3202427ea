// Which operands the rows for images in nhwc on a GPU take, as row.h says of plain ones, and how their kernels are launched
// (nhwc_walk.h).
#pragma once

#include "kernels/cuda/nhwc_walk.h"
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

// The two kernels of XB_NHWC_KERNEL.
struct NhwcFunction {
    CudaFunction quads, ones;
};
#define XB_NHWC_FUNCTION(variable, stem, name)            \
    constexpr NhwcFunction variable {                     \
        {#stem, #name "_quads"}, { #stem, #name "_ones" } \
    }

// A launch over images of so many channels and items (pixels or windows). Images begin at multiples of 16 bytes, as a plan
// places them, and every image of a multiple of four channels does, too.
struct NhwcLaunch {
    NhwcWalk walk;
    int vec;
    Extent blocks, threads;
    const CudaFunction& of(const NhwcFunction& function) const { return vec == 4 ? function.quads : function.ones; }
    // Of shared memory: `fields` floats of each channel, or `sums` doubles for each channel of each thread, whichever is
    // more.
    unsigned shared_bytes(int fields, int sums) const {
        const auto channels = static_cast<unsigned>(walk.units * vec);
        const unsigned numbers = 4 * channels * static_cast<unsigned>(fields);
        const unsigned partial = 8 * threads.x * static_cast<unsigned>(vec * sums);
        return numbers > partial ? numbers : partial;
    }
};
constexpr int nhwc_passes = 8, nhwc_pixels_of_sum = 256;

// `least`: items that a block has at least.
inline NhwcLaunch nhwc_launch(int64_t images, int64_t channels, int64_t items, int least = 1) {
    NhwcLaunch launch{};
    launch.vec = channels % 4 == 0 ? 4 : 1;
    launch.walk = nhwc_walk(channels, items, launch.vec, nhwc_passes, least);
    launch.blocks = {static_cast<unsigned>(images * launch.walk.parts),
                     blocks_for(channels, launch.walk.units * launch.vec)};
    launch.threads = {static_cast<unsigned>(launch.walk.units * launch.walk.rows)};
    return launch;
}

}  // namespace xbench
