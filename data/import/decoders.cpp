// Which decoder a file needs, and what all decoders share.
#include "data/import/decoders.h"

#include <algorithm>
#include <string_view>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {
namespace {

constexpr size_t most_first_bytes = 132;  // DICOM's mark stands behind 128

bool is_png(std::string_view text) { return text.starts_with("\x89PNG\r\n\x1a\n"); }
bool is_jpeg(std::string_view text) { return text.starts_with("\xff\xd8\xff"); }
bool is_gif(std::string_view text) { return text.starts_with("GIF8"); }
bool is_bmp(std::string_view text) { return text.starts_with("BM"); }
bool is_tiff(std::string_view text) {
    return text.starts_with(std::string_view("II*\0", 4)) || text.starts_with(std::string_view("MM\0*", 4));
}
bool is_webp(std::string_view text) { return text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP"; }
bool is_dicom(std::string_view text) { return text.size() == most_first_bytes && text.substr(128) == "DICM"; }

// A file that begins with its data set, without DICOM's preamble: an element of group 0002 or 0008, with a type in capital
// letters or a short length, in either byte order.
bool is_bare_dicom(std::string_view text) {
    if (text.size() < 12) return false;
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const bool little = byte(1) == 0;
    const int group = little ? byte(0) : byte(0) << 8 | byte(1), element = little ? byte(3) : byte(2);
    if ((group != 2 && group != 8) || element > 1) return false;
    const auto capital = [&](size_t i) { return text[i] >= 'A' && text[i] <= 'Z'; };
    const bool implicit = byte(5) == 0 && byte(6) == 0 && byte(7) == 0 && byte(4) <= 64 && byte(4) % 2 == 0;
    return (capital(4) && capital(5)) || (little && implicit);
}

template <Image (*decode)(std::span<const uint8_t>, int)>
Image decode_only_one(std::span<const uint8_t> bytes, int channels, int64_t frame) {
    if (frame != 0) throw Error(fmt::format("holds one image; number {} was asked for", frame));
    return decode(bytes, channels);
}

constexpr ImageDecoder decoders[] = {
    // Before TIFF, whose head the preamble of a DICOM file may hold.
    {ImageFormat::dicom, "DICOM", is_dicom, decode_dicom},
    {ImageFormat::png, "PNG", is_png, decode_only_one<decode_png>},
    {ImageFormat::jpeg, "JPEG", is_jpeg, decode_only_one<decode_jpeg>},
    {ImageFormat::gif, "GIF", is_gif, nullptr},
    {ImageFormat::bmp, "BMP", is_bmp, nullptr},
    {ImageFormat::tiff, "TIFF", is_tiff, nullptr},
    {ImageFormat::webp, "WebP", is_webp, nullptr},
    {ImageFormat::dicom, "DICOM", is_bare_dicom, decode_dicom},
};

const ImageDecoder* find_decoder(std::span<const uint8_t> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), most_first_bytes));
    const auto found = std::find_if(std::begin(decoders), std::end(decoders),
                                    [&](const ImageDecoder& row) { return row.recognises(text); });
    return found == std::end(decoders) ? nullptr : found;
}

}  // namespace

std::span<const ImageDecoder> image_decoders() { return decoders; }

ImageFormat image_format(std::span<const uint8_t> bytes) {
    const ImageDecoder* found = find_decoder(bytes);
    return found == nullptr ? ImageFormat::unknown : found->format;
}

const char* name_of(ImageFormat format) {
    for (const ImageDecoder& row : decoders) {
        if (row.format == format) return row.name;
    }
    return "unknown";
}

void check_image_size(int64_t width, int64_t height, size_t file_bytes, int64_t most_pixels_per_byte) {
    if (width < 1 || height < 1) throw Error(fmt::format("the header claims {}x{} pixels", width, height));
    if (width > max_image_side || height > max_image_side || width * height > max_image_pixels) {
        throw Error(fmt::format("the header claims {}x{} pixels; the limits are {} a side and {} in all", width, height,
                                max_image_side, max_image_pixels));
    }
    if (width * height / most_pixels_per_byte > static_cast<int64_t>(file_bytes)) {
        throw Error(fmt::format("the header claims {}x{} pixels, more than {} bytes can hold", width, height, file_bytes));
    }
}

Image decode_image(std::span<const uint8_t> bytes, int channels, int64_t frame) {
    if (channels != 1 && channels != 3) throw UsageError(fmt::format("{} channels", channels), "--channels", "use 1 or 3");
    if (bytes.empty()) throw Error("the file is empty");
    const ImageDecoder* decoder = find_decoder(bytes);
    if (decoder == nullptr) throw Error("neither PNG nor JPEG nor DICOM, and no other format that is known");
    if (decoder->decode == nullptr) throw Error(fmt::format("{} is not supported; PNG, JPEG and DICOM are", decoder->name));
    return decoder->decode(bytes, channels, frame);
}

int exif_orientation(std::span<const uint8_t> tiff) {
    if (tiff.size() < 8 || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
    const bool little = tiff[0] == 'I';
    const auto number = [&](size_t at, size_t bytes) {  // 0 past the end
        uint32_t value = 0;
        for (size_t i = 0; i < bytes && at + bytes <= tiff.size(); ++i)
            value |= uint32_t{tiff[at + (little ? i : bytes - 1 - i)]} << (8 * i);
        return value;
    };
    constexpr uint32_t orientation_tag = 0x0112, entry_bytes = 12;
    const size_t directory = number(4, 4);
    const uint32_t entries = number(directory, 2);
    for (uint32_t i = 0; i < entries; ++i) {
        const size_t entry = directory + 2 + size_t{i} * entry_bytes;
        if (entry + entry_bytes > tiff.size()) break;
        if (number(entry, 2) != orientation_tag) continue;
        const uint32_t value = number(entry + 8, 2);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

}  // namespace xbench
