// Filters in the order that a matrix product reads them in, and filter gradients in the order that the parameters have:
// batches of transposed matrices by way of shared memory, 32x32 elements a block of (32, 8) threads, and the end of every
// filter gradient, where partial sums are added up in the order of kernels/cuda/image_sums.cuh.
#include "kernels/conv2d/implicit_gemm/implicit_gemm.h"
#include "kernels/cuda/image_sums.cuh"

namespace xbench {

extern "C" __global__ void __launch_bounds__(256) xb_transpose_filters(const __grid_constant__ TransposedFilters p) {
    __shared__ float tile[32][33];
    const float* const from = p.from + blockIdx.z * p.from_batch;
    float* const to = p.to + blockIdx.z * p.to_batch;
    const int first_row = blockIdx.y * 32, first_column = blockIdx.x * 32;
    for (int row = threadIdx.y; row < 32; row += 8)
        if (first_row + row < p.rows && first_column + static_cast<int>(threadIdx.x) < p.columns)
            tile[row][threadIdx.x] = from[(first_row + row) * p.from_row + first_column + threadIdx.x];
    __syncthreads();
    for (int column = threadIdx.y; column < 32; column += 8)
        if (first_column + column < p.columns && first_row + static_cast<int>(threadIdx.x) < p.rows)
            to[(first_column + column) * p.to_row + first_row + threadIdx.x] = tile[threadIdx.x][column];
}

// A column for each element of a unit of partial sums: dw with rows of `pitch`, then db.
extern "C" __global__ void __launch_bounds__(sum_columns* sum_lanes)
    xb_finish_filters(const __grid_constant__ FinishedGradient p, const __grid_constant__ Partials<float> partials,
                      const StepContext* step) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const float sum = sum_over_leaves(partials, step, column);
    if (threadIdx.y > 0 || column >= partials.width) return;
    const int64_t of_filters = static_cast<int64_t>(p.count) * p.pitch;
    if (column >= of_filters) {
        if (column - of_filters < p.count) p.bias[column - of_filters] = sum;
        return;
    }
    const int filter = static_cast<int>(column / p.pitch),
              at = static_cast<int>(column - static_cast<int64_t>(filter) * p.pitch);
    const int elements = p.channels * p.taps;
    if (at >= elements) return;
    const int tap = at / p.channels, channel = at - tap * p.channels;
    p.filters[static_cast<int64_t>(filter) * elements + (p.plain ? channel * p.taps + tap : at)] = sum;
}

// y = the splits' sum, in ascending order, + bias, and the activation.
extern "C" __global__ void __launch_bounds__(256) xb_sum_splits(const __grid_constant__ SplitSum p) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    if (i >= p.elements) return;
    float sum = p.partial[i];
    for (int split = 1; split < p.splits; ++split) sum += p.partial[split * p.elements + i];
    if (p.bias) sum += p.bias[i % p.columns];
    p.result[i] = p.relu && sum < 0 ? 0.0f : sum;
}

}  // namespace xbench
