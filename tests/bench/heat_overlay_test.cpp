// Pictures of heat maps, pixel by pixel; pages whose text cannot break out of the markup.
#include "bench/draw/heat_overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/draw/html_page.h"
#include "bench/draw/line_chart.h"
#include "data/import/decoders.h"

namespace xbench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(HtmlPage, TextIsEscapedEverywhere) {
    const std::string evil = "<b>&\"x";
    HtmlPage page(evil, evil);
    page.heading(evil);
    page.subheading(evil);
    page.paragraph(evil);
    page.notice(HtmlPage::Notice::good, evil);
    page.list({evil});
    page.facts({{evil, evil}});
    page.table({evil, evil}, {{evil, evil}}, evil);
    page.svg(line_chart_svg({evil, evil, evil, {{evil, {{0, 0}, {1, 1}}}}}), evil);
    page.gallery({{{{112, 110, 103}}, evil, {evil, evil}}});
    const std::string text = page.text();
    EXPECT_THAT(text, Not(HasSubstr("<b>")));
    EXPECT_THAT(text, HasSubstr("<td>&lt;b&gt;&amp;&quot;x</td>"));
    EXPECT_THAT(text, HasSubstr("src=\"data:image/png;base64,cG5n\""));
    EXPECT_THAT(text, HasSubstr("<a href=\"#s1\">"));
    EXPECT_THAT(text, HasSubstr("<h2 id=\"s1\">"));
    EXPECT_THAT(text, Not(HasSubstr("<script")));
}

TEST(Png, WhatIsWrittenIsWhatIsRead) {
    for (const int channels : {1, 3}) {
        Image image{3, 2, channels, 1, {}};
        for (int i = 0; i < 6 * channels; ++i) image.samples.push_back(static_cast<uint8_t>(37 * i));
        const std::vector<uint8_t> file = encode_png(image);
        EXPECT_EQ(file, encode_png(image));
        const Image read = decode_png(file, channels);
        EXPECT_EQ(read.width, 3);
        EXPECT_EQ(read.height, 2);
        EXPECT_EQ(read.samples, image.samples);
    }
}

std::vector<uint8_t> pixels_of(const std::vector<uint8_t>& file) { return decode_png(file, 3).samples; }

TEST(HeatOverlay, ShowsTheImageWhereTheMapIsZero) {
    const std::vector<float> gray{0, 1, .5f, .2f};
    const ShownImage image{gray, 1, 2, 2};
    const std::vector<float> nothing{0};
    EXPECT_THAT(pixels_of(overlay_png(image, nothing, 1, 1, 1)),
                ElementsAre(0, 0, 0, 255, 255, 255, 128, 128, 128, 51, 51, 51));
    // Inferno ends at 252, 255, 164; 65% of it over black.
    const std::vector<float> map{7, 0, 0, 0};
    const std::vector<uint8_t> shown = pixels_of(overlay_png(image, map, 2, 2, 1));
    EXPECT_THAT(std::vector<uint8_t>(shown.begin(), shown.begin() + 3), ElementsAre(164, 166, 107));
    EXPECT_THAT(std::vector<uint8_t>(shown.begin() + 3, shown.end()), ElementsAre(255, 255, 255, 128, 128, 128, 51, 51, 51));
}

TEST(HeatOverlay, SmallImagesAreEnlargedByAWholeFactor) {
    const std::vector<float> rgb{0, 1, 1, 0, .5f, .5f};  // red 0 1, green 1 0, blue .5 .5
    const ShownImage image{rgb, 3, 1, 2};
    EXPECT_EQ(enlargement(image, 8), 8);
    EXPECT_EQ(enlargement({rgb, 3, 300, 200}, 128), 1);
    EXPECT_EQ(pixels_of(image_png(image, 2)).size(), 3u * 2 * 4);
    const std::vector<uint8_t> pixels = pixels_of(image_png(image, 1));
    EXPECT_THAT(pixels, ElementsAre(0, 255, 128, 255, 0, 128));
}

}  // namespace
}  // namespace xbench
