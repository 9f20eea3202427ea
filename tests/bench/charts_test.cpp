// Charts: round ticks, positions that can be worked out, text that cannot break out of the markup, equal bytes.
#include "bench/runs/charts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "bench/draw/line_chart.h"
#include "bench/draw/roofline_chart.h"
#include "bench/draw/waterfall_chart.h"
#include "core/error.h"

namespace xbench {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(RoundTicks, OneTwoOrFiveTimesAPowerOfTen) {
    EXPECT_THAT(round_ticks(0, 1, 5), ElementsAre(0, DoubleNear(.2, 1e-12), DoubleNear(.4, 1e-12), DoubleNear(.6, 1e-12),
                                                  DoubleNear(.8, 1e-12), 1));
    EXPECT_THAT(round_ticks(3, 47, 5), ElementsAre(10, 20, 30, 40));
    EXPECT_THAT(round_ticks(-1e-3, 1e-3, 2), ElementsAre(DoubleNear(-1e-3, 1e-15), 0, DoubleNear(1e-3, 1e-15)));
}

TEST(LineChart, PointsLieWhereTheScaleSays) {
    LineChart chart{"t", "x", "y", {{"a", {{0, 0}, {1, 1}}}}};
    chart.x_low = chart.y_low = 0;
    chart.x_high = chart.y_high = 1;
    // The legend's row is 18 high: from x 70 to 384, from y 266 (below) to 58.
    EXPECT_THAT(line_chart_svg(chart, 400, 300), HasSubstr("d=\"M70.00 266.00L384.00 58.00\""));
}

TEST(LineChart, ABreakInTheLineWhereAPointIsNotFinite) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::string svg = line_chart_svg({"t", "x", "y", {{"a", {{0, 0}, {1, 1}, {2, nan}, {3, 1}}}}});
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    const size_t path = svg.find(" d=\"");
    EXPECT_EQ(
        std::count(svg.begin() + static_cast<long>(path), svg.begin() + static_cast<long>(svg.find('"', path + 4)), 'M'), 2);
}

// Epochs are whole: no tick at 1.5.
TEST(LineChart, WhatIsCountedHasWholeTicks) {
    EXPECT_THAT(round_ticks(1, 3, 6), ElementsAre(1, 1.5, 2, 2.5, 3));
    EXPECT_THAT(round_ticks(1, 3, 6, 1), ElementsAre(1, 2, 3));
    EXPECT_THAT(round_ticks(1, 12, 6, 1), ElementsAre(2, 4, 6, 8, 10, 12));
    for (const int64_t epochs : {1, 2, 3, 5, 12, 40}) {
        std::vector<EpochResult> history;
        for (int64_t e = 1; e <= epochs; ++e) history.push_back({.epoch = e, .train_loss = 100.0 + static_cast<double>(e)});
        const std::string svg = training_svg(history);
        std::string::size_type at = 0;
        int labels = 0;
        while ((at = svg.find("text-anchor=\"middle\">", at)) != std::string::npos) {
            at = svg.find('>', at) + 1;
            const std::string label = svg.substr(at, svg.find('<', at) - at);
            if (label.find_first_not_of("0123456789.") != std::string::npos) continue;
            EXPECT_THAT(label, Not(HasSubstr("."))) << epochs << " epochs";
            ++labels;
        }
        EXPECT_GE(labels, 2) << epochs;
    }
}

TEST(LineChart, ABandLiesBetweenLowAndHigh) {
    LineChart chart{"t", "x", "y", {{"", {{0, .5}, {1, .5}}}}};
    chart.lines[0].band = {{.25, .75}, {.5, .5}};
    chart.x_low = chart.y_low = 0;
    chart.x_high = chart.y_high = 1;
    // From x 70 to 384, from y 248 (below) to 40.
    EXPECT_THAT(line_chart_svg(chart, 400, 300), HasSubstr("d=\"M70.00 92.00L384.00 144.00L384.00 144.00L70.00 196.00Z\""));
    chart.lines[0].band.pop_back();  // not one for each point: none is drawn
    EXPECT_THAT(line_chart_svg(chart, 400, 300), Not(HasSubstr("fill-opacity")));
}

