// Image files to pixels. What a file is, is told by its first bytes, never by its name.
//
// Files are not trusted: sizes are read from the header and checked before anything is allocated, decoding time is
// bounded, and data of which a part is missing or damaged is an error, not a partly gray image. What a decoder remarks on
// but reads in full (junk between the segments of a JPEG) is counted in Image::warnings.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace xbench {

// Interleaved samples, rows from the top; 16-bit samples in the machine's byte order.
struct Image {
    int64_t width = 0, height = 0;
    int channels = 0;          // 1 gray, 3 RGB
    int bytes_per_sample = 1;  // 1 or 2
    std::vector<uint8_t> samples;
    int warnings = 0;          // of the decoder, about a file whose pixels are all there
    int exif_orientation = 1;  // as the file claims; the pixels stay as they are stored
    int64_t frames = 1;        // that the file holds; this is one of them
    // Of DICOM: which window, function and polarity made the pixels; the PatientID, which goes nowhere but into a keyed
    // hash; whether the file says that text is burned into the pixels.
    std::string rendering = {}, patient = {};
    bool burned_in = false;
};

// A file that is no image by its kind (a report, a directory): not a failure. what() is the rule.
class LeftOutByRule : public Error {
public:
    using Error::Error;
};

inline constexpr int64_t max_image_side = 16384;
inline constexpr int64_t max_image_pixels = 100'000'000;

enum class ImageFormat { unknown, png, jpeg, gif, bmp, tiff, webp, dicom };

// A row of the table of formats. Those without a decoder are known by name only, for a better message.
struct ImageDecoder {
    ImageFormat format;
    const char* name;
    bool (*recognises)(std::string_view first_bytes);  // of at most 132 bytes
    Image (*decode)(std::span<const uint8_t> bytes, int channels, int64_t frame);
};
std::span<const ImageDecoder> image_decoders();
ImageFormat image_format(std::span<const uint8_t> bytes);
const char* name_of(ImageFormat format);

// Decodes to `channels` channels, 1 or 3. Gray of color is ITU-R 601 luma rounded as Pillow's "L"; color of gray is three
// equal channels. Palettes are looked up, 1, 2 and 4 bits are spread over 0..255, an alpha channel is dropped (as Pillow's
// convert does), gamma and color profiles are ignored. `frame` counts the images of a file that holds several. Throws Error
// saying what is wrong with the file, LeftOutByRule for what is no image by its kind.
Image decode_image(std::span<const uint8_t> bytes, int channels, int64_t frame = 0);

Image decode_png(std::span<const uint8_t> bytes, int channels);
Image decode_jpeg(std::span<const uint8_t> bytes, int channels);
// With the pixel pipeline of data/import/dicom/frame.h. Throws LeftOutByRule for objects without pixels.
Image decode_dicom(std::span<const uint8_t> bytes, int channels, int64_t frame);
bool reads_dicom();  // whether this build does
// Opens now what decoders would open later: for a process that may not open files then.
void prepare_decoders();

// The bytes of a PNG file, of 8-bit gray or RGB.
std::vector<uint8_t> encode_png(const Image& image);

// The orientation (1 to 8) in the TIFF block of EXIF data, which starts with "II" or "MM"; 1 where there is none.
int exif_orientation(std::span<const uint8_t> tiff);

// Throws Error when an image of this size is not to be decoded, or when `file_bytes` cannot hold it: each pixel needs at
// least a `most_pixels_per_byte`-th of a byte in the format.
void check_image_size(int64_t width, int64_t height, size_t file_bytes, int64_t most_pixels_per_byte);

// Pillow's rounding of ITU-R 601 luma, for 8 and 16 bits alike.
constexpr uint32_t luma(uint32_t red, uint32_t green, uint32_t blue) {
    return static_cast<uint32_t>((uint64_t{red} * 19595 + uint64_t{green} * 38470 + uint64_t{blue} * 7471 + 0x8000) >> 16);
}

}  // namespace xbench
