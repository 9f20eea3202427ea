// CSV as people write it: quotes, line ends, byte order marks, and what is refused.
#include "data/import/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace xbench {
namespace {

using Row = std::vector<std::string>;

TEST(Csv, ReadsQuotesLineEndsAndAByteOrderMark) {
    const CsvTable table =
        parse_csv("\xef\xbb\xbfpath,label\r\n\"a,b.png\",\"say \"\"x\"\"\"\r\n\r\n\"two\nlines\",\nlast,1", "t.csv");
    EXPECT_EQ(table.header, (Row{"path", "label"}));
    ASSERT_EQ(table.rows.size(), 3u);
    EXPECT_EQ(table.rows[0], (Row{"a,b.png", "say \"x\""}));
    EXPECT_EQ(table.rows[1], (Row{"two\nlines", ""}));
    EXPECT_EQ(table.rows[2], (Row{"last", "1"}));
    EXPECT_EQ(table.lines, (std::vector<int>{2, 4, 6}));
}

TEST(Csv, NamesTheLineOfAMistake) {
    const auto message = [](const std::string& text) {
        try {
            parse_csv(text, "t.csv");
        } catch (const UsageError& error) {
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    EXPECT_THAT(message("a,b\n1,2\n3\n"), testing::HasSubstr("t.csv:3: 1 fields where the header has 2"));
    EXPECT_THAT(message("a,b\n1,\"2\n3,4\n"), testing::HasSubstr("t.csv:2: a quoted field is never closed"));
    EXPECT_THAT(message("a,b\n"), testing::HasSubstr("no rows"));
    EXPECT_THROW(read_csv("/no/such/file.csv"), UsageError);
}

TEST(Csv, WritesWhatItReads) {
    for (const std::string text : {"plain", "a,b", "a \"b\"", "a\nb", ""}) {
        const CsvTable table = parse_csv("x,y\n" + csv_field(text) + ",1\n", "t");
        EXPECT_EQ(table.rows.at(0).at(0), text);
    }
}

}  // namespace
}  // namespace xbench
