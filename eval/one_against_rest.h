// A class of some predictions against all others: what curves, intervals, thresholds and calibration look at.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

struct OneAgainstRest {
    std::vector<float> scores;   // {N} probability of the class
    std::vector<uint8_t> truth;  // {N} 1 where the image is of the class
};
OneAgainstRest one_against_rest(const Predictions& predictions, int64_t of_class);

}  // namespace xbench
