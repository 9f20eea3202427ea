// A class of some predictions against all others: what curves, intervals, thresholds and calibration look at.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

struct OneAgainstRest {
    std::vector<uint32_t> images;  // {M} of which it is known whether they are of the class: places in the predictions
    std::vector<float> scores;     // {M} probability of the class
    std::vector<uint8_t> truth;    // {M} 1 where the image is of the class
};
OneAgainstRest one_against_rest(const Predictions& predictions, int64_t of_class);

}  // namespace xbench
