// Whether a probability means what it says. A confidence and an outcome an image:
//   single label  the top class' probability and whether that class is right (Guo et al., ICML 2017)
//   multi-label   the probability of a class and whether the image has it, a class at a time
// Bins are (low, high]; 0 belongs to the first one, 1 to the last, and there is none beyond.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

struct CalibrationBin {
    double low = 0, high = 0;
    int64_t count = 0;
    double confidence = 0, outcome = 0;  // means; 0 in an empty bin
};

// NaN where undefined.
struct Calibration {
    std::string name;
    int64_t count = 0;
    std::vector<CalibrationBin> equal_width, equal_mass;
    double ece = 0, mce = 0;    // mean and largest |confidence - outcome| over equal_width, the mean weighted by count
    double ece_equal_mass = 0;  // over bins that hold equally many images each
    double brier = 0;           // mean squared distance of confidence and outcome
    // outcome ~ s(intercept + slope logit(confidence)), by maximum likelihood; 0 and 1 are perfect. Confidences of exactly
    // 0 or 1 count as 1e-7 from there. Undefined where outcomes are all equal or can be parted by a threshold.
    double intercept = std::numeric_limits<double>::quiet_NaN(), slope = std::numeric_limits<double>::quiet_NaN();
};

Calibration calibrate(std::string name, std::span<const float> confidences, std::span<const uint8_t> outcomes,
                      int bins = 15);
// "top class" for single-label predictions, one a class for multi-label ones.
std::vector<Calibration> calibrate(const Predictions& predictions, const std::vector<std::string>& class_names,
                                   int bins = 15);

// Single label: the mean over images of the squared distance of all probabilities to the truth, summed over the classes
// (Brier 1950; for two classes twice the figure of one). Multi-label: averaged over the classes.
double brier_score(const Predictions& predictions);

// The T > 0 that makes softmax(log p / T), or s(logit p / T), most likely: to be fitted on a validation split only. NaN
// where no T is best (every image is right, or none).
double fit_temperature(const Predictions& predictions);

Json to_json(const std::vector<Calibration>& calibrations);
std::string calibration_csv(const std::vector<Calibration>& calibrations);  // class,bins,low,high,count,confidence,outcome

}  // namespace xbench
