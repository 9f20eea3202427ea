// Pages hold what they were given, escaped, and need nothing from elsewhere.
#include "bench/draw/html_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xbench {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(HtmlPage, IsWhole) {
    HtmlPage page("A & B", "lead <1>");
    page.heading("Classes");
    page.paragraph("one < two");
    page.notice(HtmlPage::Notice::bad, "leaks");
    page.list({"x", "\"y\""});
    page.table({"class", "images"}, {{"<b>", "7"}}, "counts");
    page.svg("<svg></svg>", "a chart");
    const uint8_t bytes[] = {1, 2, 3, 4};
    page.png(bytes, "a picture", 320);
    const std::string text = page.text();
    for (const char* part :
         {"<!doctype html>", "<title>A &amp; B</title>", "lead &lt;1&gt;", ">Classes</h2>", "one &lt; two",
          "<p class=\"notice bad\">leaks</p>", "<li>&quot;y&quot;</li>", "<td>&lt;b&gt;</td><td>7</td>", "<svg></svg>",
          "width:320px", "data:image/png;base64,AQIDBA==", "prefers-color-scheme:dark", "name=\"viewport\""})
        EXPECT_THAT(text, HasSubstr(part));
    for (const char* elsewhere : {"http://", "https://", "<script", "<link"}) EXPECT_THAT(text, Not(HasSubstr(elsewhere)));
}

// RFC 4648, section 10.
TEST(HtmlPage, Base64) {
    const auto of = [](const std::string& text) {
        return base64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    };
    EXPECT_EQ(of(""), "");
    EXPECT_EQ(of("f"), "Zg==");
    EXPECT_EQ(of("fo"), "Zm8=");
    EXPECT_EQ(of("foo"), "Zm9v");
    EXPECT_EQ(of("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace xbench
