// What augmentation does to pixels, one operation a function, with the meanings of torchvision's transforms v2 on tensors:
// planes {c,h,w} of float in [0,1], of uint8 or of uint16. Colors of whole numbers are cut off, not rounded; warped ones are
// rounded to even; both as torchvision does.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/philox.h"

namespace xbench {

struct PixelShape {
    int64_t channels = 1, height = 0, width = 0;
    int64_t plane() const { return height * width; }
    int64_t values() const { return channels * plane(); }
};

template <class T>
constexpr float brightest() {
    return std::is_same_v<T, float> ? 1.0f : std::is_same_v<T, uint8_t> ? 255.0f : 65535.0f;
}

template <class T>
void mirror_columns(T* image, const PixelShape& shape);
template <class T>
void mirror_rows(T* image, const PixelShape& shape);

// clamp(factor x)
template <class T>
void adjust_brightness(T* image, const PixelShape& shape, float factor);
// clamp(factor x + (1 - factor) mean of the gray image); gray of RGB is .2989 R + .587 G + .114 B, of whole numbers cut off.
template <class T>
void adjust_contrast(T* image, const PixelShape& shape, float factor);
// x^gamma in [0,1]
template <class T>
void adjust_gamma(T* image, const PixelShape& shape, float gamma);
// Normal numbers by Box-Muller from the words of Philox under (key, stream); value i of image `index` is its own element.
void add_noise(float* image, const PixelShape& shape, float sigma, uint64_t key, uint32_t index, uint64_t stream);

// Where a pixel comes from: x_in = a x + b y + c, y_in = d x + e y + f, in indices of pixels.
struct Warp {
    double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};
// Scaled and turned about the centre of the image, clockwise, then shifted right and down: the inverse of that.
Warp inverse_affine(const PixelShape& shape, double degrees, double right, double down, double scale);
// What lies outside is 0. `from` and `to` must not overlap.
template <class T>
void warp(const T* from, T* to, const PixelShape& shape, const Warp& inverse, bool bilinear);

}  // namespace xbench
