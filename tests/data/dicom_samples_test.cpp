// DICOM files of others, where XBENCH_TEST_DICOM names a folder that holds them; else skipped. Values of RG3 were computed
// from its words by hand, those of SC_rgb are the ones that its makers put in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/error.h"
#include "core/hash.h"
#include "data/import/decoders.h"
#include "image_files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

class DicomSamples : public testing::Test {
protected:
    void SetUp() override {
        const char* folder = std::getenv("XBENCH_TEST_DICOM");
        if (folder == nullptr || !reads_dicom()) GTEST_SKIP() << "XBENCH_TEST_DICOM names no folder";
        folder_ = folder;
    }
    Image decode(const std::string& name, int channels = 1, int64_t frame = 0) const {
        return decode_image(read_bytes(folder_ / name), channels, frame);
    }
    fs::path folder_;
};

TEST_F(DicomSamples, GiveAnImageOrAnErrorEach) {
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
        if (!entry.is_regular_file()) continue;
        std::string said;
        try {
            const Image image = decode_image(read_bytes(entry.path()), 1);
            said = std::to_string(image.width) + "x" + std::to_string(image.height) + " " + image.rendering;
            if (image.frames > 1) said += "; frames " + std::to_string(image.frames);
        } catch (const LeftOutByRule& rule) {
            said = std::string("left out: ") + rule.what();
        } catch (const Error& error) {
            said = std::string("refused: ") + error.what();
        }
        if (std::getenv("XBENCH_TEST_SAY") != nullptr)
            std::printf("%-45s %s\n", entry.path().filename().c_str(), said.c_str());
    }
}

// A tibia of 10 of 16 bits, MONOCHROME1, window 550/1024: uncompressed, JPEG lossless and JPEG-LS hold the same words.
TEST_F(DicomSamples, RadiographIsTheSameInEveryLosslessCoding) {
    const Image lossless = decode("RG3_JPLL.dcm"), jpeg_ls = decode("RG3_JLSL.dcm"), lossy = decode("RG3_JPLY.dcm");
    EXPECT_TRUE(lossless.samples == jpeg_ls.samples);
    const std::pair<size_t, int> expected[] = {{100, 65535}, {500, 6086}, {880, 48366}, {1200, 3844}};
    for (const auto& [place, value] : expected) {
        uint16_t exact = 0, close = 0;
        std::memcpy(&exact, lossless.samples.data() + 2 * (place * 1760 + place), 2);
        std::memcpy(&close, lossy.samples.data() + 2 * (place * 1760 + place), 2);
        EXPECT_EQ(exact, value);
        EXPECT_NEAR(close, value, 2000);
    }
}

TEST_F(DicomSamples, CodingsOfOneImageAgree) {
    const auto same = [&](const std::string& a, const std::string& b) {
        EXPECT_TRUE(decode("pydicom_small/" + a).samples == decode("pydicom_small/" + b).samples) << a << ' ' << b;
    };
    same("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm");
    same("rtdose_1frame.dcm", "rtdose_rle_1frame.dcm");
    same("MR_small_padded.dcm", "MR_small_RLE.dcm");
    same("MR_small_expb.dcm", "MR_small_RLE.dcm");
    same("MR_small_jp2klossless.dcm", "MR_small_RLE.dcm");
    same("emri_small_jpeg_ls_lossless.dcm", "emri_small_jpeg_2k_lossless.dcm");
}

TEST_F(DicomSamples, ColorsAreWhatWasPutIn) {
    const int expected[10][3] = {{255, 0, 0},     {255, 128, 128}, {0, 255, 0},  {128, 255, 128}, {0, 0, 255},
                                 {128, 128, 255}, {0, 0, 0},       {64, 64, 64}, {192, 192, 192}, {255, 255, 255}};
    for (const auto& entry : fs::directory_iterator(folder_ / "pydicom_small")) {
        const std::string name = entry.path().filename();
        if (!name.starts_with("SC_rgb_") || name.find("small") != std::string::npos || name.find("bit") != std::string::npos)
            continue;
        const Image image = decode("pydicom_small/" + name, 3);
        ASSERT_EQ(image.width, 100);
        const bool exact = name.find("expb") != std::string::npos || name.find("rle") != std::string::npos;
        for (size_t i = 0; i < 10; ++i) {
            for (size_t c = 0; c < 3; ++c)
                EXPECT_NEAR(image.samples[((10 * i + 5) * 100 + 50) * 3 + c], expected[i][c], exact ? 0 : 5)
                    << name << " row " << i << " channel " << c;
        }
    }
}

}  // namespace
}  // namespace xbench
