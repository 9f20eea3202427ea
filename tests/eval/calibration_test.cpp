// Calibration and thresholds on cases that can be worked out by hand, and fits against the equations that they solve.
#include "eval/calibration.h"

#include <cmath>

#include <gtest/gtest.h>

#include "core/rng.h"
#include "eval/thresholds.h"

namespace xbench {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<uint8_t>;

TEST(Calibrate, ConfidenceOneBelongsToTheLastBin) {
    const Calibration result = calibrate("x", Floats{.95f, 1.0f}, Bytes{1, 0});
    EXPECT_NEAR(result.ece, .475, 1e-7);
    EXPECT_EQ(result.equal_width.size(), 15u);
    EXPECT_EQ(result.equal_width.back().count, 2);
}

TEST(Calibrate, TwoBins) {
    const Calibration result = calibrate("x", Floats{.25f, .25f, .55f, .75f, .75f}, Bytes{0, 0, 1, 1, 1}, 2);
    EXPECT_NEAR(result.ece, .29, 1e-7);
    EXPECT_NEAR(result.mce, .316667, 5e-7);
    EXPECT_TRUE(std::isnan(result.slope));  // a threshold parts the outcomes
}

TEST(Calibrate, EdgesBelongToTheLowerBinAndZeroToTheFirst) {
    const Calibration result = calibrate("x", Floats{0, .5f, 1}, Bytes{0, 1, 1}, 2);
    EXPECT_EQ(result.equal_width[0].count, 2);
    EXPECT_EQ(result.equal_width[1].count, 1);
    EXPECT_NEAR(result.brier, .25 / 3, 1e-15);
}

TEST(Calibrate, BinsOfEqualMass) {
    const Calibration result = calibrate("x", Floats{.9f, .1f, .2f, .8f, .3f}, Bytes{1, 0, 0, 1, 1}, 2);
    ASSERT_EQ(result.equal_mass.size(), 2u);
    EXPECT_EQ(result.equal_mass[0].count, 2);
    EXPECT_NEAR(result.equal_mass[0].confidence, .15, 1e-7);
    EXPECT_NEAR(result.equal_mass[1].outcome, 1, 1e-15);
    EXPECT_NEAR(result.ece_equal_mass, (2 * .15 + 3 * (1 - 2.0 / 3)) / 5, 1e-7);
}

// At the maximum of the likelihood the errors are orthogonal to 1 and to the logits.
TEST(Calibrate, LineSolvesTheLikelihoodsEquations) {
    Random random(3, RandomUse::test_data);
    Floats confidences;
    Bytes outcomes;
    for (int i = 0; i < 500; ++i) {
        const float p = random.uniform(.02f, .98f);
        const double logit = std::log(static_cast<double>(p) / (1 - static_cast<double>(p)));
        confidences.push_back(p);
        outcomes.push_back(static_cast<double>(random.uniform()) < 1 / (1 + std::exp(-(.4 + .6 * logit))));
    }
    const Calibration result = calibrate("x", confidences, outcomes);
    EXPECT_NEAR(result.intercept, .4, .25);
    EXPECT_NEAR(result.slope, .6, .2);
    double error = 0, along = 0;
    for (size_t i = 0; i < confidences.size(); ++i) {
        const double p = static_cast<double>(confidences[i]), x = std::log(p / (1 - p));
        const double left = 1 / (1 + std::exp(-(result.intercept + result.slope * x))) - outcomes[i];
        error += left;
        along += left * x;
    }
    EXPECT_NEAR(error, 0, 1e-5);
    EXPECT_NEAR(along, 0, 1e-5);
}

Predictions three_classes(int64_t n, double sharpened) {
    Predictions p;
    p.classes = 3;
    Random random(4, RandomUse::test_data);
    for (int64_t i = 0; i < n; ++i) {
        double logits[3], honest[3], sum = 0, sharp = 0;
        for (double& z : logits) z = static_cast<double>(random.normal());
        for (int c = 0; c < 3; ++c) sum += honest[c] = std::exp(logits[c]);
        for (const double z : logits) sharp += std::exp(sharpened * z);
        for (const double z : logits) p.probabilities.push_back(static_cast<float>(std::exp(sharpened * z) / sharp));
        const double drawn = static_cast<double>(random.uniform()) * sum;
        p.labels.push_back(drawn < honest[0] ? 0 : drawn < honest[0] + honest[1] ? 1 : 2);
        p.samples.push_back(i);
    }
    return p;
}

TEST(Temperature, UndoesASharpening) {
    EXPECT_NEAR(fit_temperature(three_classes(8000, 1)), 1, .06);
    EXPECT_NEAR(fit_temperature(three_classes(8000, 2.5)), 2.5, .15);
}

TEST(Temperature, DoesNotExistWhereAllIsRight) {
    Predictions p;
    p.classes = 2;
    p.samples = {0, 1};
    p.labels = {0, 1};
    p.probabilities = {.8f, .2f, .3f, .7f};
    EXPECT_TRUE(std::isnan(fit_temperature(p)));
    EXPECT_NEAR(brier_score(p), (2 * .04 + 2 * .09) / 2, 1e-7);
}

TEST(Thresholds, HighestOfEqualF1) {
    // From .9: 1 of 2 found, F1 2/3; from .5: 1 of 2 and a false alarm; from .4: both found, F1 4/5.
    const Threshold best = best_threshold(Floats{.9f, .5f, .4f, .1f}, Bytes{1, 0, 1, 0});
    EXPECT_NEAR(best.value, .4, 1e-7);
    EXPECT_NEAR(best.f1, .8, 1e-15);
    EXPECT_EQ(best.positive, 2);
    // From .9, 1 hit: 2/3. From .2, 2 hits and 2 false alarms: 2/3.
    EXPECT_NEAR(best_threshold(Floats{.9f, .5f, .4f, .2f}, Bytes{1, 0, 0, 1}).value, .9, 1e-7);
}

TEST(Thresholds, WithoutAPositiveImage) {
    EXPECT_EQ(best_threshold(Floats{.9f, .5f}, Bytes{0, 0}).value, .5);
    EXPECT_EQ(best_threshold_on_grid(Floats{.9f, .5f}, Bytes{0, 0}).positive, 0);
}

TEST(Thresholds, EqualScoresAreDecidedTogetherAndNoThresholdBeatsTheBest) {
    for (uint32_t round = 0; round < 100; ++round) {
        Random random(5, RandomUse::test_data, round);
        Floats scores;
        Bytes truth;
        for (int i = 0; i < 30; ++i) {
            scores.push_back(static_cast<float>(random.below(10)) / 10);
            truth.push_back(random.below(3) == 0);
        }
        const Threshold best = best_threshold(scores, truth), grid = best_threshold_on_grid(scores, truth);
        EXPECT_GE(best.f1, grid.f1) << "round " << round;
        Predictions p;
        p.classes = 1;
        p.probabilities = scores;
        p.targets = truth;
        for (int64_t i = 0; i < 30; ++i) p.samples.push_back(i);
        const auto f1_at = [&](double threshold) { return scores_at(p, {"x"}, std::vector{threshold})[0].f1; };
        EXPECT_EQ(f1_at(best.value), best.f1) << "round " << round;
        for (int i = 0; i <= 10; ++i) {
            const double threshold = static_cast<double>(static_cast<float>(i) / 10);
            EXPECT_LE(f1_at(threshold), best.f1) << "round " << round;
            EXPECT_TRUE(threshold <= best.value || f1_at(threshold) < best.f1) << "round " << round;
        }
    }
}

}  // namespace
}  // namespace xbench
