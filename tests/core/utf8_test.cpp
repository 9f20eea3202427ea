// What is UTF-8, and an escape that gives every byte string back.
#include "core/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace xbench {
namespace {

TEST(Utf8, TellsSequencesFromOtherBytes) {
    for (const char* good :
         {"", "plain", "L\xc3\xa9sion", "\xe6\x96\x87\xe5\xad\x97", "\xf0\x9f\xab\x81", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const char* bad : {"L\xe9sion", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                            "\x80", "\xf0\x9f\xab"})
        EXPECT_FALSE(is_utf8(bad)) << bad;
    EXPECT_EQ(first_bad_byte("L\xe9sion"), 1u);
}

TEST(Utf8, EscapesOnlyWhatItMust) {
    EXPECT_EQ(escape_bytes("L\xe9sion"), "L\\xE9sion");
    EXPECT_EQ(escape_bytes("L\xc3\xa9sion 100%"), "L\xc3\xa9sion 100%");
    EXPECT_EQ(escape_bytes("a\\xE9"), "a\\\\xE9");  // a name that looks like an escape is none
}

TEST(Utf8, GivesEveryByteBack) {
    std::mt19937 random(7);
    const std::string letters = "\\xE9ax\xc3\xa9\xff\x80\xe9";
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (uint64_t length = random() % 12; length > 0; --length)
            text += random() % 2 ? letters[random() % letters.size()] : static_cast<char>(1 + random() % 255);
        const std::string escaped = escape_bytes(text);
        EXPECT_TRUE(is_utf8(escaped));
        EXPECT_EQ(unescape_bytes(escaped), text);
    }
}

}  // namespace
}  // namespace xbench