// Fourteen diseases have no fourteen colours.
TEST(LineChart, NoTwoLinesLookAlike) {
    LineChart chart{"t", "x", "y", {}};
    for (int i = 0; i < 14; ++i) chart.lines.push_back({"line", {{0, 0}, {1, 1.0 + i}}});
    const std::string svg = line_chart_svg(chart);
    std::set<std::string> looks;
    for (std::string::size_type at = 0; (at = svg.find("<path class=\"l\" ", at)) != std::string::npos; ++at)
        looks.insert(svg.substr(at, svg.find(" d=", at) - at));
    EXPECT_EQ(looks.size(), 14u);
}

TEST(LineChart, DotsSayTheirNumbers) {
    LineChart chart{"t", "x", "y", {{"a&b", {{2, .5}, {4, .75}}}}};
    chart.lines[0].marked = true;
    EXPECT_THAT(line_chart_svg(chart), HasSubstr("<title>a&amp;b, 4: 0.75</title></circle>"));
}

TEST(LineChart, NamesAreText) {
    const std::string svg = line_chart_svg({"<script>&\"", "x", "y", {{"a<b", {{0, 0}, {1, 1}}}}});
    EXPECT_THAT(svg, Not(HasSubstr("<script>")));
    EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&amp;&quot;"));
    EXPECT_THAT(svg, HasSubstr("a&lt;b"));
}

TEST(LineChart, OnePointAndNone) {
    EXPECT_THAT(line_chart_svg({"t", "x", "y", {{"a", {{1, 0.5}}}}}), Not(HasSubstr("nan")));
    EXPECT_THROW(line_chart_svg({"t", "x", "y", {{"a", {}}}}), Error);
}

TEST(Charts, OfATrainingAndOfCurves) {
    const EpochResult epochs[] = {{.epoch = 1, .train_loss = 1, .val_loss = 2},
                                  {.epoch = 2, .train_loss = .5, .val_loss = 1}};
    EXPECT_EQ(training_svg(epochs), training_svg(epochs));
    EXPECT_THAT(training_svg(epochs), HasSubstr("balanced accuracy"));
    const std::vector<float> scores{.9f, .6f, .4f, .1f};
    const Curve curve = make_curve("a", scores, std::vector<uint8_t>{1, 0, 1, 0});
    EXPECT_THAT(roc_svg({curve}), HasSubstr("a 0.750"));
    const Curve one_sided = make_curve("b", scores, std::vector<uint8_t>{0, 0, 0, 0});
    EXPECT_THAT(roc_svg({one_sided}), Not(HasSubstr(">b ")));
    EXPECT_THAT(pr_svg({one_sided}), HasSubstr("no class has images of both kinds"));
    EXPECT_THAT(calibration_svg({calibrate("c", scores, std::vector<uint8_t>{1, 0, 1, 0})}), HasSubstr("c (ECE "));
}

// ---- waterfall ------------------------------------------------------------------------------------------------------

// Positions of the bars, in the order of drawing: left edge and width.
std::vector<std::pair<double, double>> bars_in(const std::string& svg) {
    std::vector<std::pair<double, double>> bars;
    for (size_t at = 0; (at = svg.find("<rect x=", at)) != std::string::npos; ++at) {
        const auto number = [&](const char* key) {
            const size_t from = svg.find(key, at) + std::string(key).size();
            return std::stod(svg.substr(from));
        };
        bars.emplace_back(number("x=\""), number("width=\""));
    }
    return bars;
}

