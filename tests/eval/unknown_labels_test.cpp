// Labels that nobody knows (255) change nothing: not a score, curve, interval, threshold or calibration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"
#include "eval/evaluation.h"
#include "eval/thresholds.h"

namespace xbench {
namespace {

const std::vector<std::string> names{"a", "b", "c"};

Predictions random_predictions(uint64_t seed, int64_t images) {
    Random random(seed, RandomUse::test_data);
    Predictions p;
    p.classes = 3;
    for (int64_t i = 0; i < images; ++i) {
        p.samples.push_back(i);
        for (int64_t k = 0; k < p.classes; ++k) {
            p.probabilities.push_back(static_cast<float>(random.below(20)) / 20);
            p.targets.push_back(random.below(4) == 0 ? unknown_label : static_cast<uint8_t>(random.below(2)));
        }
    }
    return p;
}

EvaluationOptions options_of(const Predictions& p) {
    EvaluationOptions options;
    options.bootstrap.replicates = 50;
    for (const Threshold& threshold : best_thresholds(p)) options.thresholds.push_back(threshold.value);
    options.temperature = fit_temperature(p);
    return options;
}

std::string everything(const Predictions& p) {
    const Evaluation evaluation = evaluate(p, names, options_of(p));
    return json_text(to_json(evaluation)) + evaluation_report(evaluation) + roc_csv(evaluation.curves) +
           calibration_csv(evaluation.calibrations);
}

TEST(UnknownLabels, WhatIsPredictedForThemChangesNothing) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        Predictions p = random_predictions(seed, 40);
        const std::string before = everything(p);
        Random random(seed, RandomUse::test_data, 1);
        for (size_t i = 0; i < p.targets.size(); ++i)
            if (p.targets[i] == unknown_label) p.probabilities[i] = static_cast<float>(random.below(100)) / 100;
        EXPECT_EQ(everything(p), before) << seed;
    }
}

// A class's curve is that of the images that say whether they have it.
TEST(UnknownLabels, AreNoImagesOfTheCurve) {
    const Predictions p = random_predictions(9, 30);
    const auto curves = make_curves(p, names);
    for (size_t k = 0; k < names.size(); ++k) {
        std::vector<float> scores;
        std::vector<uint8_t> truth;
        for (size_t i = k; i < p.targets.size(); i += names.size()) {
            if (p.targets[i] == unknown_label) continue;
            scores.push_back(p.probabilities[i]);
            truth.push_back(p.targets[i]);
        }
        const Curve alone = make_curve(names[k], scores, truth);
        EXPECT_EQ(curves[k].roc_auc, alone.roc_auc);
        EXPECT_EQ(curves[k].positive + curves[k].negative, static_cast<int64_t>(truth.size()));
    }
}

TEST(UnknownLabels, AClassOfThemAloneHasNoScores) {
    Predictions p = random_predictions(3, 20);
    for (size_t i = 1; i < p.targets.size(); i += names.size()) p.targets[i] = unknown_label;
    const Json json = to_json(evaluate(p, names, options_of(p)));
    EXPECT_TRUE(json["calibration"]["b"]["ece_15_equal_bins"].is_null());
    EXPECT_EQ(json["calibration"]["b"]["images"], 0);
    EXPECT_TRUE(json["curves"]["b"]["roc_auc"].is_null());
}

}  // namespace
}  // namespace xbench
