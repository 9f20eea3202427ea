// What a training run or an evaluation is drawn as.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/evaluation.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

// Of at least one epoch: the losses, and the accuracies of the validation split, one chart below the other.
std::string training_svg(std::span<const EpochResult> history);
std::string roc_svg(const std::vector<Curve>& curves);  // classes of one kind of image only are left out
std::string pr_svg(const std::vector<Curve>& curves);
std::string calibration_svg(const std::vector<Calibration>& calibrations);  // outcome against confidence, bins of equal mass

}  // namespace xbench
