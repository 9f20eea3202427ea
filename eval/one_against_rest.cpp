// One column of the probabilities and of the labels.
#include "eval/one_against_rest.h"

namespace xbench {

OneAgainstRest one_against_rest(const Predictions& p, int64_t of_class) {
    const auto n = static_cast<size_t>(p.count()), k = static_cast<size_t>(p.classes), c = static_cast<size_t>(of_class);
    OneAgainstRest column;
    for (size_t i = 0; i < n; ++i) {
        if (p.multilabel() && p.targets[i * k + c] == unknown_label) continue;
        const bool is = p.multilabel() ? p.targets[i * k + c] != 0 : p.labels[i] == static_cast<int32_t>(of_class);
        column.images.push_back(static_cast<uint32_t>(i));
        column.scores.push_back(p.probabilities[i * k + c]);
        column.truth.push_back(is ? 1 : 0);
    }
    return column;
}

}  // namespace xbench
