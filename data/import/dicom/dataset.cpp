// Parses a DICOM file with DCMTK and gathers what says how its pixels are to be shown. Files without preamble, meta header
// or transfer syntax are read by trying. DCMTK's own words and logs stay out of every message.
#include <charconv>
#include <cstring>
#include <optional>

#include <fmt/core.h>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcxfer.h>

#include "core/error.h"
#include "data/import/decoders.h"
#include "data/import/dicom/pixel_data.h"

namespace xbench {
namespace dicom {
namespace {

constexpr int64_t most_frames = 100'000;

std::string text_of(DcmItem& item, const DcmTagKey& tag, unsigned long place = 0) {
    OFString value;
    if (item.findAndGetOFString(tag, value, place).bad()) return {};
    std::string text(value.c_str());
    const auto blank = [](char letter) { return letter == ' ' || letter == '\0'; };
    while (!text.empty() && blank(text.back())) text.pop_back();
    while (!text.empty() && blank(text.front())) text.erase(0, 1);
    return text;
}

template <class Number>
std::optional<Number> number_of(DcmItem& item, const DcmTagKey& tag) {
    std::string text = text_of(item, tag);
    if (text.starts_with('+')) text.erase(0, 1);
    if (text.empty()) return std::nullopt;
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc{} && end == text.data() + text.size()) return value;
    throw Error(fmt::format("the attribute ({:04X},{:04X}) holds '{}', which is no number", tag.getGroup(), tag.getElement(),
                            text.substr(0, 40)));
}

int64_t required(DcmItem& item, const DcmTagKey& tag, const char* name) {
    const auto value = number_of<int64_t>(item, tag);
    if (!value) throw Error(fmt::format("the file does not say its {}", name));
    return *value;
}

// 16-bit words of an attribute that may be US, SS or OW.
std::vector<uint16_t> words_of(DcmItem& item, const DcmTagKey& tag) {
    DcmElement* element = nullptr;
    if (item.findAndGetElement(tag, element).bad() || element == nullptr) return {};
    const size_t count = element->getLengthField() / 2;
    const void* data = nullptr;
    Uint16* plain = nullptr;
    Sint16* with_sign = nullptr;
    Uint8* bytes = nullptr;
    if (element->getUint16Array(plain).good())
        data = plain;
    else if (element->getSint16Array(with_sign).good())
        data = with_sign;
    else if (element->getUint8Array(bytes).good())
        data = bytes;
    std::vector<uint16_t> words(data == nullptr ? 0 : count);
    if (!words.empty()) std::memcpy(words.data(), data, count * 2);
    return words;
}

bool has_sign(DcmItem& item, const DcmTagKey& tag) {
    DcmElement* element = nullptr;
    return item.findAndGetElement(tag, element).good() && element != nullptr && element->getVR() == EVR_SS;
}

DcmItem* first_item(DcmItem& of, const DcmTagKey& sequence, int64_t place = 0) {
    DcmItem* item = nullptr;
    return of.findAndGetSequenceItem(sequence, item, static_cast<signed long>(place)).good() ? item : nullptr;
}

// Where the attributes of a macro stand: in the data set, or, of enhanced files, with the frame or with all frames.
DcmItem& holder_of(DcmDataset& dataset, int64_t index, const DcmTagKey& macro) {
    for (DcmItem* group : {first_item(dataset, DCM_PerFrameFunctionalGroupsSequence, index),
                           first_item(dataset, DCM_SharedFunctionalGroupsSequence)}) {
        if (group == nullptr) continue;
        if (DcmItem* item = first_item(*group, macro); item != nullptr) return *item;
    }
    return dataset;
}

std::optional<LookupTable> table_in(DcmItem& holder, const DcmTagKey& sequence, bool signed_input) {
    DcmItem* item = first_item(holder, sequence);
    if (item == nullptr) return std::nullopt;
    const bool with_sign = signed_input || has_sign(*item, DCM_LUTDescriptor);
    return make_table(words_of(*item, DCM_LUTDescriptor), with_sign, words_of(*item, DCM_LUTData));
}

void read_palette(DcmDataset& dataset, Frame& frame) {
    const DcmTagKey descriptors[] = {DCM_RedPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableDescriptor,
                                     DCM_BluePaletteColorLookupTableDescriptor};
    const DcmTagKey tables[] = {DCM_RedPaletteColorLookupTableData, DCM_GreenPaletteColorLookupTableData,
                                DCM_BluePaletteColorLookupTableData};
    for (size_t s = 0; s < 3; ++s) {
        const auto data = words_of(dataset, tables[s]);
        if (data.empty()) throw Error("PALETTE COLOR without a palette that can be read (segmented ones are not supported)");
        frame.palette[s] = make_table(words_of(dataset, descriptors[s]), frame.is_signed, data);
    }
}

void read_window(DcmDataset& dataset, int64_t index, Frame& frame) {
    DcmItem& holder = holder_of(dataset, index, DCM_FrameVOILUTSequence);
    frame.voi = table_in(holder, DCM_VOILUTSequence, frame.is_signed && !frame.modality);
    const auto center = number_of<double>(holder, DCM_WindowCenter), width = number_of<double>(holder, DCM_WindowWidth);
    if (center && width) frame.window = {*center, *width, window_function(text_of(holder, DCM_VOILUTFunction))};
}

void read_modality(DcmDataset& dataset, int64_t index, Frame& frame) {
    frame.modality = table_in(dataset, DCM_ModalityLUTSequence, frame.is_signed);
    DcmItem& holder = holder_of(dataset, index, DCM_PixelValueTransformationSequence);
    frame.slope = number_of<double>(holder, DCM_RescaleSlope).value_or(1);
    frame.intercept = number_of<double>(holder, DCM_RescaleIntercept).value_or(0);
}

// The padding's values are stored ones: of the width and sign of the pixels, whatever VR they come in.
std::optional<int64_t> padding_of(DcmDataset& dataset, const DcmTagKey& tag, const Frame& frame) {
    const auto words = words_of(dataset, tag);
    if (words.empty() || frame.bits_stored > 16) return std::nullopt;
    const uint32_t bits = words[0] & ((uint32_t{1} << frame.bits_stored) - 1);
    const bool negative = frame.is_signed && (bits >> (frame.bits_stored - 1) & 1) != 0;
    return static_cast<int64_t>(bits) - (negative ? int64_t{1} << frame.bits_stored : 0);
}

Frame read_frame(DcmDataset& dataset, const Coding& coding, int64_t index, int64_t frames) {
    Frame frame;
    frame.rows = required(dataset, DCM_Rows, "number of rows");
    frame.columns = required(dataset, DCM_Columns, "number of columns");
    frame.samples = static_cast<int>(number_of<int64_t>(dataset, DCM_SamplesPerPixel).value_or(1));
    frame.bits_allocated = static_cast<int>(required(dataset, DCM_BitsAllocated, "bits allocated"));
    frame.bits_stored = static_cast<int>(number_of<int64_t>(dataset, DCM_BitsStored).value_or(frame.bits_allocated));
    frame.high_bit = static_cast<int>(number_of<int64_t>(dataset, DCM_HighBit).value_or(frame.bits_stored - 1));
    frame.is_signed = number_of<int64_t>(dataset, DCM_PixelRepresentation).value_or(0) == 1;
    frame.by_plane = number_of<int64_t>(dataset, DCM_PlanarConfiguration).value_or(0) == 1;
    frame.photometric = text_of(dataset, DCM_PhotometricInterpretation);
    if (frame.photometric.empty()) throw Error("the file does not say its photometric interpretation");
    check_header(frame);
    frame.inverse_shape = text_of(dataset, DCM_PresentationLUTShape) == "INVERSE";
    read_pixels(dataset, coding, index, frames, frame);
    frame.padding = padding_of(dataset, DCM_PixelPaddingValue, frame);
    frame.padding_limit = padding_of(dataset, DCM_PixelPaddingRangeLimit, frame);
    read_modality(dataset, index, frame);
    read_window(dataset, index, frame);
    if (frame.photometric == "PALETTE COLOR") read_palette(dataset, frame);
    return frame;
}

// Kinds of objects that are no images, by their SOP class.
const char* rule_for(const std::string& sop_class) {
    struct Row {
        const char *prefix, *rule;
    };
    constexpr Row rows[] = {{"1.2.840.10008.1.3.10", "a DICOMDIR"},
                            {"1.2.840.10008.5.1.4.1.1.88.", "a DICOM structured report"},
                            {"1.2.840.10008.5.1.4.1.1.481.", "a DICOM radiotherapy object without pixels"},
                            {"1.2.840.10008.5.1.4.1.1.11.", "a DICOM presentation state"},
                            {"1.2.840.10008.5.1.4.1.1.104.", "a document in DICOM"},
                            {"1.2.840.10008.5.1.4.1.1.66", "DICOM data without pixels"},
                            {"1.2.840.10008.5.1.4.1.1.9.", "a waveform in DICOM"},
                            {"1.2.840.10008.5.1.4.38.", "a DICOM hanging protocol"}};
    for (const Row& row : rows) {
        if (sop_class.starts_with(row.prefix)) return row.rule;
    }
    return nullptr;
}

void leave_out_what_is_no_image(DcmFileFormat& file) {
    DcmDataset& dataset = *file.getDataset();
    if (dataset.tagExists(DCM_PixelData)) return;
    std::string sop_class = text_of(dataset, DCM_SOPClassUID);
    if (sop_class.empty()) sop_class = text_of(*file.getMetaInfo(), DCM_MediaStorageSOPClassUID);
    if (const char* rule = rule_for(sop_class); rule != nullptr) throw LeftOutByRule(rule);
    if (dataset.tagExists(DCM_DirectoryRecordSequence)) throw LeftOutByRule("a DICOMDIR");
}

Coding coding_of(DcmFileFormat& file) {
    const std::string uid = text_of(*file.getMetaInfo(), DCM_TransferSyntaxUID);
    const DcmXfer known(uid.empty() ? file.getDataset()->getOriginalXfer() : DcmXfer(uid.c_str()).getXfer());
    Coding coding{uid.empty() ? known.getXferID() : uid, known.getXferName()};
    if (uid.starts_with("1.2.840.10008.1.2.4.20")) coding.name = "High-Throughput JPEG 2000";
    if (known.getXfer() == EXS_Unknown)
        throw Error(fmt::format("the coding {} is not supported",
                                coding.name.starts_with("High") ? coding.name + " (" + uid + ")" : uid));
    return coding;
}

void parse(std::span<const uint8_t> bytes, DcmFileFormat& file) {
    DcmInputBufferStream stream;
    stream.setBuffer(bytes.data(), static_cast<offile_off_t>(bytes.size()));
    stream.setEos();
    file.transferInit();
    const OFCondition done = file.read(stream);
    file.transferEnd();
    leave_out_what_is_no_image(file);
    if (done.good()) return;
    const bool cut = done == EC_StreamNotifyClient || done == EC_EndOfStream || done == EC_InvalidStream;
    throw Error(cut ? "broken DICOM: the file ends inside of an element"
                    : "broken DICOM: an element has a wrong tag, type or length");
}

}  // namespace
}  // namespace dicom

bool reads_dicom() { return true; }

void prepare_decoders() {
    try {
        dicom::start_library();
    } catch (const Error&) {  // said again with the first DICOM file
    }
}

Image decode_dicom(std::span<const uint8_t> bytes, int channels, int64_t frame) {
    dicom::start_library();
    DcmFileFormat file;
    dicom::parse(bytes, file);
    const dicom::Coding coding = dicom::coding_of(file);
    DcmDataset& dataset = *file.getDataset();
    if (!dataset.tagExists(DCM_PixelData)) throw Error("the file has no pixel data");
    const int64_t frames = dicom::number_of<int64_t>(dataset, DCM_NumberOfFrames).value_or(1);
    if (frames < 1 || frames > dicom::most_frames) throw Error(fmt::format("the file claims {} frames", frames));
    if (frame >= frames) throw Error(fmt::format("holds {} frames; number {} was asked for", frames, frame));
    Image image = dicom::render(dicom::read_frame(dataset, coding, frame, frames), channels);
    image.frames = frames;
    image.patient = dicom::text_of(dataset, DCM_PatientID);
    image.burned_in = dicom::text_of(dataset, DCM_BurnedInAnnotation) == "YES";
    return image;
}

}  // namespace xbench
