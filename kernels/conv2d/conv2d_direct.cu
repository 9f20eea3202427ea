// The direct f32 convolution with 3x3 filters and stride 1 (direct_conv.cuh): forward with bias and ReLU, and the gradient
// of its input, which is a convolution with the filters turned round.
#include "kernels/conv2d/direct_conv.cuh"

using namespace xbench;

namespace {

template <int pad, bool gradient>
__device__ __forceinline__ void convolve(const float* x, const float* w, const float* bias, float* y, const ConvShape& s,
                                         const DirectTile& t, int with_relu) {
    for_each_tile<pad, gradient>(x, w, s, t, [&](const DirectSums& sums, const DirectPlace& place, int tile) {
        const int column = place.first_column + quad * place.column;
        if (place.idle(t) || column >= s.q) return;
#pragma unroll
        for (int k = 0; k < filters_of_thread; ++k) {
            const int filter = place.first_filter + filters_of_thread * place.filter_group + k;
            if (filter >= s.k) return;
            const float offset = bias ? bias[filter] : 0.0f;
#pragma unroll
            for (int i = 0; i < rows_of_thread; ++i) {
                const int row = tile * t.rows() + rows_of_thread * place.row_pair + i;
                if (row >= s.p) continue;
                Four four;
#pragma unroll
                for (int j = 0; j < quad; ++j) {
                    const float value = sums.v[i][j][k] + offset;
                    four.v[j] = with_relu ? relu(value) : value;
                }
                store_four(y + ((place.image * s.k + filter) * s.p + row) * s.q, four, column, s.q, t.y_vectors);
            }
        }
    });
}

}  // namespace

#define XB_DIRECT_FORWARD(pad)                                                                                   \
    extern "C" __global__ void __launch_bounds__(512) direct_forward_pad##pad(                                   \
        const float* x, const float* w, const float* bias, float* y, ConvShape s, DirectTile t, int with_relu) { \
        convolve<pad, false>(x, w, bias, y, s, t, with_relu);                                                    \
    }
XB_DIRECT_FORWARD(0)
XB_DIRECT_FORWARD(1)
XB_DIRECT_FORWARD(2)

// `s` is the convolution that makes dx from dy: its x is dy, its filters are channels.
#define XB_DIRECT_DGRAD(pad)                                                                           \
    extern "C" __global__ void __launch_bounds__(512)                                                  \
        direct_dgrad_pad##pad(const float* dy, const float* w, float* dx, ConvShape s, DirectTile t) { \
        convolve<pad, true>(dy, w, nullptr, dx, s, t, 0);                                              \
    }
XB_DIRECT_DGRAD(0)
XB_DIRECT_DGRAD(1)
XB_DIRECT_DGRAD(2)
