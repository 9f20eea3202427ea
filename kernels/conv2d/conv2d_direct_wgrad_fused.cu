// The direct f32 gradient of a first layer's 3x3 filters (direct_wgrad.cuh) whose dy nobody else reads: it is made in shared
// memory from the gradient behind a 2x2 max-pooling (conv2d_pool_wgrad), or behind a batch normalisation and a pooling
// (conv2d_batchnorm_pool_wgrad), and is never written.
#include "kernels/batchnorm/input_gradient.cuh"
#include "kernels/conv2d/direct_wgrad.cuh"
#include "kernels/cuda/image_sums.cuh"

using namespace xbench;

namespace {

// The gradient behind the pooling, {n, k, height, width}, and where each window's maximum was.
struct PooledGradient {
    const float* dy;
    const uint8_t* index;
    int height, width;
    float scale;  // of the dropout behind it
    // The gradient of one window and its place; no place outside of the pooled image.
    __device__ __forceinline__ float at(int64_t plane, int p, int q, bool inside, int& place) const {
        place = closed_window;
        if (!inside || p >= height || q >= width) return 0;
        const int64_t from = (plane * height + p) * width + q;
        place = index[from];
        return dy[from] * scale;
    }
};

// Calls store(filter, row, column, ...) for each 2x2 window of the rows of dy that a block needs.
template <class Window>
__device__ __forceinline__ void for_each_window(const WgradTile& t, Window&& window) {
    const int width = 2 * t.quads, rows = t.rows() / 2;
    for (int at = static_cast<int>(threadIdx.x); at < t.filters() * rows * width; at += t.threads()) {
        const int line = at / width, filter = line / rows;
        window(filter, line - filter * rows, at - line * width);
    }
}

__device__ __forceinline__ void store_window(float* dys, const WgradTile& t, int filter, int row, int column,
                                             const float (&value)[4]) {
    float* const to = dys + filter * t.dy_plane + 2 * row * t.dy_pitch + 2 * column;
    *reinterpret_cast<float2*>(to) = make_float2(value[0], value[1]);
    *reinterpret_cast<float2*>(to + t.dy_pitch) = make_float2(value[2], value[3]);
}

struct PoolRows {
    PooledGradient pooled;
    __device__ __forceinline__ void load(float* dys, const ConvShape& s, const WgradTile& t, const WgradPlace& place,
                                         int image, int first_row, int end_row) const {
        for_each_window(t, [&](int filter, int row, int column) {
            const int k = place.first_filter + filter, p = first_row / 2 + row;
            int at;
            const float d = pooled.at(static_cast<int64_t>(image) * s.k + k, p, column, k < s.k && 2 * p < end_row, at);
            const float value[4] = {at == 0 ? d : 0.0f, at == 1 ? d : 0.0f, at == 2 ? d : 0.0f, at == 3 ? d : 0.0f};
            store_window(dys, t, filter, row, column, value);
        });
    }
};

constexpr int most_filters = 64;  // of a block

struct NormalisedRows {
    PooledGradient pooled;
    const float* y;  // of the convolution
    const InputGradient* of_filter;
    __device__ __forceinline__ void load(float* dys, const ConvShape& s, const WgradTile& t, const WgradPlace& place,
                                         int image, int first_row, int end_row) const {
        for_each_window(t, [&](int filter, int row, int column) {
            const int k = place.first_filter + filter, p = first_row / 2 + row;
            const int64_t plane = static_cast<int64_t>(image) * s.k + k;
            const bool inside = k < s.k && 2 * p < end_row && 2 * column < s.q;
            int at;
            const float d = pooled.at(plane, p, column, inside, at);
            float value[4] = {0, 0, 0, 0};
            if (inside)
                gradients(value, y + (plane * s.p + 2 * p) * s.q + 2 * column, d, at, filter, s, 2 * p + 1 < end_row,
                          2 * column + 1 < s.q, t.dy_vectors);
            store_window(dys, t, filter, row, column, value);
        });
    }

private:
    // `pairs`: two neighbours of y are one aligned pair.
    __device__ __forceinline__ void gradients(float (&value)[4], const float* from, float d, int at, int filter,
                                              const ConvShape& s, bool below, bool right, int pairs) const {
        const InputGradient gradient = of_filter[filter];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            if (i > 0 && !below) break;
            float2 pair;
            if (pairs) {
                pair = *reinterpret_cast<const float2*>(from + i * s.q);
            } else {
                pair = make_float2(from[i * s.q], right ? from[i * s.q + 1] : 0.0f);
            }
            value[2 * i] = gradient(pair.x, at == 2 * i ? d : 0.0f);
            if (right) value[2 * i + 1] = gradient(pair.y, at == 2 * i + 1 ? d : 0.0f);
        }
    }
};

template <int pad>
__device__ __forceinline__ void normalised_wgrad(const float* x, const NormalisedRows& rows, InputGradient* of_filter,
                                                 const float* mean_rstd, const float* gamma, const double* sums,
                                                 const BatchNorm& a, float* partial, const ConvShape& s, const WgradTile& t,
                                                 const StepContext* step) {
    const WgradPlace place(t);
    for (int filter = static_cast<int>(threadIdx.x); filter < t.filters(); filter += t.threads())
        if (const int k = place.first_filter + filter; k < s.k)
            of_filter[filter] = input_gradient(mean_rstd, gamma, sums, s.k, k, a, step);
    wgrad_of_chunk<pad>(x, rows, partial, s, t, step);  // begins with a barrier
}

}  // namespace

#define XB_DIRECT_POOL_WGRAD(pad)                                                                                      \
    extern "C" __global__ void __launch_bounds__(512)                                                                  \
        direct_pool_wgrad_pad##pad(const float* x, const float* dy, const uint8_t* index, float* partial, ConvShape s, \
                                   WgradTile t, int height, int width, float scale, const StepContext* step) {         \
        wgrad_of_chunk<pad>(x, PoolRows{{dy, index, height, width, scale}}, partial, s, t, step);                      \
    }
XB_DIRECT_POOL_WGRAD(0)
XB_DIRECT_POOL_WGRAD(1)
XB_DIRECT_POOL_WGRAD(2)

#define XB_DIRECT_BATCHNORM_POOL_WGRAD(pad)                                                                                \
    extern "C" __global__ void __launch_bounds__(512) direct_batchnorm_pool_wgrad_pad##pad(                                \
        const float* x, const float* y, const float* dy, const uint8_t* index, const float* mean_rstd, const float* gamma, \
        const double* sums, float* partial, ConvShape s, WgradTile t, int height, int width, BatchNormPool a,              \
        const StepContext* step) {                                                                                         \
        __shared__ InputGradient of_filter[most_filters];                                                                  \
        const NormalisedRows rows{{dy, index, height, width, 1.0f / (1.0f - a.dropout.p)}, y, of_filter};                  \
        normalised_wgrad<pad>(x, rows, of_filter, mean_rstd, gamma, sums, a.norm, partial, s, t, step);                    \
    }
XB_DIRECT_BATCHNORM_POOL_WGRAD(0)
XB_DIRECT_BATCHNORM_POOL_WGRAD(1)
XB_DIRECT_BATCHNORM_POOL_WGRAD(2)
