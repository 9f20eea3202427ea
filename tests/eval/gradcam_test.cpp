// The arithmetic of Grad-CAM by hand and against torch's interpolate; which cases are shown; scores of subgroups.
#include "eval/gradcam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "eval/cases.h"
#include "eval/subgroups.h"
#include "models/registry.h"

namespace xbench {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

TEST(GradCam, ReluComesBeforeEnlarging) {
    const std::vector<float> values{-1, 1}, gradients{1, 1};
    const std::vector<float> map = gradcam_map(values, gradients, 1);
    EXPECT_THAT(map, ElementsAre(0, 1));
    EXPECT_THAT(enlarged(map, 1, 2, 1, 4), ElementsAre(0, .25f, .75f, 1));
}

TEST(GradCam, CentresOfPixelsAreInterpolatedNotCorners) {
    const std::vector<float> map{0, 1, 2, 3};
    const std::vector<float> large = enlarged(map, 2, 2, 4, 4);
    EXPECT_THAT(std::vector<float>(large.begin(), large.begin() + 4), ElementsAre(0, .25f, .75f, 1));
    EXPECT_THAT(std::vector<float>(large.end() - 4, large.end()), ElementsAre(2, 2.25f, 2.75f, 3));
    EXPECT_THAT(enlarged(map, 2, 2, 2, 2), ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(enlarged(map, 2, 2, 1, 1), ElementsAre(1.5f));
}

TEST(GradCam, AChannelCountsByTheMeanOfItsGradient) {
    // Channel 0: mean gradient 2; channel 1: -1.
    const std::vector<float> values{1, 0, 0, 1, 0, 3, 0, 1}, gradients{2, 2, 4, 0, -1, -1, 0, -2};
    EXPECT_THAT(gradcam_map(values, gradients, 2), ElementsAre(2, 0, 0, 1));
}

TEST(GradCam, IsDividedByItsMaximumNotStretchedFromItsMinimum) {
    std::vector<float> map{1, 2, 4}, nothing{0, 0};
    EXPECT_EQ(divide_by_maximum(map), 4);
    EXPECT_THAT(map, ElementsAre(.25f, .5f, 1));
    EXPECT_EQ(divide_by_maximum(nothing), 0);
    EXPECT_THAT(nothing, ElementsAre(0, 0));
}

Graph small_model() {
    ModelConfig config;
    config.name = "pneumonia_cnn";
    config.size = 16;
    return build_model(resolve_model(config));
}

std::string refusal(const Graph& graph, const std::string& layer) {
    try {
        gradcam_layer(graph, layer);
    } catch (const UsageError& error) {
        return error.what();
    }
    return {};
}

TEST(GradCam, TheLastConvolutionUnlessALayerIsNamed) {
    const Graph graph = small_model();
    EXPECT_EQ(graph.value(gradcam_layer(graph, "")).name, "f.8");
    EXPECT_EQ(graph.value(gradcam_layer(graph, "f.2")).name, "f.2");
    EXPECT_THAT(refusal(graph, "f.80"), HasSubstr("f.8 (conv2d)"));
    EXPECT_THAT(refusal(graph, "f.14"), HasSubstr("gives images"));  // the linear layer
}

Predictions predictions_of(std::vector<float> probabilities, std::vector<int32_t> labels, int64_t classes) {
    Predictions p;
    p.classes = classes;
    p.probabilities = std::move(probabilities);
    p.labels = std::move(labels);
    for (size_t i = 0; i < p.labels.size(); ++i) p.samples.push_back(static_cast<int64_t>(10 + i));
    return p;
}

std::vector<size_t> rows(const std::vector<EvaluatedCase>& cases) {
    std::vector<size_t> all;
    for (const EvaluatedCase& one : cases) all.push_back(one.row);
    return all;
}

TEST(Cases, ClassesTakeTurnsWithWhatTheModelIsSurestOf) {
    // Right: 0 (a .9), 1 (a .8), 3 (b .6). Wrong: 2 (b said a .95), 4 (a said b .7), 5 (b said a .55).
    const Predictions p =
        predictions_of({.9f, .1f, .8f, .2f, .95f, .05f, .4f, .6f, .3f, .7f, .55f, .45f}, {0, 0, 1, 1, 0, 1}, 2);
    const EvaluatedCases cases = choose_cases(p, {"a", "b"}, {}, 2, 10);
    EXPECT_THAT(rows(cases.right), ElementsAre(0, 3));
    EXPECT_THAT(rows(cases.wrong), ElementsAre(4, 2, 5));
    EXPECT_EQ(cases.wrong[1].truth, "b");
    EXPECT_EQ(cases.wrong[1].said, "a");
    EXPECT_EQ(cases.wrong[1].of_class, 0);
    EXPECT_TRUE(choose_cases(p, {"a", "b"}, {}, 0, 0).wrong.empty());
}

TEST(Cases, OfSeveralLabelsAreFalseAlarmsAndMissedOnesAtTheThresholds) {
    Predictions p;
    p.classes = 2;
    p.samples = {0, 1, 2, 3};
    p.probabilities = {.9f, .1f, .6f, .2f, .3f, .3f, .2f, .8f};
    p.targets = {1, 0, 0, 0, 1, 0, 0, 255};  // nobody knows about b of image 3
    const std::vector<double> thresholds{.5, .5};
    const EvaluatedCases cases = choose_cases(p, {"a", "b"}, thresholds, 10, 10);
    ASSERT_EQ(cases.right.size(), 1u);
    EXPECT_EQ(cases.right[0].row, 0u);
    ASSERT_EQ(cases.wrong.size(), 2u);
    EXPECT_EQ(cases.wrong[0].kind, "missed");
    EXPECT_EQ(cases.wrong[0].row, 2u);
    EXPECT_EQ(cases.wrong[1].kind, "false alarm");
    EXPECT_EQ(cases.wrong[1].said, "a");
    EXPECT_EQ(cases.wrong[1].truth, "");
    const std::vector<double> low{.25, .5};  // at which image 2 is no longer missed
    EXPECT_EQ(choose_cases(p, {"a", "b"}, low, 10, 10).right.size(), 2u);
}

TEST(Subgroups, AreScoredLikeTheWholeAndColumnsOfOneValueAreNone) {
    const Predictions p = predictions_of({.9f, .1f, .2f, .8f, .3f, .7f, .6f, .4f}, {0, 1, 0, 1}, 2);
    MetaColumns columns;
    columns["sex"] = std::vector<std::string>(14);
    columns["view"] = std::vector<std::string>(14, "PA");
    columns["age"] = std::vector<std::string>(14);
    for (size_t i = 0; i < 4; ++i) columns["sex"][10 + i] = i < 2 ? "F" : "M";
    columns["age"][10] = "058Y", columns["age"][11] = "64", columns["age"][12] = "17.5";
    BootstrapOptions options;
    options.replicates = 50;
    const std::vector<Subgroup> all = score_subgroups(p, {"a", "b"}, {}, columns, options);
    std::vector<std::string> names;
    for (const Subgroup& group : all) names.push_back(group.column + " " + group.value);
    EXPECT_THAT(names, ElementsAre("age 0-17", "age 40-64", "age not known", "sex F", "sex M"));
    EXPECT_EQ(all[1].images, 2);
    EXPECT_EQ(all[3].scores.scores[0].value, 1);  // accuracy of 10 and 11
    EXPECT_EQ(all[4].scores.scores[0].value, 0);
    EXPECT_EQ(to_json(all)["sex"]["F"]["accuracy"]["value"], 1.0);
}

}  // namespace
}  // namespace xbench
