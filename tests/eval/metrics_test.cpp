// Metrics against scikit-learn's numbers, against published confusion matrices, and on predictions that make no sense.
#include "eval/metrics.h"

#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/eval/expected.h"

namespace xbench {
namespace {

constexpr double tolerance = 1e-12;

// Predictions with exactly this confusion matrix.
Predictions from_confusion(const std::vector<std::vector<int>>& confusion) {
    Predictions p;
    p.classes = static_cast<int64_t>(confusion.size());
    for (size_t truth = 0; truth < confusion.size(); ++truth) {
        for (size_t predicted = 0; predicted < confusion.size(); ++predicted) {
            for (int i = 0; i < confusion[truth][predicted]; ++i) {
                p.samples.push_back(p.count());
                p.labels.push_back(static_cast<int32_t>(truth));
                for (size_t c = 0; c < confusion.size(); ++c) p.probabilities.push_back(c == predicted ? 0.9f : 0.1f);
            }
        }
    }
    return p;
}

void expect_equal(const ClassScore& ours, const Json& theirs) {
    SCOPED_TRACE(ours.name);
    EXPECT_EQ(ours.support, theirs.at("support").get<int64_t>());
    EXPECT_NEAR(ours.precision, theirs.at("precision").get<double>(), tolerance);
    EXPECT_NEAR(ours.recall, theirs.at("recall").get<double>(), tolerance);
    EXPECT_NEAR(ours.f1, theirs.at("f1").get<double>(), tolerance);
}

class AgainstScikitLearn : public testing::TestWithParam<const char*> {};

TEST_P(AgainstScikitLearn, EveryNumberIsEqual) {
    const Json expected = expected_cases().at(GetParam());
    const Metrics metrics = compute_metrics(predictions_of(expected), class_names_of(expected));
    EXPECT_NEAR(metrics.accuracy, expected.at("accuracy").get<double>(), tolerance);
    EXPECT_NEAR(metrics.balanced_accuracy, expected.at("balanced_accuracy").get<double>(), tolerance);
    EXPECT_NEAR(metrics.loss, 0.25, tolerance);
    ASSERT_EQ(metrics.per_class.size(), expected.at("per_class").size());
    for (const ClassScore& one : metrics.per_class) expect_equal(one, expected.at("per_class").at(one.name));
    expect_equal(metrics.macro, expected.at("macro"));
    expect_equal(metrics.weighted, expected.at("weighted"));
    if (metrics.multilabel) {
        expect_equal(metrics.micro, expected.at("micro"));
        expect_equal(metrics.samples, expected.at("samples"));
    } else {
        EXPECT_EQ(Json(metrics.confusion), expected.at("confusion"));
    }
}

TEST_P(AgainstScikitLearn, TheReportBeginsWithItsText) {
    const Json expected = expected_cases().at(GetParam());
    const std::string report = classification_report(compute_metrics(predictions_of(expected), class_names_of(expected)));
    EXPECT_THAT(report, testing::StartsWith(expected.at("report").get<std::string>()));
    EXPECT_THAT(report, testing::HasSubstr("majority baseline"));
    EXPECT_THAT(report, testing::HasSubstr("balanced accuracy"));
}

INSTANTIATE_TEST_SUITE_P(Cases, AgainstScikitLearn, testing::Values("two_classes", "five_classes", "four_labels"),
                         [](const auto& one) { return std::string(one.param); });

TEST(PublishedMatrices, ChestXrays) {
    const Metrics m = compute_metrics(from_confusion({{252, 59}, {11, 850}}), {"normal", "pneumonia"});
    EXPECT_EQ(m.count, 1172);
    EXPECT_NEAR(m.accuracy, 0.9403, 5e-5);
    EXPECT_NEAR(m.per_class[0].precision, 0.96, 5e-3);
    EXPECT_NEAR(m.per_class[0].recall, 0.81, 5e-3);
    EXPECT_NEAR(m.per_class[0].f1, 0.878, 5e-4);
    EXPECT_NEAR(m.per_class[1].f1, 0.960, 5e-4);
    EXPECT_NEAR(m.macro.f1, 0.919, 5e-4);
    EXPECT_NEAR(m.majority_baseline, 861.0 / 1172, tolerance);
    EXPECT_EQ(m.majority_answer, "pneumonia");
}

TEST(PublishedMatrices, BoneFractureIsHardlyBetterThanAlwaysTheSameAnswer) {
    const Metrics m = compute_metrics(from_confusion({{311, 3}, {10, 5}}), {"fracture", "normal"});
    EXPECT_NEAR(m.accuracy, 0.960486, 5e-7);
    EXPECT_NEAR(m.balanced_accuracy, 0.662, 5e-4);
    EXPECT_NEAR(m.majority_baseline, 0.9544, 5e-5);
    EXPECT_NEAR(m.macro.f1, 0.71, 5e-3);
    EXPECT_EQ(m.per_class[1].support, 15);
}

TEST(Metrics, TiesGoToTheFirstClassAndTheThresholdIsInclusive) {
    Predictions single{.classes = 2, .samples = {1}, .probabilities = {0.5f, 0.5f}, .labels = {0}, .targets = {}};
    EXPECT_EQ(compute_metrics(single, {"a", "b"}).accuracy, 1);
    Predictions multi{.classes = 2, .samples = {1}, .probabilities = {0.5f, 0.499f}, .labels = {}, .targets = {1, 0}};
    EXPECT_EQ(compute_metrics(multi, {"a", "b"}).accuracy, 1);
}

TEST(Metrics, MultiLabelMajorityIsTheMostFrequentSet) {
    Predictions p;
    p.classes = 2;
    p.samples = {0, 1, 2, 3};
    p.targets = {1, 1, 1, 1, 0, 0, 1, 0};
    p.probabilities = std::vector<float>(8, 0.7f);
    const Metrics m = compute_metrics(p, {"a", "b"});
    EXPECT_EQ(m.majority_answer, "a|b");
    EXPECT_EQ(m.majority_baseline, 0.5);
    EXPECT_EQ(m.accuracy, 0.5);
    EXPECT_TRUE(m.confusion.empty());
}

TEST(Metrics, JsonHasTheKeysThatScriptsRelyOn) {
    const Json json = to_json(compute_metrics(from_confusion({{2, 1}, {0, 3}}), {"a", "b"}));
    for (const char* key :
         {"accuracy", "balanced_accuracy", "majority_baseline", "loss", "per_class", "macro", "weighted", "confusion"}) {
        EXPECT_TRUE(json.contains(key)) << key;
    }
    EXPECT_EQ(json["confusion"], Json::parse("[[2,1],[0,3]]"));
    EXPECT_DOUBLE_EQ(json["per_class"]["b"]["precision"].get<double>(), 0.75);
}

TEST(Metrics, ConfusionCsvQuotesNames) {
    const std::vector<std::string> names{"a,b", "say \"c\""};
    EXPECT_EQ(confusion_csv(compute_metrics(from_confusion({{2, 1}, {0, 3}}), names), names),
              "true\\predicted,\"a,b\",\"say \"\"c\"\"\"\n\"a,b\",2,1\n\"say \"\"c\"\"\",0,3\n");
}

TEST(Metrics, PredictionsThatDoNotFitAreRefused) {
    const std::vector<std::string> names{"a", "b"};
    const Predictions good = from_confusion({{2, 1}, {0, 3}});
    EXPECT_NO_THROW(compute_metrics(good, names));
    EXPECT_THROW(compute_metrics(good, {"a"}), Error);
    Predictions bad;
    bad.classes = 2;
    EXPECT_THROW(compute_metrics(bad, names), Error) << "no predictions at all";
    bad = good;
    bad.labels[2] = 2;
    EXPECT_THROW(compute_metrics(bad, names), Error);
    bad = good;
    bad.samples[1] = bad.samples[0];
    EXPECT_THROW(compute_metrics(bad, names), Error) << "an image counted twice";
    bad = good;
    bad.probabilities.pop_back();
    EXPECT_THROW(compute_metrics(bad, names), Error);
    bad = good;
    bad.probabilities[3] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THROW(compute_metrics(bad, names), Error) << "a diverged training must not count as class 0";
}

}  // namespace
}  // namespace xbench
