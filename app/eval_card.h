// The model card of an evaluation (bench/runs/model_card.h): gathers what it says, and draws the cases that it shows.
#pragma once

#include <string>
#include <vector>

#include "app/checkpoint_input.h"
#include "data/set/image_set.h"
#include "eval/evaluation.h"
#include "eval/subgroups.h"

namespace xbench {

struct CardRequest {
    const LoadedModel& model;
    const Dataset& dataset;
    const SetRecords& records;  // of the same set
    const Predictions& predictions;
    const Evaluation& evaluation;
    const std::vector<Subgroup>& subgroups;
    std::string set, split, layer;  // layer: empty, the last convolution
    int64_t cases;                  // right ones, and as many wrong ones
    Device& device;
};

std::string model_card_of(const CardRequest& request);

}  // namespace xbench
