// The direct f32 convolution with 3x3 filters and stride 1 (direct_conv.cuh) and the pass that follows it (core/ops.h):
// conv2d_pool keeps the maximum of each 2x2 window, which one thread holds, and its place; conv2d_statistics adds up the two
// sums of a batch normalisation, tile by tile, in double.
#include "kernels/conv2d/direct_conv.cuh"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/image_sums.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/pool2d/window.cuh"

using namespace xbench;

namespace {

struct Epilogue {
    const float* bias;
    int with_relu;
    __device__ __forceinline__ float operator()(float sum, float offset) const {
        const float value = sum + offset;
        return with_relu ? relu(value) : value;
    }
};

struct Pooled {
    float* y;
    uint8_t* index;  // null in inference
    int vectors;     // pairs of neighbours are aligned
};

// Bit 2 k + j: whether pooled column j of filter k is kept. A loop that stays one, for the generator is long.
__device__ __forceinline__ unsigned kept_outputs(const KeepMask& keep, int64_t image, int first_filter, int filters,
                                                 int pixel) {
    if (!keep.on()) return ~0u;
    unsigned mask = 0;
#pragma unroll 1
    for (int at = 0; at < 2 * filters_of_thread; ++at)
        if (at / 2 < filters) mask |= (keep(image, first_filter + at / 2, pixel + at % 2) ? 1u : 0u) << at;
    return mask;
}

__device__ __forceinline__ void store_pair(const Pooled& to, int64_t at, bool both, const float (&value)[2],
                                           const int (&place)[2]) {
    if (both && to.vectors) {
        *reinterpret_cast<float2*>(to.y + at) = make_float2(value[0], value[1]);
        if (to.index)
            *reinterpret_cast<uchar2*>(to.index + at) =
                make_uchar2(static_cast<uint8_t>(place[0]), static_cast<uint8_t>(place[1]));
        return;
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) {
        if (j > 0 && !both) break;
        to.y[at + j] = value[j];
        if (to.index) to.index[at + j] = static_cast<uint8_t>(place[j]);
    }
}

template <int pad>
__device__ __forceinline__ void convolve_and_pool(const float* x, const float* w, const Epilogue& epilogue, const Pooled& to,
                                                  const ConvShape& s, const DirectTile& t, const Dropout& dropout,
                                                  const StepContext* step) {
    const int height = s.p / 2, width = s.q / 2;
    const KeepMask keep(dropout, step, height * width);
    for_each_tile<pad, false>(x, w, s, t, [&](const DirectSums& sums, const DirectPlace& place, int tile, float*) {
        const int p = tile * t.row_pairs + place.row_pair, q = (place.first_column + quad * place.column) / 2;
        if (place.idle(t) || p >= height || q >= width) return;
        const int first = place.first_filter + filters_of_thread * place.filter_group;
        const unsigned kept = kept_outputs(keep, place.image, first, s.k - first, p * width + q);
#pragma unroll
        for (int k = 0; k < filters_of_thread; ++k) {
            if (first + k >= s.k) return;
            const float offset = epilogue.bias ? epilogue.bias[first + k] : 0.0f;
            float value[2];
            int at[2];
#pragma unroll
            for (int j = 0; j < 2; ++j) {
                const Largest best = largest_of(
                    make_float2(epilogue(sums.v[0][2 * j][k], offset), epilogue(sums.v[0][2 * j + 1][k], offset)),
                    make_float2(epilogue(sums.v[1][2 * j][k], offset), epilogue(sums.v[1][2 * j + 1][k], offset)));
                const bool keeps = kept >> (2 * k + j) & 1;
                value[j] = keeps ? best.value * keep.scale() : 0.0f;
                at[j] = !keeps || (epilogue.with_relu && !(best.value > 0)) ? static_cast<int>(closed_window) : best.place;
            }
            store_pair(to, ((place.image * s.k + first + k) * height + p) * width + q, q + 1 < width, value, at);
        }
    });
}

// The two sums of the thread's outputs of one filter, which are stored on the way.
__device__ __forceinline__ void store_outputs(const DirectSums& sums, int k, const Epilogue& epilogue, float offset,
                                              double shift, float* to, int row, int column, const ConvShape& s, int vectors,
                                              double (&pair)[2]) {
#pragma unroll
    for (int i = 0; i < rows_of_thread; ++i) {
        if (row + i >= s.p) continue;
        Four four;
#pragma unroll
        for (int j = 0; j < quad; ++j) {
            four.v[j] = epilogue(sums.v[i][j][k], offset);
            if (column + j >= s.q) continue;
            const double d = static_cast<double>(four.v[j]) - shift;
            pair[0] += d;
            pair[1] = fma(d, d, pair[1]);
        }
        store_four(to + static_cast<int64_t>(row + i) * s.q, four, column, s.q, vectors);
    }
}

constexpr int most_warps = 16;

// partial{images, tiles, 2, k}
template <int pad>
__device__ __forceinline__ void convolve_and_sum(const float* x, const float* w, const Epilogue& epilogue, const float* mean,
                                                 float* y, double* partial, const ConvShape& s, const DirectTile& t) {
    __shared__ double of_warps[most_warps][filters_of_thread][2];
    const int thread = static_cast<int>(threadIdx.x), warps_of_group = t.positions / 32;
    for_each_tile<pad, false>(x, w, s, t, [&](const DirectSums& sums, const DirectPlace& place, int tile, float*) {
        const int column = place.first_column + quad * place.column;
        const int row = tile * t.rows() + rows_of_thread * place.row_pair;
        const int first = place.first_filter + filters_of_thread * place.filter_group;
        const bool active = !place.idle(t) && column < s.q;
#pragma unroll
        for (int k = 0; k < filters_of_thread; ++k) {
            double pair[2] = {0, 0};
            if (active && first + k < s.k)
                store_outputs(sums, k, epilogue, epilogue.bias ? epilogue.bias[first + k] : 0.0f,
                              static_cast<double>(mean[first + k]), y + (place.image * s.k + first + k) * s.p * s.q, row,
                              column, s, t.y_vectors, pair);
            pair[0] = warp_sum(pair[0]);
            pair[1] = warp_sum(pair[1]);
            if (thread % 32 == 0) of_warps[thread / 32][k][0] = pair[0], of_warps[thread / 32][k][1] = pair[1];
        }
        __syncthreads();
        const int tile_of_image = tile * t.tiles_across + static_cast<int>(blockIdx.x) % t.tiles_across;
        double* const to = partial + (place.image * t.tiles_across * t.tiles_down + tile_of_image) * 2 * s.k;
        for (int at = thread; at < 2 * t.filters(); at += t.threads()) {
            const int filter = at / 2, which = at % 2, group = filter / filters_of_thread;
            double sum = 0;
            for (int warp = 0; warp < warps_of_group; ++warp)
                sum += of_warps[group * warps_of_group + warp][filter % filters_of_thread][which];
            if (place.first_filter + filter < s.k) to[which * s.k + place.first_filter + filter] = sum;
        }
    });
}

}  // namespace

