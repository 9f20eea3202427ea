// Native pixel data is cut by us; JPEG, JPEG-LS and RLE go through DCMTK's decoders, frame by frame; JPEG 2000 through
// OpenJPEG. Before anything is decoded the size in the stream's own header must be the one that the file declares.
#include "data/import/dicom/pixel_data.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include <fmt/core.h>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dccodec.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dcxfer.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/oflog.h>

#include "core/error.h"

namespace xbench::dicom {
namespace {

bool is_jpeg2000(E_TransferSyntax syntax) { return syntax == EXS_JPEG2000 || syntax == EXS_JPEG2000LosslessOnly; }
bool is_jpeg_ls(E_TransferSyntax syntax) { return syntax == EXS_JPEGLSLossless || syntax == EXS_JPEGLSLossy; }
bool is_jpeg(E_TransferSyntax syntax) {
    return syntax == EXS_JPEGProcess1 || syntax == EXS_JPEGProcess2_4 || syntax == EXS_JPEGProcess14 ||
           syntax == EXS_JPEGProcess14SV1;
}

size_t frame_bits(const Frame& frame) {
    const int64_t samples = frame.half_chroma ? 2 : frame.samples;
    return static_cast<size_t>(frame.rows * frame.columns * samples * frame.bits_allocated);
}

// BigEndian files swap the halves of words that DCMTK takes for pairs of 16 bits.
void join_halves(std::vector<uint8_t>& bytes) {
    for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
        std::swap(bytes[i], bytes[i + 2]);
        std::swap(bytes[i + 1], bytes[i + 3]);
    }
}

void read_native(DcmElement& element, E_TransferSyntax syntax, int64_t index, Frame& frame) {
    frame.half_chroma = frame.photometric == "YBR_FULL_422";
    const size_t bits = frame_bits(frame), first = static_cast<size_t>(index) * bits;
    if (first % 8 != 0) throw Error("a frame of 1-bit pixels that does not begin with a byte");
    Uint8* data = nullptr;
    const size_t length = element.getLengthField();
    if (element.getUint8Array(data).bad() || data == nullptr) throw Error("broken DICOM: its pixels cannot be read");
    if (first / 8 + (bits + 7) / 8 > length) {
        throw Error(fmt::format("frame {} of {}x{} pixels ends at byte {}; the file holds {}", index, frame.columns,
                                frame.rows, first / 8 + (bits + 7) / 8, length));
    }
    frame.bytes.assign(data + first / 8, data + first / 8 + (bits + 7) / 8);
    const bool big = DcmXfer(syntax).getByteOrder() == EBO_BigEndian;
    if (big && frame.bits_allocated == 32 && element.getVR() == EVR_OW) join_halves(frame.bytes);
}

// The fragments of one frame, one after the other.
std::vector<uint8_t> stream_of(DcmPixelSequence& sequence, int64_t index, int64_t frames) {
    const auto start_of = [&](int64_t frame) -> std::optional<Uint32> {
        Uint32 item = 0;
        const OFCondition found =
            DcmCodec::determineStartFragment(static_cast<Uint32>(frame), static_cast<Sint32>(frames), &sequence, item);
        return found.good() ? std::optional(item) : std::nullopt;
    };
    const auto first = start_of(index);
    const auto end = index + 1 < frames ? start_of(index + 1) : std::optional(static_cast<Uint32>(sequence.card()));
    if (!first || !end || *first >= *end) throw Error(fmt::format("broken DICOM: no data for frame {}", index));
    std::vector<uint8_t> stream;
    for (Uint32 i = *first; i < *end; ++i) {
        DcmPixelItem* item = nullptr;
        Uint8* data = nullptr;
        if (sequence.getItem(item, i).bad() || item->getUint8Array(data).bad() || data == nullptr)
            throw Error(fmt::format("broken DICOM: fragment {} cannot be read", i));
        stream.insert(stream.end(), data, data + item->getLengthField());
    }
    return stream;
}

// Height, width and components in the start-of-frame segment of JPEG or JPEG-LS.
void check_jpeg_header(const std::vector<uint8_t>& stream, const Frame& frame) {
    for (size_t at = 2; at + 10 <= stream.size() && stream[at] == 0xFF;) {
        const uint8_t marker = stream[at + 1];
        if (marker == 0xFF) {
            ++at;
            continue;
        }
        const auto word = [&](size_t i) { return static_cast<int64_t>(stream[at + i]) << 8 | stream[at + i + 1]; };
        const bool is_frame =
            (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) || marker == 0xF7;
        if (!is_frame) {
            at += 2 + static_cast<size_t>(word(2));
            continue;
        }
        if (word(5) == frame.rows && word(7) == frame.columns && stream[at + 9] == frame.samples) return;
        throw Error(fmt::format("the file declares {}x{} pixels of {} samples, its JPEG stream {}x{} of {}", frame.columns,
                                frame.rows, frame.samples, word(7), word(5), stream[at + 9]));
    }
    throw Error("broken DICOM: its JPEG stream has no readable header");
}

void decode_by_dcmtk(DcmPixelData& element, DcmDataset& dataset, int64_t index, Frame& frame) {
    const size_t bytes = (frame_bits(frame) + 7) / 8;
    frame.bytes.assign(bytes + bytes % 2, 0);
    Uint32 fragment = 0;
    OFString colors;
    if (element
            .getUncompressedFrame(&dataset, static_cast<Uint32>(index), fragment, frame.bytes.data(),
                                  static_cast<Uint32>(frame.bytes.size()), colors)
            .bad())
        throw Error("broken DICOM: its compressed pixels cannot be decoded");
    if (frame.samples == 3 && !colors.empty()) frame.photometric = colors.c_str();
}

void read_compressed(DcmPixelData& element, DcmDataset& dataset, const Coding& coding, E_TransferSyntax syntax,
                     int64_t index, int64_t frames, Frame& frame) {
    const bool rle = syntax == EXS_RLELossless;
    if (!rle && !is_jpeg(syntax) && !is_jpeg_ls(syntax) && !is_jpeg2000(syntax)) {
        throw Error(
            fmt::format("the coding {} ({}) is not supported; JPEG (baseline, 12 bits, lossless), JPEG-LS, JPEG 2000, "
                        "RLE and uncompressed files are",
                        coding.name, coding.uid));
    }
    DcmPixelSequence* sequence = nullptr;
    if (element.getEncapsulatedRepresentation(syntax, nullptr, sequence).bad() || sequence == nullptr)
        throw Error("broken DICOM: its compressed pixels cannot be read");
    frame.by_plane = rle && frame.by_plane;
    if (rle) return decode_by_dcmtk(element, dataset, index, frame);
    const std::vector<uint8_t> stream = stream_of(*sequence, index, frames);
    if (is_jpeg2000(syntax)) return decode_jpeg2000(stream, frame);
    check_jpeg_header(stream, frame);
    decode_by_dcmtk(element, dataset, index, frame);
}

}  // namespace

