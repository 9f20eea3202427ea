// What a training run or an evaluation is drawn as.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/evaluation.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

// Of at least one epoch: the losses, and the accuracies of the validation split, one chart below the other.
std::string training_svg(std::span<const EpochResult> history, int width = 560, int height = 360);
std::vector<std::string> training_svgs(std::span<const EpochResult> history, int width, int height);  // each alone
// Classes of one kind of image only are left out.
std::string roc_svg(const std::vector<Curve>& curves, int width = 460, int height = 440);
std::string pr_svg(const std::vector<Curve>& curves, int width = 460, int height = 440);
// Outcome against confidence, bins of equal mass.
std::string calibration_svg(const std::vector<Calibration>& calibrations, int width = 460, int height = 440);

}  // namespace xbench
