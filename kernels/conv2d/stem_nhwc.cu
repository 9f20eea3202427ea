// The first layer of a plan in nhwc: a convolution of plain f32 images of few channels that writes nhwc, and the gradient of
// its filters. Products in f32.
//   forward   a thread makes four filters of a pixel; the filters lie in shared memory, element by element {c, r, s}{k}, so
//   that a
//             warp reads them by 128 bits and x by broadcast. Bound by writing y.
//   gradient  a block of (32, 8) threads has 32 filters and 32 elements of each; every warp reads dy once for its four
//   elements.
//             Sums of 1024 pixels of an image, then images and leaves (kernels/cuda/image_sums.cuh).
#include "kernels/conv2d/stem_nhwc.h"
#include "kernels/cuda/image_sums.cuh"

using namespace xbench;

namespace {

// Input of output pixel (i, j) for element d = (c, r, s) of a filter.
struct StemElement {
    int h, w, offset;  // from the pixel's corner
    __device__ StemElement(const StemShape& s, int d) {
        const int taps = s.r * s.s, c = d / taps, tap = d - c * taps, r = tap / s.s;
        h = r * s.dilation_h - s.pad_h;
        w = (tap - r * s.s) * s.dilation_w - s.pad_w;
        offset = c * s.h * s.w;
    }
};

__device__ __forceinline__ float stem_input(const float* image, const StemShape& s, const StemElement& e, int i, int j) {
    const int h = i * s.stride_h + e.h, w = j * s.stride_w + e.w;
    const bool inside =
        static_cast<unsigned>(h) < static_cast<unsigned>(s.h) && static_cast<unsigned>(w) < static_cast<unsigned>(s.w);
    return inside ? image[e.offset + h * s.w + w] : 0.0f;
}

__device__ __forceinline__ void store_filters(float* y, float4 sum, int left, bool vectors) {
    if (vectors) {
        *reinterpret_cast<float4*>(y) = sum;
        return;
    }
    y[0] = sum.x;
    if (left > 1) y[1] = sum.y;
    if (left > 2) y[2] = sum.z;
    if (left > 3) y[3] = sum.w;
}

}  // namespace

// Blocks: (parts of 256 pixels, images).
extern "C" __global__ void __launch_bounds__(stem_threads)
    stem_forward(const float* x, const float* filters, const float* bias, float* y, StemShape s, int with_relu,
                 int vectors) {
    extern __shared__ float4 shared[];  // {c r s}{quads}
    auto* const weights = reinterpret_cast<float*>(shared);
    const int depth = s.c * s.r * s.s, padded = 4 * s.quads;
    for (int at = static_cast<int>(threadIdx.x); at < depth * padded; at += stem_threads) {
        const int d = at / padded, k = at - d * padded;
        weights[at] = k < s.k ? filters[k * depth + d] : 0.0f;
    }
    __syncthreads();
    const float* const image = x + static_cast<int64_t>(blockIdx.y) * s.c * s.h * s.w;
    const int pixels = s.p * s.q, first = static_cast<int>(blockIdx.x) * pixels_of_stem_block;
    const int items = min(pixels_of_stem_block, pixels - first) * s.quads;
    for (int item = static_cast<int>(threadIdx.x); item < items; item += stem_threads) {
        const int of_block = item / s.quads, quad = item - of_block * s.quads, pixel = first + of_block;
        const int i = pixel / s.q, j = pixel - i * s.q, k = 4 * quad;
        float4 sum = make_float4(0, 0, 0, 0);
        int d = 0;
        for (int c = 0; c < s.c; ++c)
            for (int r = 0; r < s.r; ++r)
                for (int t = 0; t < s.s; ++t, ++d) {
                    const int h = i * s.stride_h + r * s.dilation_h - s.pad_h,
                              w = j * s.stride_w + t * s.dilation_w - s.pad_w;
                    if (static_cast<unsigned>(h) >= static_cast<unsigned>(s.h) ||
                        static_cast<unsigned>(w) >= static_cast<unsigned>(s.w))
                        continue;
                    const float value = image[(c * s.h + h) * s.w + w];
                    const float4 four = shared[d * s.quads + quad];
                    sum.x = fmaf(value, four.x, sum.x), sum.y = fmaf(value, four.y, sum.y);
                    sum.z = fmaf(value, four.z, sum.z), sum.w = fmaf(value, four.w, sum.w);
                }
        const int left = s.k - k;
        float* const values[4] = {&sum.x, &sum.y, &sum.z, &sum.w};
#pragma unroll
        for (int f = 0; f < 4; ++f) {
            if (bias && f < left) *values[f] += bias[k + f];
            if (with_relu && *values[f] < 0) *values[f] = 0;
        }
        store_filters(y + (static_cast<int64_t>(blockIdx.y) * pixels + pixel) * s.k + k, sum, left, vectors);
    }
}

// Blocks: (parts of images, 32 filters, 32 elements of them). partial{images, parts, width}: dw{k, c r s}, then db{k}.
extern "C" __global__ void __launch_bounds__(stem_threads)
    stem_gradient(const float* x, const float* dy, float* partial, StemShape s, int with_bias) {
    const int part = static_cast<int>(blockIdx.x) % s.parts, image = static_cast<int>(blockIdx.x) / s.parts;
    const int k = static_cast<int>(blockIdx.y * 32 + threadIdx.x), depth = s.c * s.r * s.s, pixels = s.p * s.q;
    const int first_element =
        static_cast<int>(blockIdx.z) * stem_rows * elements_of_stem_thread + static_cast<int>(threadIdx.y);
    if (k >= s.k) return;
    const float* const source = x + static_cast<int64_t>(image) * s.c * s.h * s.w;
    const StemElement elements[4] = {
        {s, first_element}, {s, first_element + 8}, {s, first_element + 16}, {s, first_element + 24}};
    float sums[4] = {}, bias = 0;
    const int end = min((part + 1) * s.part_pixels, pixels);
    for (int pixel = part * s.part_pixels; pixel < end; ++pixel) {
        const int i = pixel / s.q, j = pixel - i * s.q;
        const float gradient = dy[(static_cast<int64_t>(image) * pixels + pixel) * s.k + k];
        bias += gradient;
#pragma unroll
        for (int e = 0; e < elements_of_stem_thread; ++e)
            if (first_element + e * stem_rows < depth)
                sums[e] = fmaf(gradient, stem_input(source, s, elements[e], i, j), sums[e]);
    }
    float* const to = partial + static_cast<int64_t>(blockIdx.x) * s.width;
#pragma unroll
    for (int e = 0; e < elements_of_stem_thread; ++e)
        if (first_element + e * stem_rows < depth)
            to[static_cast<int64_t>(k) * depth + first_element + e * stem_rows] = sums[e];
    if (with_bias && first_element == 0) to[static_cast<int64_t>(s.k) * depth + k] = bias;
}

extern "C" __global__ void __launch_bounds__(sum_columns* sum_lanes)
    finish_stem(Partials<float> partials, const StepContext* step, float* dw, float* db, int64_t filters) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const float sum = sum_over_leaves(partials, step, column);
    if (threadIdx.y > 0 || column >= partials.width) return;
    (column < filters ? dw[column] : db[column - filters]) = sum;
}
