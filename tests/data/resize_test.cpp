// The resize against Pillow's own results, and the properties that any resize must have.
#include "data/import/resize.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

namespace xbench {
namespace {

// Any pattern with sharp edges will do; Pillow was given the same one.
Image pattern(int64_t width, int64_t height) {
    Image image{width, height, 1, 1, {}};
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) image.samples.push_back(static_cast<uint8_t>(x * 37 + y * 91 + x * y * 13));
    }
    return image;
}

std::vector<uint8_t> resized(const Image& image, int64_t width, int64_t height) {
    std::vector<uint8_t> planes(static_cast<size_t>(width * height * image.channels * image.bytes_per_sample));
    Resizer().resize(image, width, height, planes.data());
    return planes;
}

struct Golden {
    int64_t from_width, from_height, width, height;
    std::vector<int> pillow;  // Image.fromarray(pattern).resize((width, height), Image.LANCZOS), Pillow 12
};

TEST(Resize, IsPillowsLanczos) {
    const Golden goldens[] = {
        {13, 9, 5, 4, {105, 141, 140, 101, 135, 137, 147, 128, 135, 113, 103, 152, 142, 144, 111, 162, 151, 147, 156, 157}},
        {4, 3, 7, 5, {0,   3,   27,  44,  59,  83,  96,  20,  28,  56,  94,  131, 159, 169, 87, 102, 136, 166,
                      196, 230, 245, 150, 188, 222, 166, 109, 143, 181, 174, 225, 255, 144, 28, 61,  112}},
        {40, 30, 6, 5, {135, 137, 132, 120, 131, 136, 131, 133, 140, 137, 134, 139, 117, 99,  109,
                        138, 113, 107, 124, 128, 113, 135, 120, 115, 121, 133, 131, 137, 124, 128}},
    };
    for (const Golden& golden : goldens) {
        const auto result = resized(pattern(golden.from_width, golden.from_height), golden.width, golden.height);
        for (size_t i = 0; i < result.size(); ++i)
            EXPECT_NEAR(result[i], golden.pillow[i], 1) << golden.from_width << " at " << i;
    }
}

TEST(Resize, KeepsWhatHasTheRightSize) {
    const Image image = pattern(21, 17);
    EXPECT_EQ(resized(image, 21, 17), image.samples);
}

// Where one side stays, each of its lines is resized as if it were alone.
TEST(Resize, ASideThatStaysTakesNoPart) {
    const Image image = pattern(21, 17);
    const auto narrow = resized(image, 9, 17), low = resized(image, 21, 30);
    for (int64_t y = 0; y < 17; ++y) {
        Image row{21, 1, 1, 1, {image.samples.begin() + y * 21, image.samples.begin() + (y + 1) * 21}};
        const std::vector<uint8_t> part(narrow.begin() + y * 9, narrow.begin() + (y + 1) * 9);
        EXPECT_EQ(resized(row, 9, 1), part) << y;
    }
    for (int64_t x = 0; x < 21; ++x) {
        Image column{1, 17, 1, 1, {}};
        std::vector<uint8_t> part;
        for (int64_t y = 0; y < 17; ++y) column.samples.push_back(image.samples[static_cast<size_t>(y * 21 + x)]);
        for (int64_t y = 0; y < 30; ++y) part.push_back(low[static_cast<size_t>(y * 21 + x)]);
        EXPECT_EQ(resized(column, 1, 30), part) << x;
    }
}

TEST(Resize, KeepsAFlatImageFlat) {
    for (const int64_t size : {1, 3, 16, 37, 64}) {
        const Image flat{50, 23, 1, 1, std::vector<uint8_t>(50 * 23, 201)};
        for (const uint8_t value : resized(flat, size, size + 1)) EXPECT_EQ(value, 201);
    }
}

TEST(Resize, MakesPlanesOfInterleavedChannels) {
    const Image one = pattern(30, 20);
    Image three{30, 20, 3, 1, {}};
    for (const uint8_t value : one.samples)
        three.samples.insert(three.samples.end(), {value, 7, static_cast<uint8_t>(255 - value)});
    const auto planes = resized(three, 8, 6), alone = resized(one, 8, 6);
    EXPECT_EQ(std::vector<uint8_t>(planes.begin(), planes.begin() + 48), alone);
    for (size_t i = 48; i < 96; ++i) EXPECT_EQ(planes[i], 7);
    for (size_t i = 0; i < 48; ++i) EXPECT_NEAR(planes[96 + i], 255 - alone[i], 1);
}

TEST(Resize, WorksInSixteenBits) {
    const Image narrow = pattern(40, 30);
    Image wide{40, 30, 1, 2, std::vector<uint8_t>(40 * 30 * 2)};
    for (size_t i = 0; i < narrow.samples.size(); ++i) {
        const auto value = static_cast<uint16_t>(narrow.samples[i] * 257);
        std::memcpy(wide.samples.data() + 2 * i, &value, 2);
    }
    const auto expected = resized(narrow, 9, 9), result = resized(wide, 9, 9);
    for (size_t i = 0; i < expected.size(); ++i) {
        uint16_t value;
        std::memcpy(&value, result.data() + 2 * i, 2);
        EXPECT_NEAR(value / 257.0, expected[i], 1);
    }
}

// What antialiasing is for: stripes finer than the new pixels become their mean, where picking pixels would not.
TEST(Resize, AveragesWhatIsTooFine) {
    Image stripes{256, 256, 1, 1, {}};
    for (int i = 0; i < 256 * 256; ++i) stripes.samples.push_back(i % 2 ? 255 : 0);
    for (const uint8_t value : resized(stripes, 32, 32)) EXPECT_NEAR(value, 127.5, 8);
}

}  // namespace
}  // namespace xbench
