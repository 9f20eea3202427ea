// The pixel pipeline of DICOM on values worked out by hand from PS3.3 C.11.1 and C.11.2, and on what other programs got
// wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "data/import/dicom/frame.h"

namespace xbench::dicom {
namespace {

using Function = Window::Function;

Frame gray(const std::vector<int>& words, int bits = 16) {
    Frame frame;
    frame.rows = 1;
    frame.columns = static_cast<int64_t>(words.size());
    frame.bits_stored = bits;
    frame.high_bit = bits - 1;
    frame.photometric = "MONOCHROME2";
    for (const int word : words) {
        const auto value = static_cast<uint16_t>(word);
        frame.bytes.insert(frame.bytes.end(), {static_cast<uint8_t>(value & 0xFF), static_cast<uint8_t>(value >> 8)});
    }
    return frame;
}

std::vector<int> shown(const Frame& frame) {
    const Image image = render(frame, 1);
    std::vector<int> values;
    for (int64_t i = 0; i < image.width * image.height; ++i) {
        uint16_t wide = 0;
        std::memcpy(&wide, image.samples.data() + i * image.bytes_per_sample, static_cast<size_t>(image.bytes_per_sample));
        values.push_back(wide);
    }
    return values;
}

std::string refusal(const Frame& frame) {
    try {
        render(frame, 1);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

struct WindowCase {
    double center, width, x, linear, exact, sigmoid;  // -1: not defined
};
constexpr WindowCase window_cases[] = {
    {2048, 4096, 1, .062271, .062256, 30.422901},
    {2048, 4096, 2047, 127.468864, 127.437744, 127.437744},
    {2048, 4096, 2048, 127.531136, 127.5, 127.5},
    {2048, 4096, 4095, 255, 254.937744, 224.577099},
    {2048, 4096, 0, 0, -1, -1},
    {2048, 1, 2047, 0, 0, -1},
    {2048, 1, 2048, 255, 127.5, -1},
    {0, 100, -50, 0, 0, 30.396745},
    {0, 100, -49, 2.575758, 2.55, 31.484097},
    {0, 100, 0, 128.787879, 127.5, 127.5},
    {0, 100, 49, 255, 252.45, 223.515903},
    {40, 400, -128, 20.451128, 20.4, 40.059345},
    {40, 400, 39, 127.180451, 126.8625, 126.862505},
    {40, 400, 40, 127.819549, 127.5, 127.5},
    {40, 400, 239, 255, 254.3625, 224.3345},
};

TEST(DicomWindow, FollowsTheStandardsFormulas) {
    for (const WindowCase& c : window_cases) {
        const std::pair<Function, double> rows[] = {
            {Function::linear, c.linear}, {Function::linear_exact, c.exact}, {Function::sigmoid, c.sigmoid}};
        for (const auto& [function, expected] : rows) {
            if (expected < 0) continue;
            EXPECT_NEAR(apply({c.center, c.width, function}, c.x, 0, 255), expected, 1e-6)
                << c.center << '/' << c.width << " at " << c.x << ", function " << static_cast<int>(function);
        }
    }
}

TEST(DicomWindow, KnowsItsFunctionsByName) {
    EXPECT_EQ(window_function(""), Function::linear);
    EXPECT_EQ(window_function("LINEAR_EXACT"), Function::linear_exact);
    EXPECT_EQ(window_function("SIGMOID"), Function::sigmoid);
    EXPECT_THROW(window_function("LINEAR_MAYBE"), Error);
}

TEST(DicomRender, AppliesSlopeBeforeTheWindow) {  // window 400/40 of stored values with intercept -1024
    Frame frame = gray({1024 - 128, 1024 + 39, 1024 + 239}, 12);
    frame.intercept = -1024;
    frame.window = {40, 400, Function::linear};
    EXPECT_EQ(shown(frame), (std::vector<int>{5256, 32685, 65535}));  // .0802005, .4987469, 1
}

TEST(DicomRender, InvertsLastAndOnce) {
    Frame frame = gray({0, 966, 306, 1001}, 10);
    frame.window = {550, 1024, Function::linear};
    EXPECT_EQ(shown(frame), (std::vector<int>{0, 59449, 17169, 61691}));
    frame.photometric = "MONOCHROME1";
    EXPECT_EQ(shown(frame), (std::vector<int>{65535, 6086, 48366, 3844}));
    frame.inverse_shape = true;  // says the same a second time
    EXPECT_EQ(shown(frame), (std::vector<int>{65535, 6086, 48366, 3844}));
    frame.photometric = "MONOCHROME2";
    EXPECT_EQ(shown(frame), (std::vector<int>{65535, 6086, 48366, 3844}));
}

TEST(DicomRender, TakesTheStoredBitsAlone) {
    Frame dirty = gray({0x8123, 0x0FFF, 0x7000}, 12);
    dirty.window = {2048, 4096, Function::linear_exact};
    EXPECT_EQ(shown(dirty), (std::vector<int>{0x123 * 65535 / 4096 + 1, 65519, 0}));
    Frame above = gray({0x1230, 0xFFFF}, 12);  // in the upper twelve bits
    above.high_bit = 15;
    above.window = dirty.window;
    EXPECT_EQ(shown(above), (std::vector<int>{0x123 * 65535 / 4096 + 1, 65519}));
}

TEST(DicomRender, ExtendsTheSignFromTheStoredBits) {
    Frame frame = gray({0x1FFF, 0x1000, 0, 0x0FFF}, 13);
    frame.is_signed = true;
    frame.window = {0, 8192, Function::linear_exact};
    EXPECT_EQ(shown(frame), (std::vector<int>{32760, 0, 32768, 65527}));  // -1, -4096, 0, 4095
}

TEST(DicomRender, KeepsPaddingOutOfTheRangeAndDark) {
    Frame frame = gray({0xFC18, 0, 1000, 2000}, 16);  // -1000
    frame.is_signed = true;
    frame.padding = -1000;
    EXPECT_EQ(shown(frame), (std::vector<int>{0, 0, 32768, 65535}));
    frame.photometric = "MONOCHROME1";
    EXPECT_EQ(shown(frame), (std::vector<int>{0, 65535, 32768, 0}));
    frame.padding_limit = 2000;
    EXPECT_EQ(refusal(frame), "every pixel is padding: there is no image");
}

TEST(DicomRender, TakesPercentilesWhereThereIsNoWindow) {
    std::vector<int> ramp(1001);
    for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<int>(i);
    const auto values = shown(gray(ramp, 12));
    EXPECT_EQ(values[5], 0);
    EXPECT_EQ(values[500], 32768);
    EXPECT_EQ(values[995], 65535);
    EXPECT_EQ(values[0], 0);
    EXPECT_EQ(shown(gray({7, 7, 7})), (std::vector<int>{0, 0, 0}));
}

TEST(DicomRender, SaysWhatItDid) {
    Frame frame = gray({0, 1023}, 10);
    frame.photometric = "MONOCHROME1";
    frame.window = {550, 1024, Function::sigmoid};
    EXPECT_EQ(render(frame, 1).rendering, "SIGMOID 550/1024; inverted; 10 bits stored");
    frame.window = {550, 0.5, Function::linear};
    EXPECT_THAT(render(frame, 1).rendering, testing::HasSubstr("as a window of width 0.5 means nothing"));
}

TEST(DicomRender, HasEightBitsForEight) {
    Frame frame = gray({0, 128, 255}, 8);
    frame.window = {128, 256, Function::linear_exact};
    const Image image = render(frame, 3);
    EXPECT_EQ(image.bytes_per_sample, 1);
    EXPECT_THAT(image.samples, testing::ElementsAre(0, 0, 0, 128, 128, 128, 254, 254, 254));
}

TEST(DicomTable, ReadsDescriptorsAsUnsignedButForTheFirst) {
    const LookupTable table = make_table({62720, 0xF800, 16}, true, std::vector<uint16_t>(62720, 1));
    EXPECT_EQ(table.entries.size(), 62720u);
    EXPECT_EQ(table.first, -2048);
    EXPECT_EQ(make_table({62720, 0xF800, 16}, false, std::vector<uint16_t>(62720, 1)).first, 63488);
    EXPECT_EQ(make_table({0, 0, 16}, false, std::vector<uint16_t>(65536, 1)).entries.size(), 65536u);
    EXPECT_THROW(make_table({4096, 0, 12}, false, std::vector<uint16_t>(4095)), Error);
    EXPECT_EQ(make_table({4096, 0, 12}, false, std::vector<uint16_t>(4096, 4095)).entries[7], 4095);
    EXPECT_EQ(make_table({4, 0, 8}, false, {0x0201, 0x0403}).entries, (std::vector<uint16_t>{1, 2, 3, 4}));
}

TEST(DicomTable, WinsOverTheWindowAndClampsItsEnds) {
    Frame frame = gray({0, 10, 11, 12, 200}, 8);
    frame.bits_stored = 16, frame.high_bit = 15;
    frame.window = {0, 1, Function::linear};
    frame.voi = LookupTable{10, 12, {0, 1024, 4095}};
    EXPECT_EQ(shown(frame), (std::vector<int>{0, 0, 16388, 65535, 65535}));
    frame.voi = LookupTable{10, 16, {0, 1024, 4095}};  // declares the size of the storage
    EXPECT_EQ(shown(frame), (std::vector<int>{0, 0, 16388, 65535, 65535}));
    frame.voi.reset();
    frame.window = {2000, 4000, Function::linear_exact};
    frame.modality = LookupTable{10, 16, {0, 1000, 4000}};
    EXPECT_EQ(shown(frame), (std::vector<int>{0, 0, 16384, 65535, 65535}));
}

TEST(DicomRender, RefusesWhatMakesNoSense) {
    Frame frame = gray({1, 2, 3});
    frame.slope = 0;
    EXPECT_THAT(refusal(frame), testing::HasSubstr("rescale slope of 0"));
    frame = gray({1, 2, 3});
    frame.columns = 4;
    EXPECT_THAT(refusal(frame), testing::HasSubstr("need 8 bytes; the file holds 6"));
    frame = gray({1, 2, 3});
    frame.bits_stored = 17;
    EXPECT_THAT(refusal(frame), testing::HasSubstr("17 bits stored"));
    frame = gray({1, 2, 3});
    frame.photometric = "YBR_PARTIAL_420";
    frame.samples = 1;
    EXPECT_THAT(refusal(frame), testing::HasSubstr("YBR_PARTIAL_420"));
    frame.photometric = "HSV";
    EXPECT_THAT(refusal(frame), testing::HasSubstr("'HSV' is not supported"));
}

TEST(DicomRender, ReadsColorByPixelAndByPlane) {
    Frame frame;
    frame.rows = 1, frame.columns = 2, frame.samples = 3;
    frame.bits_allocated = frame.bits_stored = 8, frame.high_bit = 7;
    frame.photometric = "RGB";
    frame.bytes = {10, 20, 30, 40, 50, 60};
    EXPECT_THAT(render(frame, 3).samples, testing::ElementsAre(10, 20, 30, 40, 50, 60));
    frame.by_plane = true;
    EXPECT_THAT(render(frame, 3).samples, testing::ElementsAre(10, 30, 50, 20, 40, 60));
    frame.by_plane = false;
    frame.photometric = "YBR_FULL";
    frame.bytes = {76, 85, 255, 255, 128, 128};
    EXPECT_THAT(render(frame, 3).samples, testing::ElementsAre(254, 0, 0, 255, 255, 255));
    EXPECT_THAT(render(frame, 1).samples, testing::ElementsAre(76, 255));
}

}  // namespace
}  // namespace xbench::dicom
