// PNG and JPEG of every kind are read as Pillow reads them; what is broken, hostile or of another format is refused.
#include "data/import/decoders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "image_files.h"

namespace xbench {
namespace {

using Bytes = std::vector<uint8_t>;

std::string refusal(const Bytes& bytes) {
    try {
        decode_image(bytes, 1);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

uint16_t deep(const Image& image, size_t at) {
    uint16_t value;
    std::memcpy(&value, image.samples.data() + 2 * at, sizeof value);
    return value;
}

TEST(DecodePng, SpreadsFewBits) {
    const Image one = decode_image(encode_png({8, 1, 1}, {0b10100000}), 1);
    EXPECT_EQ(one.samples, (Bytes{255, 0, 255, 0, 0, 0, 0, 0}));
    const Image two = decode_image(encode_png({4, 1, 2}, {0b00011011}), 1);
    EXPECT_EQ(two.samples, (Bytes{0, 85, 170, 255}));
    const Image four = decode_image(encode_png({2, 1, 4}, {0x3C}), 3);
    EXPECT_EQ(four.samples, (Bytes{51, 51, 51, 204, 204, 204}));
}

TEST(DecodePng, KeepsSixteenBits) {
    const Image gray = decode_image(encode_png({2, 1, 16}, {0x12, 0x34, 0xFF, 0xFE}), 1);
    EXPECT_EQ(gray.bytes_per_sample, 2);
    EXPECT_EQ(deep(gray, 0), 0x1234);
    EXPECT_EQ(deep(gray, 1), 0xFFFE);
    const Image color = decode_image(encode_png({1, 1, 16, PNG_COLOR_TYPE_RGB}, {0xFF, 0xFF, 0, 0, 0, 0}), 1);
    EXPECT_EQ(deep(color, 0), 19595);  // 65535 * 19595 / 65536
}

TEST(DecodePng, DropsAlphaAndLooksUpPalettes) {
    EXPECT_EQ(decode_image(encode_png({1, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA}, {77, 0}), 1).samples, Bytes{77});
    EXPECT_EQ(decode_image(encode_png({1, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA}, {10, 20, 30, 0}), 3).samples,
              (Bytes{10, 20, 30}));
    const PngSpec palette{2, 1, 8, PNG_COLOR_TYPE_PALETTE, false, {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}}};
    EXPECT_EQ(decode_image(encode_png(palette, {1, 2}), 3).samples, (Bytes{255, 0, 0, 0, 255, 0}));
    EXPECT_EQ(decode_image(encode_png(palette, {1, 2}), 1).samples, (Bytes{76, 150}));  // Pillow's "L" of red and green
}

TEST(DecodePng, ReadsInterlacedAsPlain) {
    Bytes samples(13 * 11);
    for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<uint8_t>(i * 7);
    EXPECT_EQ(decode_image(encode_png({13, 11, 8, PNG_COLOR_TYPE_GRAY, true}, samples), 1).samples, samples);
}

TEST(DecodePng, RefusesTruncatedAndChanged) {
    const Bytes good = encode_png({64, 64}, Bytes(64 * 64, 9));
    for (const size_t keep : {9u, 30u, 45u}) {
        EXPECT_THAT(refusal(Bytes(good.begin(), good.begin() + static_cast<long>(keep))), testing::HasSubstr("broken PNG"));
    }
    EXPECT_THAT(refusal(Bytes(good.begin(), good.end() - 14)), testing::HasSubstr("broken PNG"));
    Bytes changed = good;
    changed[changed.size() / 2] ^= 0x55;
    EXPECT_THAT(refusal(changed), testing::HasSubstr("broken PNG"));
}

// Rewrites the size in the header, with a right checksum.
Bytes with_png_size(Bytes bytes, uint32_t width, uint32_t height) {
    const auto put = [&](size_t at, uint32_t value) {
        for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
    };
    put(16, width);
    put(20, height);
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 12; i < 29; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    put(29, ~crc);
    return bytes;
}

TEST(DecodePng, RefusesAbsurdSizesBeforeItAllocates) {
    const Bytes good = gray_png(4, 4, 1);
    EXPECT_THAT(refusal(with_png_size(good, 20000, 10)), testing::HasSubstr("20000x10"));
    EXPECT_THAT(refusal(with_png_size(good, 16000, 16000)), testing::HasSubstr("limits"));
    EXPECT_THAT(refusal(with_png_size(good, 9000, 9000)), testing::HasSubstr("more than"));  // of so small a file
    EXPECT_THAT(refusal(with_png_size(good, 4, 5)), testing::HasSubstr("broken PNG"));
}

TEST(DecodeJpeg, ReadsGrayAndColor) {
    const Bytes gray = gray_jpeg(16, 8, 100);
    EXPECT_EQ(decode_image(gray, 1).samples, Bytes(128, 100));
    EXPECT_EQ(decode_image(gray, 3).samples, Bytes(3 * 128, 100));
    Bytes red;
    for (int i = 0; i < 64; ++i) red.insert(red.end(), {250, 20, 20});
    for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
        const Image color = decode_image(encode_jpeg(8, 8, 3, red, flags), 3);
        EXPECT_NEAR(color.samples[0], 250, 3);
        EXPECT_NEAR(color.samples[1], 20, 3);
        EXPECT_NEAR(decode_image(encode_jpeg(8, 8, 3, red, flags), 1).samples[0], luma(250, 20, 20), 2);
    }
}

TEST(DecodeJpeg, RefusesTruncatedAndAbsurd) {
    Bytes noise(64 * 64);
    for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * i * 31);
    const Bytes good = encode_jpeg(64, 64, 1, noise);
    EXPECT_THAT(refusal(Bytes(good.begin(), good.begin() + static_cast<long>(good.size() / 2))),
                testing::HasSubstr("broken JPEG"));
    EXPECT_THAT(refusal(Bytes(good.begin(), good.begin() + 4)), testing::HasSubstr("Premature end"));
    const Bytes frame{0xFF, 0xC0, 0x00, 0x0B, 8};
    const auto at = std::search(good.begin(), good.end(), frame.begin(), frame.end());
    ASSERT_NE(at, good.end());
    Bytes huge = good;
    const auto size = huge.begin() + (at - good.begin()) + 5;
    std::fill_n(size, 4, uint8_t{0xFF});  // 65535 x 65535, as some fuzzed files claim
    EXPECT_THAT(refusal(huge), testing::AnyOf(testing::HasSubstr("limits"), testing::HasSubstr("dimension")));
    const Bytes large{0x23, 0x28, 0x23, 0x28};  // 9000 x 9000
    std::copy(large.begin(), large.end(), size);
    EXPECT_THAT(refusal(huge), testing::HasSubstr("more than"));
    // A failure leaves nothing behind for the next file.
    EXPECT_EQ(decode_image(good, 1).width, 64);
}

// What concerns no pixel is counted, and the pixels are those of the clean file; what is missing or damaged is refused.
TEST(DecodeJpeg, ReadsOnInSpiteOfHarmlessWarnings) {
    Bytes noise(64 * 64);
    for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * i * 31);
    const Bytes clean = encode_jpeg(64, 64, 1, noise);
    const Image expected = decode_image(clean, 1);
    EXPECT_EQ(expected.warnings, 0);
    Bytes junk = clean, padded = clean, odd_scan = clean;
    junk.insert(junk.begin() + 20, {1, 2, 3});
    padded.insert(padded.end() - 2, {0, 0, 0, 0});
    const Bytes scan{0xFF, 0xDA};
    const auto at = std::search(odd_scan.begin(), odd_scan.end(), scan.begin(), scan.end());
    ASSERT_NE(at, odd_scan.end());
    *(at + 8) = 0;  // Se
    for (const Bytes& file : {junk, padded, odd_scan}) {
        const Image image = decode_image(file, 1);
        EXPECT_EQ(image.samples, expected.samples);
        EXPECT_GE(image.warnings, 1);
    }
    Bytes hole = clean, no_end(clean.begin(), clean.end() - 2);
    hole.erase(hole.begin() + static_cast<long>(hole.size()) / 2, hole.end() - 2);
    EXPECT_THAT(refusal(hole), testing::HasSubstr("premature end of data segment"));
    EXPECT_THAT(refusal(no_end), testing::HasSubstr("Premature end of JPEG file"));
}

