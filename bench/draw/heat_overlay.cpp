// Planes of floats to interleaved bytes, blended with a colour.
#include "bench/draw/heat_overlay.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/import/decoders.h"
#include "eval/gradcam.h"

namespace xbench {
namespace {

constexpr float strongest = 0.65f;  // opacity at the map's maximum: the image stays visible

using Colour = std::array<float, 3>;
// Inferno at 0, 1/8 .. 1.
constexpr std::array<Colour, 9> inferno{{{0, 0, 4},
                                         {31, 12, 72},
                                         {87, 16, 110},
                                         {136, 34, 106},
                                         {188, 55, 84},
                                         {227, 89, 51},
                                         {249, 140, 10},
                                         {249, 201, 50},
                                         {252, 255, 164}}};

Colour colour_of(float heat) {
    const float at = std::clamp(heat, 0.0f, 1.0f) * static_cast<float>(inferno.size() - 1);
    const auto below = std::min(static_cast<size_t>(at), inferno.size() - 2);
    Colour colour;
    for (size_t c = 0; c < colour.size(); ++c)
        colour[c] = inferno[below][c] + (at - static_cast<float>(below)) * (inferno[below + 1][c] - inferno[below][c]);
    return colour;
}

uint8_t byte_of(float value) { return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0f, 255.0f))); }

std::vector<std::vector<float>> enlarged_planes(const ShownImage& image, int64_t factor) {
    const auto plane = static_cast<size_t>(image.height * image.width);
    std::vector<std::vector<float>> planes;
    for (int64_t c = 0; c < image.channels; ++c)
        planes.push_back(enlarged(image.pixels.subspan(static_cast<size_t>(c) * plane, plane), image.height, image.width,
                                  image.height * factor, image.width * factor));
    return planes;
}

Image empty_image(const ShownImage& image, int64_t factor, int channels) {
    Image out;
    out.height = image.height * factor;
    out.width = image.width * factor;
    out.channels = channels;
    out.samples.reserve(static_cast<size_t>(out.height * out.width * channels));
    return out;
}

}  // namespace

int64_t enlargement(const ShownImage& image, int64_t least_side) {
    const int64_t side = std::max<int64_t>(1, std::min(image.height, image.width));
    return std::max<int64_t>(1, (least_side + side - 1) / side);
}

std::vector<uint8_t> image_png(const ShownImage& image, int64_t factor) {
    const auto planes = enlarged_planes(image, factor);
    Image out = empty_image(image, factor, image.channels == 1 ? 1 : 3);
    for (size_t i = 0; i < planes[0].size(); ++i)
        for (size_t c = 0; c < static_cast<size_t>(out.channels); ++c) out.samples.push_back(byte_of(255 * planes[c][i]));
    return encode_png(out);
}

std::vector<uint8_t> overlay_png(const ShownImage& image, std::span<const float> map, int64_t rows, int64_t columns,
                                 int64_t factor) {
    const auto planes = enlarged_planes(image, factor);
    std::vector<float> heat = enlarged(map, rows, columns, image.height * factor, image.width * factor);
    divide_by_maximum(heat);
    Image out = empty_image(image, factor, 3);
    for (size_t i = 0; i < heat.size(); ++i) {
        const Colour colour = colour_of(heat[i]);
        const float opacity = strongest * heat[i];
        for (size_t c = 0; c < 3; ++c) {
            const float under = 255 * planes[std::min(c, planes.size() - 1)][i];
            out.samples.push_back(byte_of(under + opacity * (colour[c] - under)));
        }
    }
    return encode_png(out);
}

}  // namespace xbench
