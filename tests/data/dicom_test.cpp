// DICOM files, whole and damaged, through the decoder of the import.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/import/decoders.h"
#include "dicom_files.h"
#include "image_files.h"

namespace xbench {
namespace {

using Bytes = std::vector<uint8_t>;

class DicomDecoder : public testing::Test {
protected:
    void SetUp() override {
        if (!reads_dicom()) GTEST_SKIP() << "DICOM is off in this build";
    }
    static uint16_t at(const Image& image, size_t i) {
        uint16_t value;
        std::memcpy(&value, image.samples.data() + 2 * i, sizeof value);
        return value;
    }
    static std::string refusal(const Bytes& bytes, int64_t frame = 0) {
        try {
            decode_image(bytes, 1, frame);
        } catch (const LeftOutByRule& rule) {
            return std::string("left out: ") + rule.what();
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }
    const GrayDicom ramp_{
        .rows = 1, .columns = 3, .bits = 10, .photometric = "MONOCHROME1", .center = "550", .width = "1024"};
};

TEST_F(DicomDecoder, ReadsPixelsWindowAndPatient) {
    const Image image = decode_image(ramp_.bytes({0, 966, 306}), 1);
    EXPECT_EQ(image.width, 3);
    EXPECT_EQ(image.bytes_per_sample, 2);
    EXPECT_EQ(at(image, 0), 65535);
    EXPECT_EQ(at(image, 1), 6086);
    EXPECT_EQ(at(image, 2), 48366);
    EXPECT_EQ(image.patient, "P1");
    EXPECT_EQ(image.rendering, "LINEAR 550/1024; inverted; 10 bits stored");
}

TEST_F(DicomDecoder, ReadsFilesWithoutPreambleMetaOrSyntax) {
    const DicomFile file = ramp_.file({0, 966, 306});
    EXPECT_EQ(image_format(file.dataset()), ImageFormat::dicom);
    EXPECT_EQ(at(decode_image(file.dataset(), 1), 1), 6086);
    EXPECT_EQ(at(decode_image(file.bytes(""), 1), 1), 6086);
}

TEST_F(DicomDecoder, ReadsAFileWhosePreambleIsATiff) {
    Bytes bytes = ramp_.bytes({0, 966, 306});
    bytes[0] = bytes[1] = 'I';
    bytes[2] = 42;
    EXPECT_EQ(at(decode_image(bytes, 1), 1), 6086);
}

TEST_F(DicomDecoder, CountsFramesAndReadsEach) {
    const GrayDicom two{.rows = 1, .columns = 2, .bits = 16, .frames = 2, .center = "32768", .width = "65536"};
    const Bytes bytes = two.bytes({1, 2, 3, 65535});
    EXPECT_EQ(decode_image(bytes, 1).frames, 2);
    EXPECT_EQ(at(decode_image(bytes, 1, 1), 0), 3);
    EXPECT_EQ(at(decode_image(bytes, 1, 1), 1), 65535);
    EXPECT_EQ(refusal(bytes, 2), "holds 2 frames; number 2 was asked for");
    const GrayDicom three{.rows = 1, .columns = 2, .frames = 3};
    EXPECT_THAT(refusal(three.bytes({1, 2, 3, 4}), 2),
                testing::HasSubstr("frame 2 of 2x1 pixels ends at byte 12; the file holds 8"));
}

TEST_F(DicomDecoder, LeavesOutWhatIsNoImage) {
    const auto report = [](const std::string& sop_class) { return DicomFile().add(0x00080016, "UI", sop_class).bytes(); };
    EXPECT_EQ(refusal(report("1.2.840.10008.5.1.4.1.1.88.33")), "left out: a DICOM structured report");
    EXPECT_EQ(refusal(report("1.2.840.10008.5.1.4.1.1.481.5")), "left out: a DICOM radiotherapy object without pixels");
    EXPECT_EQ(refusal(report("1.2.840.10008.1.3.10")), "left out: a DICOMDIR");
    EXPECT_EQ(refusal(report("1.2.840.10008.5.1.4.1.1.1")), "the file has no pixel data");
}

TEST_F(DicomDecoder, RefusesOtherCodingsByName) {
    EXPECT_THAT(refusal(ramp_.bytes({0, 1, 2}, "1.2.840.10008.1.2.4.201")), testing::HasSubstr("High-Throughput JPEG 2000"));
    EXPECT_THAT(refusal(ramp_.bytes({0, 1, 2}, "1.2.3.4")), testing::HasSubstr("1.2.3.4"));
}

TEST_F(DicomDecoder, RefusesDamagedFiles) {
    const Bytes good = ramp_.bytes({0, 966, 306});
    for (size_t keep = 132; keep < good.size(); ++keep)
        EXPECT_NE(refusal(Bytes(good.begin(), good.begin() + static_cast<long>(keep))), "accepted") << keep;
    GrayDicom huge = ramp_;
    huge.rows = huge.columns = 60000;
    EXPECT_THAT(refusal(huge.bytes({0, 1})), testing::HasSubstr("60000x60000 pixels; the limits"));
    GrayDicom flat = ramp_;
    flat.intercept = "0", flat.slope = "0";
    EXPECT_THAT(refusal(flat.bytes({0, 1, 2})), testing::HasSubstr("rescale slope of 0"));
    GrayDicom odd = ramp_;
    odd.center = "12x";
    EXPECT_EQ(refusal(odd.bytes({0, 1, 2})), "the attribute (0028,1050) holds '12x', which is no number");
}

TEST_F(DicomDecoder, ReadsTablesFromSequences) {
    const auto words = DicomFile::words;
    DicomFile::Bytes item = DicomFile::element(0x00283002, "US", words({3, 10, 12}));
    const auto data = DicomFile::element(0x00283006, "OW", words({0, 1024, 4095}));
    item.insert(item.end(), data.begin(), data.end());
    DicomFile file;
    file.add(0x00280002, 1).add(0x00280004, "CS", "MONOCHROME2").add(0x00280010, 1).add(0x00280011, 4);
    file.add(0x00280100, 16).add(0x00280101, 16).add(0x00280102, 15).add(0x00280103, 0);
    file.add(0x00281050, "DS", "5").add(0x00281051, "DS", "9");
    file.add_item(0x00283010, item).add(0x7FE00010, "OW", words({0, 11, 12, 99}));
    const Image image = decode_image(file.bytes(), 1);
    EXPECT_EQ(at(image, 0), 0);
    EXPECT_EQ(at(image, 1), 16388);
    EXPECT_EQ(at(image, 3), 65535);
    EXPECT_EQ(image.rendering, "VOI LUT of 3 entries, 12 bits; as stored; 16 bits stored");
}

}  // namespace
}  // namespace xbench
