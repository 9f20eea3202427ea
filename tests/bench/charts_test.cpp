// Charts: round ticks, positions that can be worked out, text that cannot break out of the markup, equal bytes.
#include "bench/runs/charts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "bench/draw/line_chart.h"
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
    // The legend's row is 18 high: from x 64 to 384, from y 266 (below) to 58.
    EXPECT_THAT(line_chart_svg(chart, 400, 300), HasSubstr("d=\"M64.00 266.00L384.00 58.00\""));
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
    // From x 64 to 384, from y 248 (below) to 40.
    EXPECT_THAT(line_chart_svg(chart, 400, 300), HasSubstr("d=\"M64.00 92.00L384.00 144.00L384.00 144.00L64.00 196.00Z\""));
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

}  // namespace
}  // namespace xbench
