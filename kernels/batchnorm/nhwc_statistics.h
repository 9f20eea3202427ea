// Sums over the batch of images in nhwc on a GPU: how their parts are cut, kept in the workspace and added up.
#pragma once

#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/nhwc_row.h"

namespace xbench {

// Parts of so many pixels that their sums are few beside them; by the shape of an image alone, or the bits would depend on
// where the images lie.
inline NhwcLaunch launch_of_sums(const KernelTensor& x) {
    return nhwc_launch(x.dim[0], x.dim[1], x.dim[2] * x.dim[3], nhwc_pixels_of_sum);
}

inline size_t workspace_of_sums(const Problem& problem, int) {
    const KernelTensor& x = problem.in[0];
    return sizeof(double) * 2 * static_cast<size_t>(x.dim[0] * x.dim[1] * launch_of_sums(x).walk.parts);
}

inline constexpr CudaFunction sum_statistics{"batchnorm", "sum_statistics"};

// partial{images, parts, 2, channels} in the workspace to sums{2, channels}.
inline void sum_parts(const KernelArgs& args, int32_t channels, int32_t parts, double* sums, CudaQueue& queue) noexcept {
    const int64_t width = 2 * int64_t{channels};
    queue.launch(sum_statistics, {blocks_for(width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const double*>(args.workspace), width, parts), queue.step(), sums);
}

}  // namespace xbench
