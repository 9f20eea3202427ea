// Which decoder a file needs, and what all decoders share.
#include "data/import/decoders.h"

#include <algorithm>
#include <string_view>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {

ImageFormat image_format(std::span<const uint8_t> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 132));
    if (text.starts_with("\x89PNG\r\n\x1a\n")) return ImageFormat::png;
    if (text.starts_with("\xff\xd8\xff")) return ImageFormat::jpeg;
    if (text.starts_with("GIF8")) return ImageFormat::gif;
    if (text.starts_with("BM")) return ImageFormat::bmp;
    if (text.starts_with(std::string_view("II*\0", 4)) || text.starts_with(std::string_view("MM\0*", 4)))
        return ImageFormat::tiff;
    if (text.starts_with("RIFF") && text.substr(8, 4) == "WEBP") return ImageFormat::webp;
    if (text.size() == 132 && text.substr(128) == "DICM") return ImageFormat::dicom;
    return ImageFormat::unknown;
}

const char* name_of(ImageFormat format) {
    switch (format) {
        case ImageFormat::png: return "PNG";
        case ImageFormat::jpeg: return "JPEG";
        case ImageFormat::gif: return "GIF";
        case ImageFormat::bmp: return "BMP";
        case ImageFormat::tiff: return "TIFF";
        case ImageFormat::webp: return "WebP";
        case ImageFormat::dicom: return "DICOM";
        case ImageFormat::unknown: break;
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

Image decode_image(std::span<const uint8_t> bytes, int channels) {
    if (channels != 1 && channels != 3) throw UsageError(fmt::format("{} channels", channels), "--channels", "use 1 or 3");
    if (bytes.empty()) throw Error("the file is empty");
    const ImageFormat format = image_format(bytes);
    if (format == ImageFormat::png) return decode_png(bytes, channels);
    if (format == ImageFormat::jpeg) return decode_jpeg(bytes, channels);
    if (format == ImageFormat::unknown) throw Error("neither PNG nor JPEG, and no other format that is known");
    throw Error(fmt::format("{} is not supported; PNG and JPEG are", name_of(format)));
}

}  // namespace xbench