void start_library() {
    static std::once_flag once;
    std::call_once(once, [] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        DJDecoderRegistration::registerCodecs(EDC_guessLossyOnly, EUC_never, EPC_colorByPixel);
        DJLSDecoderRegistration::registerCodecs(EJLSUC_never, EJLSPC_colorByPixel);
        DcmRLEDecoderRegistration::registerCodecs();
    });
    if (!dcmDataDict.isDictionaryLoaded())
        throw Error("DCMTK finds no data dictionary", "dicom", "install libdcmtk17, or name dicom.dic in DCMDICTPATH");
}

void read_pixels(DcmDataset& dataset, const Coding& coding, int64_t index, int64_t frames, Frame& frame) {
    DcmElement* element = nullptr;
    if (dataset.findAndGetElement(DCM_PixelData, element).bad() || element == nullptr)
        throw Error("the file has no pixel data");
    const E_TransferSyntax syntax = dataset.getOriginalXfer();
    if (!DcmXfer(syntax).isEncapsulated()) return read_native(*element, syntax, index, frame);
    auto* pixels = dynamic_cast<DcmPixelData*>(element);
    if (pixels == nullptr) throw Error("broken DICOM: its pixels cannot be read");
    read_compressed(*pixels, dataset, coding, syntax, index, frames, frame);
}

}  // namespace xbench::dicom
