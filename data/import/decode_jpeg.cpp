// JPEG through TurboJPEG: baseline and progressive, gray, YCbCr, RGB and (inverted, as Adobe writes it) CMYK.
//
// Gray of a color file is its Y channel as stored, which is ITU-R 601 luma without the detour through RGB (Pillow's
// draft("L")). Any warning of the decoder stops it: a truncated file is not half an image, and with the limit on scans
// this bounds the time that a hostile file can take.
#include <algorithm>
#include <memory>
#include <string>

#include <turbojpeg.h>

#include "core/error.h"
#include "data/import/decoders.h"

namespace xbench {
namespace {

// A block of 64 samples takes about a bit at the very least, so 512 pixels a byte; 4 times that leaves room for
// arithmetic coding and subsampled color.
constexpr int64_t most_pixels_per_byte = 2048;

struct Destroy {
    void operator()(void* decoder) const { tjDestroy(decoder); }
};

// Each thread keeps a decoder between files, but none that has failed: its state is not to be trusted.
class ThreadDecoder {
public:
    tjhandle get() {
        if (!handle_) handle_.reset(tjInitDecompress());
        if (!handle_) throw Error("TurboJPEG cannot start");
        return handle_.get();
    }
    [[noreturn]] void fail() {
        const std::string reason = tjGetErrorStr2(handle_.get());
        handle_.reset();
        throw Error("broken JPEG: " + reason);
    }

private:
    std::unique_ptr<void, Destroy> handle_;
};

void decompress(ThreadDecoder& decoder, std::span<const uint8_t> bytes, int width, int height, int format,
                uint8_t* samples) {
    constexpr int flags = TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING | TJFLAG_ACCURATEDCT;
    if (tjDecompress2(decoder.get(), bytes.data(), bytes.size(), samples, width, 0, height, format, flags) != 0)
        decoder.fail();
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
    thread_local ThreadDecoder decoder;
    int width = 0, height = 0, subsampling = 0, colors = 0;
    if (tjDecompressHeader3(decoder.get(), bytes.data(), bytes.size(), &width, &height, &subsampling, &colors) != 0)
        decoder.fail();
    check_image_size(width, height, bytes.size(), most_pixels_per_byte);
    Image image{width, height, channels, 1, {}};
    const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
    image.samples.resize(pixels * static_cast<size_t>(channels));
    if (colors == TJCS_CMYK || colors == TJCS_YCCK) {
        std::vector<uint8_t> cmyk(pixels * 4);
        decompress(decoder, bytes, width, height, TJPF_CMYK, cmyk.data());
        from_cmyk(cmyk, image);
    } else {
        decompress(decoder, bytes, width, height, channels == 1 ? TJPF_GRAY : TJPF_RGB, image.samples.data());
    }
    return image;
}

}  // namespace xbench
