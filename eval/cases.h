// Which images of an evaluation are worth looking at: where the model is surest of what is right, and of what is wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

struct EvaluatedCase {
    size_t row = 0;        // of the predictions
    int64_t of_class = 0;  // that is looked at
    std::string of_class_name;
    std::string kind;         // "right", "wrong", "false alarm", "missed"
    float probability = 0;    // of the class
    std::string truth, said;  // "Edema|Mass"; "" is none
};

// At most so many right ones, and so many wrong ones, each image once. The classes (of wrong single-label ones: the true
// ones) take turns, each with the cases that the model is surest of; ties go to the first image.
//   single label  of_class is what the model says
//   multi-label   right: a class that the image has and the model says; wrong: false alarms and missed ones, at
//                 `thresholds` (a class; none: multilabel_threshold)
struct EvaluatedCases {
    std::vector<EvaluatedCase> right, wrong;
};
EvaluatedCases choose_cases(const Predictions& predictions, const std::vector<std::string>& class_names,
                            std::span<const double> thresholds, size_t right, size_t wrong);

}  // namespace xbench
