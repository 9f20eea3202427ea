// The CSV of predict and eval: id, label (the truth, empty where it is not known), predicted, p_0 .. p_{K-1}.
// Classes of a multi-label image are written as A|B.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

// The name of the class, or of the classes, of each image of a data set; "" where it is not known.
struct Truth {
    std::span<const int32_t> labels;   // {N} of a single-label set
    std::span<const uint8_t> targets;  // {N*K} of a multi-label set
    std::vector<std::string> class_names;
    std::string of(int64_t image) const;
};

// `names` are the model's classes; `ids` and `truth` are of the whole data set.
std::string predictions_csv(const Predictions& predictions, const std::vector<std::string>& names, bool multilabel,
                            const std::vector<std::string>& ids, const Truth& truth);

}  // namespace xbench
