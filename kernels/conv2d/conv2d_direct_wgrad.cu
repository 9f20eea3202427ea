// The direct f32 gradient of 3x3 filters with stride 1 and of the bias (direct_wgrad.cuh), of plain images.
#include "kernels/conv2d/direct_wgrad.cuh"
#include "kernels/cuda/image_sums.cuh"

using namespace xbench;

namespace {

// dy as it lies in memory.
struct PlainGradient {
    const float* dy;
    __device__ __forceinline__ void load(float* dys, const ConvShape& s, const WgradTile& t, const WgradPlace& place,
                                         int image, int first_row, int end_row) const {
        const int width = t.dy_vectors ? t.quads : t.quads * wgrad_quad;
        const float* const from = dy + static_cast<int64_t>(image) * s.k * s.p * s.q;
        for (int at = static_cast<int>(threadIdx.x); at < t.filters() * t.rows() * width; at += t.threads()) {
            const int line = at / width, filter = line / t.rows(), row = line - filter * t.rows(), q = at - line * width;
            const int k = place.first_filter + filter, p = first_row + row;
            float* const to = dys + filter * t.dy_plane + row * t.dy_pitch;
            const float* const line_of_dy = from + (static_cast<int64_t>(k) * s.p + p) * s.q;
            const bool inside = k < s.k && p < end_row;
            if (t.dy_vectors)
                *reinterpret_cast<float4*>(to + q * wgrad_quad) =
                    inside ? *reinterpret_cast<const float4*>(line_of_dy + q * wgrad_quad) : make_float4(0, 0, 0, 0);
            else
                to[q] = inside && q < s.q ? line_of_dy[q] : 0.0f;
        }
    }
};

}  // namespace

#define XB_DIRECT_WGRAD(pad)                                                                                  \
    extern "C" __global__ void __launch_bounds__(512) direct_wgrad_pad##pad(                                  \
        const float* x, const float* dy, float* partial, ConvShape s, WgradTile t, const StepContext* step) { \
        wgrad_of_chunk<pad>(x, PlainGradient{dy}, partial, s, t, step);                                       \
    }
XB_DIRECT_WGRAD(0)
XB_DIRECT_WGRAD(1)
XB_DIRECT_WGRAD(2)

// dw{k, channel, tap} and db{k} from partial sums {k, (tap, channel) and bias}.
extern "C" __global__ void direct_wgrad_finish(Partials<float> partials, const StepContext* step, float* dw, float* db,
                                               int channels) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const float sum = sum_over_leaves(partials, step, at);
    if (threadIdx.y > 0 || at >= partials.width) return;
    const int columns = wgrad_taps * channels + 1;
    const int64_t k = at / columns;
    const int column = static_cast<int>(at - k * columns), tap = column / channels;
    if (tap < wgrad_taps) {
        dw[(k * channels + column - tap * channels) * wgrad_taps + tap] = sum;
    } else if (db) {
        db[k] = sum;
    }
}
