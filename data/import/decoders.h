// PNG and JPEG files to pixels. What a file is, is told by its first bytes, never by its name.
//
// Files are not trusted: sizes are read from the header and checked before anything is allocated, decoding time is
// bounded, and data that a decoder complains about (truncated, corrupt) is an error, not a partly gray image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xbench {

// Interleaved samples, rows from the top; 16-bit samples in the machine's byte order.
struct Image {
    int64_t width = 0, height = 0;
    int channels = 0;          // 1 gray, 3 RGB
    int bytes_per_sample = 1;  // 1 or 2
    std::vector<uint8_t> samples;
};

inline constexpr int64_t max_image_side = 16384;
inline constexpr int64_t max_image_pixels = 100'000'000;

enum class ImageFormat { unknown, png, jpeg, gif, bmp, tiff, webp, dicom };
ImageFormat image_format(std::span<const uint8_t> bytes);
const char* name_of(ImageFormat format);

// Decodes to `channels` channels, 1 or 3. Gray of color is ITU-R 601 luma rounded as Pillow's "L"; color of gray is three
// equal channels. Palettes are looked up, 1, 2 and 4 bits are spread over 0..255, an alpha channel is dropped (as Pillow's
// convert does), gamma and color profiles are ignored. Throws Error saying what is wrong with the file.
Image decode_image(std::span<const uint8_t> bytes, int channels);

Image decode_png(std::span<const uint8_t> bytes, int channels);
Image decode_jpeg(std::span<const uint8_t> bytes, int channels);

// Throws Error when an image of this size is not to be decoded, or when `file_bytes` cannot hold it: each pixel needs at
// least a `most_pixels_per_byte`-th of a byte in the format.
void check_image_size(int64_t width, int64_t height, size_t file_bytes, int64_t most_pixels_per_byte);

// Pillow's rounding of ITU-R 601 luma, for 8 and 16 bits alike.
constexpr uint32_t luma(uint32_t red, uint32_t green, uint32_t blue) {
    return static_cast<uint32_t>((uint64_t{red} * 19595 + uint64_t{green} * 38470 + uint64_t{blue} * 7471 + 0x8000) >> 16);
}

}  // namespace xbench