TEST(Exif, FindsTheOrientation) {
    const auto tiff = [](const std::string& text) {
        const Bytes bytes(text.begin(), text.end());
        return exif_orientation(bytes);
    };
    const std::string little("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 22);
    const std::string big("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0", 22);
    EXPECT_EQ(tiff(little), 6);
    EXPECT_EQ(tiff(big), 3);
    for (size_t length = 0; length < little.size() - 2; ++length) EXPECT_EQ(tiff(little.substr(0, length)), 1) << length;
    EXPECT_EQ(tiff(std::string("II*\0\xff\xff\xff\xff\xff\xff", 10)), 1);
}

TEST(DecodeImage, GoesByContentAndSaysWhatIsNotSupported) {
    const std::string gif = "GIF89a......";
    EXPECT_THAT(refusal(Bytes(gif.begin(), gif.end())), testing::HasSubstr("GIF is not supported"));
    EXPECT_THAT(refusal({}), testing::HasSubstr("empty"));
    EXPECT_THAT(refusal({1, 2, 3}), testing::HasSubstr("neither PNG nor JPEG"));
    EXPECT_THROW(decode_image(gray_png(2, 2, 0), 2), UsageError);
}

// One file of each kind that the decoders know.
std::vector<Bytes> good_files() {
    Bytes noise(3 * 24 * 24 * 2);
    uint32_t state = 7;
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    const std::vector<png_color> palette(256, png_color{1, 2, 3});
    return {encode_png({24, 24, 8, PNG_COLOR_TYPE_GRAY, false}, noise),
            encode_png({24, 24, 16, PNG_COLOR_TYPE_GRAY, true}, noise),
            encode_png({24, 24, 1, PNG_COLOR_TYPE_GRAY, false}, noise),
            encode_png({24, 24, 8, PNG_COLOR_TYPE_RGB, true}, noise),
            encode_png({24, 24, 8, PNG_COLOR_TYPE_GRAY_ALPHA, false}, noise),
            encode_png({24, 24, 8, PNG_COLOR_TYPE_PALETTE, false, palette}, noise),
            encode_jpeg(24, 24, 1, noise),
            encode_jpeg(24, 24, 3, noise),
            encode_jpeg(24, 24, 3, noise, TJFLAG_PROGRESSIVE)};
}

uint32_t crc32_of(const uint8_t* bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

// Makes the checksums of a PNG's chunks fit what is in them, so that damage goes further than the first check.
void repair_checksums(Bytes& png) {
    const auto word = [&](size_t at) {
        return uint32_t{png[at]} << 24 | uint32_t{png[at + 1]} << 16 | uint32_t{png[at + 2]} << 8 | png[at + 3];
    };
    for (size_t at = 8; at + 12 <= png.size();) {
        const size_t length = word(at);
        if (length > png.size() - at - 12) return;
        const uint32_t crc = crc32_of(&png[at + 4], length + 4);
        for (size_t k = 0; k < 4; ++k) png[at + 8 + length + k] = static_cast<uint8_t>(crc >> (24 - 8 * k));
        at += 12 + length;
    }
}

// Each file either is read, as large as it says, or refused in words; the test also fails by crashing, hanging or eating
// memory.
TEST(DecodeImage, SurvivesRandomDamage) {
    int read = 0, refused = 0;
    uint32_t state = 1;
    const auto below = [&](size_t bound) { return ((state = state * 1664525 + 1013904223) >> 8) % bound; };
    for (const Bytes& good : good_files())
        for (int round = 0; round < 150; ++round) {
            Bytes damaged = good;
            for (size_t changes = 1 + below(4); changes > 0; --changes)
                damaged[below(damaged.size())] = static_cast<uint8_t>(below(256));
            if (below(6) == 0) damaged.resize(1 + below(damaged.size()));
            if (below(6) == 0)
                damaged.insert(damaged.begin() + static_cast<int64_t>(below(damaged.size())), 1 + below(9), 0);
            if (good[0] == 0x89 && below(4) != 0) repair_checksums(damaged);
            try {
                const Image image = decode_image(damaged, round % 2 ? 1 : 3);
                ASSERT_EQ(static_cast<int64_t>(image.samples.size()),
                          image.width * image.height * (round % 2 ? 1 : 3) * image.bytes_per_sample);
                ++read;
            } catch (const Error& error) {
                EXPECT_GT(std::string(error.what()).size(), 5u);
                ++refused;
            }
        }
    EXPECT_GT(read, 100);
    EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace xbench
