// JPEG 2000 through OpenJPEG: one tile-decoded image, every component at full resolution, whole or refused.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/core.h>
#include <openjpeg.h>

#include "core/error.h"
#include "data/import/dicom/pixel_data.h"

namespace xbench::dicom {
namespace {

struct Source {
    std::span<const uint8_t> bytes;
    size_t at = 0;
};

OPJ_SIZE_T on_read(void* target, OPJ_SIZE_T wanted, void* user) {
    auto& source = *static_cast<Source*>(user);
    const size_t count = std::min<size_t>(wanted, source.bytes.size() - source.at);
    if (count == 0) return static_cast<OPJ_SIZE_T>(-1);
    std::memcpy(target, source.bytes.data() + source.at, count);
    source.at += count;
    return count;
}
OPJ_OFF_T on_skip(OPJ_OFF_T wanted, void* user) {
    auto& source = *static_cast<Source*>(user);
    if (wanted < 0) return -1;
    const auto count = std::min<size_t>(static_cast<size_t>(wanted), source.bytes.size() - source.at);
    source.at += count;
    return static_cast<OPJ_OFF_T>(count);
}
OPJ_BOOL on_seek(OPJ_OFF_T place, void* user) {
    auto& source = *static_cast<Source*>(user);
    if (place < 0 || static_cast<size_t>(place) > source.bytes.size()) return OPJ_FALSE;
    source.at = static_cast<size_t>(place);
    return OPJ_TRUE;
}

struct CodecEnd {
    void operator()(opj_codec_t* codec) const { opj_destroy_codec(codec); }
};
struct StreamEnd {
    void operator()(opj_stream_t* stream) const { opj_stream_destroy(stream); }
};
struct ImageEnd {
    void operator()(opj_image_t* image) const { opj_image_destroy(image); }
};

void check_header(const opj_image_t& image, const Frame& frame) {
    const auto width = static_cast<int64_t>(image.x1) - image.x0, height = static_cast<int64_t>(image.y1) - image.y0;
    if (width != frame.columns || height != frame.rows || std::cmp_not_equal(image.numcomps, frame.samples)) {
        throw Error(fmt::format("the file declares {}x{} pixels of {} samples, its JPEG 2000 stream {}x{} of {}",
                                frame.columns, frame.rows, frame.samples, width, height, image.numcomps));
    }
    for (OPJ_UINT32 c = 0; c < image.numcomps; ++c) {
        const opj_image_comp_t& component = image.comps[c];
        if (component.dx != 1 || component.dy != 1) throw Error("JPEG 2000 with subsampled components is not supported");
        if (component.prec > static_cast<OPJ_UINT32>(frame.bits_allocated))
            throw Error(fmt::format("a JPEG 2000 stream of {} bits in {} allocated", component.prec, frame.bits_allocated));
    }
}

// A sample as a word of the frame. Where the stream has fewer bits than the file says and does not know the sign that the
// file gives it, its own highest bit is the sign.
uint32_t word_of(OPJ_INT32 value, const opj_image_comp_t& component, const Frame& frame) {
    const auto bits = static_cast<uint32_t>(value);
    const bool widen = frame.is_signed && component.sgnd == 0 && std::cmp_less(component.prec, frame.bits_stored);
    const bool negative = widen && (bits >> (component.prec - 1) & 1) != 0;
    return negative ? bits | ~uint32_t{0} << component.prec : bits;
}

void copy_samples(const opj_image_t& image, Frame& frame) {
    const auto pixels = static_cast<size_t>(frame.rows * frame.columns), samples = static_cast<size_t>(frame.samples);
    const size_t bytes = static_cast<size_t>(frame.bits_allocated) / 8;
    const int shift = frame.high_bit - frame.bits_stored + 1;
    frame.bytes.resize(pixels * samples * bytes);
    for (size_t c = 0; c < samples; ++c) {
        const opj_image_comp_t& component = image.comps[c];
        if (component.data == nullptr || size_t{component.w} * component.h != pixels)
            throw Error("broken DICOM: a component of its JPEG 2000 stream is missing");
        for (size_t i = 0; i < pixels; ++i) {
            const uint32_t word = word_of(component.data[i], component, frame) << shift;
            std::memcpy(frame.bytes.data() + (i * samples + c) * bytes, &word, bytes);  // little-endian
        }
    }
}

}  // namespace

void decode_jpeg2000(std::span<const uint8_t> stream, Frame& frame) {
    constexpr uint8_t jp2_mark[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
    const bool boxed = stream.size() > sizeof jp2_mark && std::memcmp(stream.data(), jp2_mark, sizeof jp2_mark) == 0;
    const std::unique_ptr<opj_codec_t, CodecEnd> codec(opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K));
    const std::unique_ptr<opj_stream_t, StreamEnd> source(opj_stream_default_create(OPJ_TRUE));
    if (!codec || !source) throw Error("OpenJPEG cannot start");
    Source bytes{stream};
    opj_stream_set_user_data(source.get(), &bytes, nullptr);
    opj_stream_set_user_data_length(source.get(), stream.size());
    opj_stream_set_read_function(source.get(), on_read);
    opj_stream_set_skip_function(source.get(), on_skip);
    opj_stream_set_seek_function(source.get(), on_seek);
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    opj_image_t* made = nullptr;
    const bool started = opj_setup_decoder(codec.get(), &parameters) != 0 &&
                         opj_decoder_set_strict_mode(codec.get(), OPJ_TRUE) != 0 &&
                         opj_read_header(source.get(), codec.get(), &made) != 0;
    const std::unique_ptr<opj_image_t, ImageEnd> image(made);
    if (!started || !image) throw Error("broken DICOM: its JPEG 2000 stream has no readable header");
    check_header(*image, frame);
    if (opj_decode(codec.get(), source.get(), image.get()) == 0)
        throw Error("broken DICOM: its JPEG 2000 stream is damaged or cut off");
    copy_samples(*image, frame);
    if (frame.photometric == "YBR_ICT" || frame.photometric == "YBR_RCT") frame.photometric = "RGB";  // undone by OpenJPEG
}

}  // namespace xbench::dicom
