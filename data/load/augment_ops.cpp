// Products and sums of colors are in f32, as torch computes them; places are in f64, where 90 degrees are exact enough for
// every size of image.
#include "data/load/augment_ops.h"

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

template <class T>
T stored(float value) {
    return static_cast<T>(std::clamp(value, 0.0f, brightest<T>()));
}

template <class T>
float as_whole(float value) {
    if constexpr (std::is_same_v<T, float>)
        return value;
    else
        return std::floor(value);
}

template <class T>
float rounded(double value) {
    if constexpr (std::is_same_v<T, float>)
        return static_cast<float>(value);
    else
        return static_cast<float>(std::nearbyint(value));
}

template <class T>
float mean_gray(const T* image, const PixelShape& shape) {
    const int64_t plane = shape.plane();
    double sum = 0;
    for (int64_t i = 0; i < plane; ++i) {
        const auto first = static_cast<float>(image[i]);
        if (shape.channels != 3) {
            sum += static_cast<double>(first);
            continue;
        }
        const float green = static_cast<float>(image[plane + i]), blue = static_cast<float>(image[2 * plane + i]);
        sum += static_cast<double>(as_whole<T>(0.2989f * first + 0.587f * green + 0.114f * blue));
    }
    return static_cast<float>(sum / static_cast<double>(plane));
}

}  // namespace

template <class T>
void mirror_columns(T* image, const PixelShape& shape) {
    for (int64_t row = 0; row < shape.channels * shape.height; ++row)
        std::reverse(image + row * shape.width, image + (row + 1) * shape.width);
}

template <class T>
void mirror_rows(T* image, const PixelShape& shape) {
    for (int64_t c = 0; c < shape.channels; ++c) {
        T* const plane = image + c * shape.plane();
        for (int64_t y = 0; y < shape.height / 2; ++y)
            std::swap_ranges(plane + y * shape.width, plane + (y + 1) * shape.width,
                             plane + (shape.height - 1 - y) * shape.width);
    }
}

template <class T>
void adjust_brightness(T* image, const PixelShape& shape, float factor) {
    for (int64_t i = 0; i < shape.values(); ++i) image[i] = stored<T>(factor * static_cast<float>(image[i]));
}

template <class T>
void adjust_contrast(T* image, const PixelShape& shape, float factor) {
    const float base = (1 - factor) * mean_gray(image, shape);
    for (int64_t i = 0; i < shape.values(); ++i) image[i] = stored<T>(factor * static_cast<float>(image[i]) + base);
}

template <class T>
void adjust_gamma(T* image, const PixelShape& shape, float gamma) {
    constexpr float most = brightest<T>();
    // Whole numbers: torchvision's way back from [0,1], by which 1 is the brightest and all steps are equally wide.
    constexpr float back = std::is_same_v<T, float> ? 1.0f : most + 1.0f - 1e-3f;
    for (int64_t i = 0; i < shape.values(); ++i)
        image[i] = stored<T>(back * std::pow(static_cast<float>(image[i]) / most, gamma));
}

void add_noise(float* image, const PixelShape& shape, float sigma, uint64_t key, uint32_t index, uint64_t stream) {
    constexpr float turn = 6.2831853f;
    for (int64_t i = 0; i < shape.values(); i += 4) {
        const Philox4 block = philox4x32(key, uint64_t{index} << 32 | static_cast<uint32_t>(i / 4), stream);
        float normal[4];
        for (int pair = 0; pair < 2; ++pair) {
            const float radius = std::sqrt(-2 * std::log(1 - uniform01(block.v[2 * pair]))),
                        angle = turn * uniform01(block.v[2 * pair + 1]);
            normal[2 * pair] = radius * std::cos(angle);
            normal[2 * pair + 1] = radius * std::sin(angle);
        }
        for (int64_t k = 0; k < std::min<int64_t>(4, shape.values() - i); ++k)
            image[i + k] = stored<float>(image[i + k] + sigma * normal[k]);
    }
}

Warp inverse_affine(const PixelShape& shape, double degrees, double right, double down, double scale) {
    const double radians = degrees * 3.14159265358979323846 / 180, cosine = std::cos(radians) / scale,
                 sine = std::sin(radians) / scale;
    const double centre_x = static_cast<double>(shape.width - 1) / 2, centre_y = static_cast<double>(shape.height - 1) / 2;
    Warp inverse{cosine, sine, 0, -sine, cosine, 0};
    inverse.c = centre_x - inverse.a * (centre_x + right) - inverse.b * (centre_y + down);
    inverse.f = centre_y - inverse.d * (centre_x + right) - inverse.e * (centre_y + down);
    return inverse;
}

template <class T>
void warp(const T* from, T* to, const PixelShape& shape, const Warp& inverse, bool bilinear) {
    const int64_t plane = shape.plane();
    const auto at = [&](const T* pixels, int64_t x, int64_t y) {
        const bool inside = x >= 0 && y >= 0 && x < shape.width && y < shape.height;
        return inside ? static_cast<double>(pixels[y * shape.width + x]) : 0.0;
    };
    for (int64_t y = 0; y < shape.height; ++y) {
        for (int64_t x = 0; x < shape.width; ++x) {
            const auto column = static_cast<double>(x), row = static_cast<double>(y);
            const double x_in = inverse.a * column + inverse.b * row + inverse.c,
                         y_in = inverse.d * column + inverse.e * row + inverse.f;
            const double left = bilinear ? std::floor(x_in) : std::nearbyint(x_in),
                         top = bilinear ? std::floor(y_in) : std::nearbyint(y_in);
            const double across = bilinear ? x_in - left : 0, along = bilinear ? y_in - top : 0;
            const auto x0 = static_cast<int64_t>(left), y0 = static_cast<int64_t>(top);
            for (int64_t c = 0; c < shape.channels; ++c) {
                const T* const pixels = from + c * plane;
                double value = (1 - across) * (1 - along) * at(pixels, x0, y0);
                if (across != 0) value += across * (1 - along) * at(pixels, x0 + 1, y0);
                if (along != 0) value += (1 - across) * along * at(pixels, x0, y0 + 1);
                if (across != 0 && along != 0) value += across * along * at(pixels, x0 + 1, y0 + 1);
                to[c * plane + y * shape.width + x] = stored<T>(rounded<T>(value));
            }
        }
    }
}

#define XB_FOR_PIXELS(T)                                              \
    template void mirror_columns<T>(T*, const PixelShape&);           \
    template void mirror_rows<T>(T*, const PixelShape&);              \
    template void adjust_brightness<T>(T*, const PixelShape&, float); \
    template void adjust_contrast<T>(T*, const PixelShape&, float);   \
    template void adjust_gamma<T>(T*, const PixelShape&, float);      \
    template void warp<T>(const T*, T*, const PixelShape&, const Warp&, bool);
XB_FOR_PIXELS(float)
XB_FOR_PIXELS(uint8_t)
XB_FOR_PIXELS(uint16_t)
#undef XB_FOR_PIXELS

}  // namespace xbench
