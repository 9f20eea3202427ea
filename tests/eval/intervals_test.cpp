// DeLong's interval against values worked out elsewhere and against its definition over all pairs; the bootstrap against
// situations whose answer is known.
#include "eval/intervals.h"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/rng.h"
#include "eval/curves.h"
#include "eval/one_against_rest.h"
#include "tests/eval/expected.h"

namespace xbench {
namespace {

TEST(NormalQuantile, OfCommonLevels) {
    EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-13);
    EXPECT_NEAR(normal_quantile(0.025), -1.959963984540054, 1e-13);
    EXPECT_NEAR(normal_quantile(0.5), 0, 1e-15);
    EXPECT_NEAR(normal_quantile(0.995), 2.5758293035489004, 1e-13);
    EXPECT_NEAR(normal_quantile(1e-9), -5.997807015007687, 1e-12);
    EXPECT_THROW(normal_quantile(1), Error);
}

TEST(DeLong, OfTenImages) {
    const std::vector<uint8_t> truth{0, 0, 1, 1, 0, 1, 0, 1, 1, 0};
    const std::vector<float> scores{.1f, .4f, .35f, .8f, .4f, .4f, .2f, .9f, .4f, .7f};
    const AreaEstimate area = delong(scores, truth);
    EXPECT_NEAR(area.roc_auc, .72, 1e-15);
    EXPECT_NEAR(area.variance, .0288, 1e-15);
    EXPECT_NEAR(area.wald.low, .387383, 5e-7);
    EXPECT_NEAR(area.wald.high, 1.052617, 5e-7);
    EXPECT_NEAR(area.logit.low, .330611, 5e-7);
    EXPECT_NEAR(area.logit.high, .930497, 5e-7);
}

// The definition: a mean over all pairs, and the variances of each side's means.
AreaEstimate over_all_pairs(const std::vector<float>& scores, const std::vector<uint8_t>& truth) {
    std::vector<double> of_positive, of_negative(scores.size(), 0);
    double positive = 0, negative = 0;
    for (const uint8_t t : truth) (t ? positive : negative) += 1;
    for (size_t i = 0; i < scores.size(); ++i) {
        if (!truth[i]) continue;
        double wins = 0;
        for (size_t j = 0; j < scores.size(); ++j) {
            if (truth[j]) continue;
            const double won = scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
            wins += won / negative;
            of_negative[j] += won / positive;
        }
        of_positive.push_back(wins);
    }
    AreaEstimate area;
    area.roc_auc = std::accumulate(of_positive.begin(), of_positive.end(), 0.0) / positive;
    double a = 0, b = 0;
    for (const double v : of_positive) a += (v - area.roc_auc) * (v - area.roc_auc) / (positive - 1) / positive;
    for (size_t j = 0; j < scores.size(); ++j)
        if (!truth[j]) b += (of_negative[j] - area.roc_auc) * (of_negative[j] - area.roc_auc) / (negative - 1) / negative;
    area.variance = a + b;
    return area;
}

TEST(DeLong, IsItsDefinitionOverAllPairs) {
    for (uint32_t round = 0; round < 50; ++round) {
        Random random(11, RandomUse::test_data, round);
        const size_t n = 6 + random.below(60);
        std::vector<float> scores(n);
        std::vector<uint8_t> truth(n);
        for (size_t i = 0; i < n; ++i) {
            truth[i] = i < 2 || (i > 3 && random.below(3) == 0);                  // two of each at least
            scores[i] = static_cast<float>(random.below(8) + 2 * truth[i]) / 10;  // many ties
        }
        const AreaEstimate ours = delong(scores, truth), defined = over_all_pairs(scores, truth);
        EXPECT_NEAR(ours.roc_auc, defined.roc_auc, 1e-13) << "round " << round;
        EXPECT_NEAR(ours.variance, defined.variance, 1e-13) << "round " << round;
        EXPECT_NEAR(ours.roc_auc, make_curve("", scores, truth).roc_auc, 1e-13) << "round " << round;
    }
}

TEST(DeLong, SaysNothingWhereThereIsNothingToSay) {
    EXPECT_TRUE(std::isnan(delong(std::vector<float>{.1f, .2f}, std::vector<uint8_t>{1, 1}).roc_auc));
    const AreaEstimate one = delong(std::vector<float>{.1f, .2f, .3f}, std::vector<uint8_t>{0, 0, 1});
    EXPECT_EQ(one.roc_auc, 1);
    EXPECT_TRUE(std::isnan(one.variance));
    const AreaEstimate parted = delong(std::vector<float>{.1f, .2f, .3f, .4f}, std::vector<uint8_t>{0, 0, 1, 1});
    EXPECT_EQ(parted.variance, 0);
    EXPECT_TRUE(std::isnan(parted.logit.low));
    EXPECT_EQ(to_json(parted).at("logit"), nullptr);
}

// `right` of n two-class images are predicted right.
Predictions two_classes(int64_t n, int64_t right) {
    Predictions p;
    p.classes = 2;
    for (int64_t i = 0; i < n; ++i) {
        p.samples.push_back(i);
        p.labels.push_back(static_cast<int32_t>(i % 2));
        const bool second = (i % 2 == 1) == (i < right);
        p.probabilities.insert(p.probabilities.end(), {second ? .2f : .8f, second ? .8f : .2f});
    }
    return p;
}

const ScoreInterval& score(const Bootstrap& bootstrap, const std::string& name) {
    for (const ScoreInterval& one : bootstrap.scores)
        if (one.name == name) return one;
    throw Error("no score " + name, "test");
}

void expect_same(double ours, double theirs) {
    EXPECT_EQ(std::isnan(ours), std::isnan(theirs));
    EXPECT_TRUE(std::isnan(ours) || std::fabs(ours - theirs) < 1e-13) << ours << " " << theirs;
}

TEST(BootstrapScores, ValuesAreThoseOfTheMetrics) {
    const Json cases = expected_cases();
    for (const auto& [name, expected] : cases.items()) {
        SCOPED_TRACE(name);
        const Predictions p = predictions_of(expected);
        const std::vector<std::string> names = class_names_of(expected);
        const Metrics metrics = compute_metrics(p, names);
        const Bootstrap bootstrap = bootstrap_scores(p, names, {}, {.replicates = 10});
        EXPECT_NEAR(score(bootstrap, "accuracy").value, metrics.accuracy, 1e-15);
        EXPECT_NEAR(score(bootstrap, "balanced_accuracy").value, metrics.balanced_accuracy, 1e-15);
        EXPECT_NEAR(score(bootstrap, "macro f1").value, metrics.macro.f1, 1e-15);
        for (const ClassScore& one : metrics.per_class) {
            EXPECT_NEAR(score(bootstrap, one.name + " recall").value, one.recall, 1e-15) << one.name;
            EXPECT_NEAR(score(bootstrap, one.name + " precision").value, one.precision, 1e-15) << one.name;
            EXPECT_NEAR(score(bootstrap, one.name + " f1").value, one.f1, 1e-15) << one.name;
        }
        for (const Curve& curve : make_curves(p, names)) {
            expect_same(score(bootstrap, curve.name + " roc_auc").value, curve.roc_auc);
            expect_same(score(bootstrap, curve.name + " average_precision").value, curve.average_precision);
        }
    }
}

TEST(BootstrapScores, WidthIsTheBinomials) {
    const Bootstrap bootstrap = bootstrap_scores(two_classes(1000, 900), {"a", "b"}, {}, {.replicates = 4000});
    const double reach = 1.96 * std::sqrt(.9 * .1 / 1000);  // .0186
    EXPECT_FALSE(bootstrap.by_patient);
    EXPECT_NEAR(score(bootstrap, "accuracy").interval.low, .9 - reach, .0015);
    EXPECT_NEAR(score(bootstrap, "accuracy").interval.high, .9 + reach, .0015);
}

// Ten images of a patient that are all right or all wrong say no more than one.
TEST(BootstrapScores, PatientsCountOnceHoweverManyImagesTheyHave) {
    Predictions p;
    p.classes = 2;
    std::vector<std::string> patients;
    for (int64_t i = 0; i < 2000; ++i) {
        p.samples.push_back(i);
        p.labels.push_back(1);
        const bool right = i / 10 < 180;
        p.probabilities.insert(p.probabilities.end(), {right ? .2f : .8f, right ? .8f : .2f});
        patients.push_back("patient " + std::to_string(i / 10));
    }
    const Bootstrap bootstrap = bootstrap_scores(p, {"a", "b"}, patients, {.replicates = 4000});
    EXPECT_TRUE(bootstrap.by_patient);
    EXPECT_EQ(bootstrap.groups, 200);
    const double reach = 1.96 * std::sqrt(.9 * .1 / 200);  // .0416
    EXPECT_NEAR(score(bootstrap, "accuracy").interval.low, .9 - reach, .004);
    EXPECT_NEAR(score(bootstrap, "accuracy").interval.high, .9 + reach, .004);
    EXPECT_TRUE(std::isnan(score(bootstrap, "b roc_auc").interval.low));
    EXPECT_EQ(score(bootstrap, "b roc_auc").undefined, 4000);
}

// A single positive image is missing from 1/e of the replicates.
TEST(BootstrapScores, ReplicatesWithoutAScoreAreCounted) {
    Predictions p = two_classes(60, 50);
    for (int32_t& label : p.labels) label = 0;
    p.labels[7] = 1;
    const Bootstrap bootstrap = bootstrap_scores(p, {"a", "b"}, {}, {.replicates = 3000});
    EXPECT_NEAR(static_cast<double>(score(bootstrap, "b roc_auc").undefined) / 3000, std::pow(59.0 / 60, 60), .03);
    EXPECT_FALSE(std::isnan(score(bootstrap, "b roc_auc").interval.low));
    EXPECT_EQ(score(bootstrap, "accuracy").undefined, 0);
    const Json json = to_json(bootstrap);
    EXPECT_EQ(json.at("scores").at("b roc_auc").at("undefined_replicates"), score(bootstrap, "b roc_auc").undefined);
}

TEST(BootstrapScores, AreTheSameForAnyNumberOfThreads) {
    const Predictions p = two_classes(300, 240);
    const Json one = to_json(bootstrap_scores(p, {"a", "b"}, {}, {.replicates = 200, .seed = 5, .threads = 1}));
    EXPECT_EQ(one, to_json(bootstrap_scores(p, {"a", "b"}, {}, {.replicates = 200, .seed = 5, .threads = 4})));
    EXPECT_NE(one, to_json(bootstrap_scores(p, {"a", "b"}, {}, {.replicates = 200, .seed = 6, .threads = 1})));
}

}  // namespace
}  // namespace xbench
