// From which probability on an image is called positive, class by class. Chosen on the validation split, kept with the
// weights, applied to the test split: a threshold that was chosen on the test split flatters.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

// Of the largest F1; of equal ones the highest, as it raises the fewest alarms. Without a positive image there is nothing to
// choose by: 0.5.
struct Threshold {
    double value = 0.5;
    double f1 = 0;         // at the threshold, of the images that it was chosen on
    int64_t positive = 0;  // such images
};

// Over every distinct score.
Threshold best_threshold(std::span<const float> scores, std::span<const uint8_t> truth);
// Over `points` thresholds from .01 to .99, as published for NIH ChestX-ray14 with 200 points.
Threshold best_threshold_on_grid(std::span<const float> scores, std::span<const uint8_t> truth, int points = 200);

std::vector<Threshold> best_thresholds(const Predictions& predictions);  // one a class, against the rest

// Each class against the rest, at its threshold.
std::vector<ClassScore> scores_at(const Predictions& predictions, const std::vector<std::string>& class_names,
                                  std::span<const double> thresholds);
// {"from": "validation split", class: {threshold, precision, recall, f1, support}}
Json to_json(const std::vector<ClassScore>& scores, std::span<const double> thresholds);

}  // namespace xbench