TEST(Waterfall, EachBarBeginsWhereTheLastEnded) {
    Waterfall waterfall{"t", "ms", "ideal", "step", 4, {{"threads", 3, ""}, {"jitter", -1, ""}, {"<loader>", 2, ""}}};
    const std::string svg = waterfall_svg(waterfall, 460);
    const std::vector<std::pair<double, double>> bars = bars_in(svg);
    ASSERT_EQ(bars.size(), 5u);
    const double zero = bars[0].first, unit = bars[0].second / 4;  // pixels of a millisecond
    const std::vector<std::pair<double, double>> wanted{{0, 4}, {4, 3}, {6, 1}, {6, 2}, {0, 8}};
    for (size_t i = 0; i < bars.size(); ++i) {
        EXPECT_NEAR(bars[i].first, zero + unit * wanted[i].first, 0.02) << i;
        EXPECT_NEAR(bars[i].second, unit * wanted[i].second, 0.02) << i;
    }
    for (const char* text : {"threads: +3 ms", "jitter: -1 ms", "step: 8 ms", "&lt;loader&gt;", "+3.000", ">8.000<"})
        EXPECT_THAT(svg, HasSubstr(text));
    EXPECT_THAT(svg, Not(HasSubstr("the axis begins at")));
}

// Small losses on a long step would be slivers: the axis begins later, and says so.
TEST(Waterfall, AnAxisThatDoesNotBeginAtZeroSaysSo) {
    const std::string svg = waterfall_svg({"t", "ms", "ideal", "step", 100, {{"code", 1, ""}, {"loader", 2, ""}}}, 460);
    EXPECT_THAT(svg, HasSubstr("the axis begins at 97"));
    const std::vector<std::pair<double, double>> bars = bars_in(svg);
    EXPECT_NEAR(bars[2].second, 2 * bars[1].second, 0.02);
    EXPECT_THAT(waterfall_svg({"t", "ms", "ideal", "step", 0, {}}), Not(HasSubstr("nan")));
}

// ---- roofline -------------------------------------------------------------------------------------------------------

TEST(Roofline, PointsLieOnLogarithmicAxesUnderTheirRoofs) {
    RooflineChart chart{"t", 100, {{"memory", 10}}, {{"a", 1, 10, "on the slope"}, {"a", 100, 100, "under the roof"}}};
    const std::string svg = roofline_svg(chart, 464, 300);
    // x from 1 to 100 over 384 pixels, y from 10 to 100; the knee at 10 FLOP a byte.
    EXPECT_THAT(svg, HasSubstr("M64.00 266.00L256.00 58.00"));  // the slope
    EXPECT_THAT(svg, HasSubstr("M256.00 58.00H448.00"));        // the flat roof
    EXPECT_THAT(svg, HasSubstr("on the slope"));
    EXPECT_EQ(roofline_svg({"t", 100, {}, {{"a", 0, 10, ""}, {"b", 1, 0, ""}}}), "");
}

TEST(LineChart, WhatWasNotMeasuredIsHatched) {
    LineChart chart{"t", "x", "y", {{"a", {{0, 0}, {4, 4}}}}};
    chart.x_low = 0;
    chart.x_high = 4;
    EXPECT_THAT(line_chart_svg(chart), Not(HasSubstr("class=\"x\"")));
    chart.hatched_from = 2;
    const std::string svg = line_chart_svg(chart);
    const size_t at = svg.find("class=\"x\" d=\"");
    ASSERT_NE(at, std::string::npos);
    const double middle = 64 + (560 - 16 - 64) / 2.0;
    const std::string path = svg.substr(at + 13, svg.find('"', at + 13) - at - 13);
    for (size_t i = 0; i < path.size(); ++i)
        if (path[i] == 'M' || path[i] == 'L') {
            const double x = std::stod(path.substr(i + 1));
            EXPECT_GE(x, middle - 0.1);
            EXPECT_LE(x, 544.1);
        }
}

}  // namespace
}  // namespace xbench