#define XB_DIRECT_POOL(pad)                                                                                            \
    extern "C" __global__ void __launch_bounds__(512)                                                                  \
        direct_pool_pad##pad(const float* x, const float* w, const float* bias, float* y, uint8_t* index, ConvShape s, \
                             DirectTile t, Dropout dropout, const StepContext* step, int with_relu, int vectors) {     \
        convolve_and_pool<pad>(x, w, {bias, with_relu}, {y, index, vectors}, s, t, dropout, step);                     \
    }
XB_DIRECT_POOL(0)
XB_DIRECT_POOL(1)
XB_DIRECT_POOL(2)

#define XB_DIRECT_STATISTICS(pad)                                                                                  \
    extern "C" __global__ void __launch_bounds__(512)                                                              \
        direct_statistics_pad##pad(const float* x, const float* w, const float* bias, const float* mean, float* y, \
                                   double* partial, ConvShape s, DirectTile t, int with_relu) {                    \
        convolve_and_sum<pad>(x, w, {bias, with_relu}, mean, y, partial, s, t);                                    \
    }
XB_DIRECT_STATISTICS(0)
XB_DIRECT_STATISTICS(1)
XB_DIRECT_STATISTICS(2)

extern "C" __global__ void sum_tiles(Partials<double> partials, const StepContext* step, double* sums) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const double sum = sum_over_leaves(partials, step, column);
    if (threadIdx.y == 0 && column < partials.width) sums[column] = sum;
}
