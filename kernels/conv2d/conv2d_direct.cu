// The direct f32 convolution with 3x3 filters and stride 1 (direct_conv.cuh): forward with bias and ReLU, and the gradient
// of its input, which is a convolution with the filters turned round.
#include "kernels/conv2d/direct_conv.cuh"

using namespace xbench;

namespace {

struct Outputs {
    const float* bias;
    float* y;
    int with_relu;
    __device__ __forceinline__ float4 four(const DirectSums& sums, int row, int k, int filter) const {
        const float offset = bias ? bias[filter] : 0.0f;
        float value[quad];
#pragma unroll
        for (int j = 0; j < quad; ++j) {
            const float sum = sums.v[row][j][k] + offset;
            value[j] = with_relu ? relu(sum) : sum;
        }
        return make_float4(value[0], value[1], value[2], value[3]);
    }
};

// Rows of whole quads.
__device__ __forceinline__ void store_quads(const DirectSums& sums, const Outputs& to, const ConvShape& s,
                                            const DirectTile& t, const DirectPlace& place, int tile) {
    const int column = place.first_column + quad * place.column, row = tile * t.rows() + rows_of_thread * place.row_pair;
    if (place.idle(t) || column >= s.q) return;
#pragma unroll
    for (int k = 0; k < filters_of_thread; ++k) {
        const int filter = place.first_filter + filters_of_thread * place.filter_group + k;
        if (filter >= s.k) return;
        float* const line = to.y + ((place.image * s.k + filter) * s.p + row) * s.q + column;
#pragma unroll
        for (int i = 0; i < rows_of_thread; ++i)
            if (row + i < s.p) store_quad(line + i * s.q, to.four(sums, i, k, filter));
    }
}

// One filter of each group from shared memory, which holds {group, row, column}: as the rows lie in global memory.
__device__ __forceinline__ void store_staged(const float* staged, const Outputs& to, const ConvShape& s, const DirectTile& t,
                                             const DirectPlace& place, int tile, int k) {
    const int rows = min(t.rows(), s.p - tile * t.rows()), columns = min(quad * t.columns, s.q - place.first_column);
    for (int at = static_cast<int>(threadIdx.x); at < t.filter_groups * rows * columns; at += t.threads()) {
        const int line = at / columns, column = at - line * columns, group = line / rows, row = line - group * rows;
        const int filter = place.first_filter + filters_of_thread * group + k;
        if (filter < s.k)
            to.y[((place.image * s.k + filter) * s.p + tile * t.rows() + row) * s.q + place.first_column + column] =
                staged[(group * t.rows() + row) * quad * t.columns + column];
    }
}

// Rows of other lengths would be stored in pieces: they go through the memory of the pixels, a filter of each group at a
// time.
__device__ __forceinline__ void stage_outputs(const DirectSums& sums, const Outputs& to, const ConvShape& s,
                                              const DirectTile& t, const DirectPlace& place, int tile, float* staged) {
    float* const mine =
        staged + ((place.filter_group * t.rows() + rows_of_thread * place.row_pair) * t.columns + place.column) * quad;
    const int first = place.first_filter + filters_of_thread * place.filter_group;
#pragma unroll
    for (int k = 0; k < filters_of_thread; ++k) {
        __syncthreads();  // everybody has read what is overwritten
        if (!place.idle(t) && first + k < s.k)
#pragma unroll
            for (int i = 0; i < rows_of_thread; ++i)
                *reinterpret_cast<float4*>(mine + i * quad * t.columns) = to.four(sums, i, k, first + k);
        __syncthreads();
        store_staged(staged, to, s, t, place, tile, k);
    }
}

template <int pad, bool gradient, bool staged>
__device__ __forceinline__ void convolve(const float* x, const float* w, const Outputs& to, const ConvShape& s,
                                         const DirectTile& t) {
    for_each_tile<pad, gradient>(x, w, s, t, [&](const DirectSums& sums, const DirectPlace& place, int tile, float* shared) {
        if (staged)
            stage_outputs(sums, to, s, t, place, tile, shared);
        else
            store_quads(sums, to, s, t, place, tile);
    });
}

}  // namespace

// Each with outputs of whole quads, and of others: `staged`.
#define XB_DIRECT_FORWARD(name, pad, staged)                                                                          \
    extern "C" __global__ void __launch_bounds__(512)                                                                 \
        name(const float* x, const float* w, const float* bias, float* y, ConvShape s, DirectTile t, int with_relu) { \
        convolve<pad, false, staged>(x, w, {bias, y, with_relu}, s, t);                                               \
    }
XB_DIRECT_FORWARD(direct_forward_pad0, 0, false)
XB_DIRECT_FORWARD(direct_forward_pad1, 1, false)
XB_DIRECT_FORWARD(direct_forward_pad2, 2, false)
XB_DIRECT_FORWARD(direct_forward_pad0_staged, 0, true)
XB_DIRECT_FORWARD(direct_forward_pad1_staged, 1, true)
XB_DIRECT_FORWARD(direct_forward_pad2_staged, 2, true)

// `s` is the convolution that makes dx from dy: its x is dy, its filters are channels.
#define XB_DIRECT_DGRAD(name, pad, staged)                                            \
    extern "C" __global__ void __launch_bounds__(512)                                 \
        name(const float* dy, const float* w, float* dx, ConvShape s, DirectTile t) { \
        convolve<pad, true, staged>(dy, w, {nullptr, dx, 0}, s, t);                   \
    }
XB_DIRECT_DGRAD(direct_dgrad_pad0, 0, false)
XB_DIRECT_DGRAD(direct_dgrad_pad1, 1, false)
XB_DIRECT_DGRAD(direct_dgrad_pad2, 2, false)
XB_DIRECT_DGRAD(direct_dgrad_pad0_staged, 0, true)
XB_DIRECT_DGRAD(direct_dgrad_pad1_staged, 1, true)
XB_DIRECT_DGRAD(direct_dgrad_pad2_staged, 2, true)
