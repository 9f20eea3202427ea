// JPEG through libjpeg: baseline and progressive, gray, YCbCr, RGB and (inverted, as Adobe writes it) CMYK.
//
// Gray of a color file is its Y channel as stored, which is ITU-R 601 luma without the detour through RGB (Pillow's
// draft("L")). libjpeg tells missing and damaged data by warnings, and goes on with pixels of its own making: these end the
// decoding, which with the limit on scans also bounds the time that a hostile file can take. Its other warnings (junk
// between segments, padding before the end, odd scan parameters) concern no pixel; Pillow and torchvision read such files,
// and so does this.
//
// Errors leave by longjmp. The functions that call setjmp own nothing with a destructor: memory lives outside of them.
#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string>

#include <jpeglib.h>

#include <jerror.h>

#include "core/error.h"
#include "data/import/decoders.h"

namespace xbench {
namespace {

// A block of 64 samples takes about a bit at the very least, so 512 pixels a byte; 4 times that leaves room for
// arithmetic coding and subsampled color.
constexpr int64_t most_pixels_per_byte = 2048;
constexpr int most_scans = 500;
constexpr int exif_marker = JPEG_APP0 + 1;
constexpr size_t exif_head = 6;  // "Exif\0\0"

// libjpeg made up pixels in place of what the file should have held.
bool means_lost_pixels(int message) {
    return message == JWRN_JPEG_EOF || message == JWRN_HIT_MARKER || message == JWRN_HUFF_BAD_CODE ||
           message == JWRN_MUST_RESYNC || message == JWRN_ARITH_BAD_CODE || message == JWRN_BOGUS_PROGRESSION;
}

struct Decoder {
    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    jpeg_progress_mgr progress{};
    std::jmp_buf jump;
    char message[JMSG_LENGTH_MAX] = {};
    int warnings = 0;

    Decoder() {
        info.err = jpeg_std_error(&errors);
        info.client_data = this;
        errors.error_exit = on_error;
        errors.emit_message = on_message;
        progress.progress_monitor = on_progress;
    }
    ~Decoder() { jpeg_destroy_decompress(&info); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    static Decoder& of(j_common_ptr common) { return *static_cast<Decoder*>(common->client_data); }
    [[noreturn]] static void on_error(j_common_ptr common) {
        common->err->format_message(common, of(common).message);
        std::longjmp(of(common).jump, 1);
    }
    static void on_message(j_common_ptr common, int level) {
        if (level >= 0) return;  // traces
        if (means_lost_pixels(common->err->msg_code)) on_error(common);
        ++of(common).warnings;
    }
    static void on_progress(j_common_ptr common) {
        if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number <= most_scans) return;
        std::snprintf(of(common).message, sizeof of(common).message, "more than %d scans", most_scans);
        std::longjmp(of(common).jump, 1);
    }
};

bool read_header(Decoder& decoder, std::span<const uint8_t> bytes) {
    if (setjmp(decoder.jump)) return false;
    jpeg_create_decompress(&decoder.info);
    decoder.info.progress = &decoder.progress;
    jpeg_mem_src(&decoder.info, bytes.data(), bytes.size());
    jpeg_save_markers(&decoder.info, exif_marker, 0xFFFF);
    jpeg_read_header(&decoder.info, TRUE);
    return true;
}

// Rows of `stride` bytes.
bool read_rows(Decoder& decoder, J_COLOR_SPACE colors, uint8_t* samples, size_t stride) {
    if (setjmp(decoder.jump)) return false;
    decoder.info.out_color_space = colors;
    decoder.info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&decoder.info);
    while (decoder.info.output_scanline < decoder.info.output_height) {
        JSAMPROW row = samples + stride * decoder.info.output_scanline;
        jpeg_read_scanlines(&decoder.info, &row, 1);
    }
    jpeg_finish_decompress(&decoder.info);
    return true;
}

int orientation_of(const Decoder& decoder) {
    for (jpeg_saved_marker_ptr marker = decoder.info.marker_list; marker != nullptr; marker = marker->next) {
        const std::string_view head(reinterpret_cast<const char*>(marker->data),
                                    std::min<size_t>(marker->data_length, exif_head));
        if (marker->marker == exif_marker && head == std::string_view("Exif\0\0", exif_head))
            return exif_orientation({marker->data + exif_head, marker->data_length - exif_head});
    }
    return 1;
}

// Adobe's CMYK is inverted: 255 is no ink.
void from_cmyk(const std::vector<uint8_t>& cmyk, Image& image) {
    const auto mix = [](uint32_t ink, uint32_t black) { return static_cast<uint8_t>((ink * black + 127) / 255); };
    auto out = image.samples.begin();
    for (size_t at = 0; at < cmyk.size(); at += 4) {
        const uint8_t black = cmyk[at + 3];
        const uint8_t red = mix(cmyk[at], black), green = mix(cmyk[at + 1], black), blue = mix(cmyk[at + 2], black);
        if (image.channels == 1) {
            *out++ = static_cast<uint8_t>(luma(red, green, blue));
        } else {
            *out++ = red;
            *out++ = green;
            *out++ = blue;
        }
    }
}

}  // namespace

Image decode_jpeg(std::span<const uint8_t> bytes, int channels) {
    Decoder decoder;
    const auto check = [&](bool done) {
        if (!done) throw Error(std::string("broken JPEG: ") + decoder.message);
    };
    check(read_header(decoder, bytes));
    const int64_t width = decoder.info.image_width, height = decoder.info.image_height;
    check_image_size(width, height, bytes.size(), most_pixels_per_byte);
    Image image{width, height, channels, 1, {}, 0, orientation_of(decoder)};
    const auto row = static_cast<size_t>(width), pixels = row * static_cast<size_t>(height);
    const auto samples = static_cast<size_t>(channels);
    image.samples.resize(pixels * samples);
    if (decoder.info.jpeg_color_space == JCS_CMYK || decoder.info.jpeg_color_space == JCS_YCCK) {
        std::vector<uint8_t> cmyk(pixels * 4);
        check(read_rows(decoder, JCS_CMYK, cmyk.data(), row * 4));
        from_cmyk(cmyk, image);
    } else {
        check(read_rows(decoder, channels == 1 ? JCS_GRAYSCALE : JCS_RGB, image.samples.data(), row * samples));
    }
    image.warnings = decoder.warnings;
    return image;
}

}  // namespace xbench
