// reorder between plain and nhwc images, f32: a transposition of {channels, pixels} for each image, tile by tile through
// shared memory, so that both sides are read and written in one piece. Rows of the tile are so long that neither side meets
// in a bank.
#include "kernels/elementwise/reorder_tile.h"

using namespace xbench;

namespace {

struct TilePlace {
    int first_channel, first_pixel, channels, pixels;
    __device__ TilePlace(const ReorderTile& t)
        : first_channel(static_cast<int>(blockIdx.y) * t.channels),
          first_pixel(static_cast<int>(blockIdx.x) * t.pixels),
          channels(min(t.channels, t.all_channels - first_channel)),
          pixels(min(t.pixels, t.all_pixels - first_pixel)) {}
};

// Calls body(channel, pixel, offset in the image) in the order in which the elements of the tile lie in a plain image.
template <class Body>
__device__ __forceinline__ void in_plain_order(const ReorderTile& t, const TilePlace& place, Body&& body) {
    for (int at = static_cast<int>(threadIdx.x); at < place.channels * place.pixels; at += static_cast<int>(blockDim.x)) {
        const int c = at / place.pixels, pixel = at - c * place.pixels;
        body(c, pixel, static_cast<int64_t>(place.first_channel + c) * t.all_pixels + place.first_pixel + pixel);
    }
}
template <class Body>
__device__ __forceinline__ void in_nhwc_order(const ReorderTile& t, const TilePlace& place, Body&& body) {
    for (int at = static_cast<int>(threadIdx.x); at < place.channels * place.pixels; at += static_cast<int>(blockDim.x)) {
        const int pixel = at / place.channels, c = at - pixel * place.channels;
        body(c, pixel, static_cast<int64_t>(place.first_pixel + pixel) * t.all_channels + place.first_channel + c);
    }
}

}  // namespace

extern "C" __global__ void plain_to_nhwc(const float* x, float* y, ReorderTile t) {
    extern __shared__ float tile[];
    const TilePlace place(t);
    const int64_t image = static_cast<int64_t>(blockIdx.z) * t.all_channels * t.all_pixels;
    in_plain_order(t, place, [&](int c, int pixel, int64_t at) { tile[c * t.pitch + pixel] = x[image + at]; });
    __syncthreads();
    in_nhwc_order(t, place, [&](int c, int pixel, int64_t at) { y[image + at] = tile[c * t.pitch + pixel]; });
}

extern "C" __global__ void nhwc_to_plain(const float* x, float* y, ReorderTile t) {
    extern __shared__ float tile[];
    const TilePlace place(t);
    const int64_t image = static_cast<int64_t>(blockIdx.z) * t.all_channels * t.all_pixels;
    in_nhwc_order(t, place, [&](int c, int pixel, int64_t at) { tile[c * t.pitch + pixel] = x[image + at]; });
    __syncthreads();
    in_plain_order(t, place, [&](int c, int pixel, int64_t at) { y[image + at] = tile[c * t.pitch + pixel]; });
}
