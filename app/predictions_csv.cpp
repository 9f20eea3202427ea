// One line an image, in the order of the predictions.
#include "app/predictions_csv.h"

#include <fmt/core.h>

#include <algorithm>

#include "data/import/csv.h"

namespace xbench {
namespace {

template <class IsOn>
std::string names_of(const std::vector<std::string>& names, IsOn is_on) {
    std::string text;
    for (size_t c = 0; c < names.size(); ++c)
        if (is_on(c)) text += (text.empty() ? "" : "|") + names[c];
    return text;
}

// The most probable class, or of a multi-label model every class from the threshold on.
std::string predicted(const float* row, const std::vector<std::string>& names, bool multilabel) {
    if (multilabel) return names_of(names, [&](size_t c) { return row[c] >= multilabel_threshold; });
    return names[static_cast<size_t>(std::max_element(row, row + names.size()) - row)];
}

}  // namespace

std::string Truth::of(int64_t image) const {
    const auto i = static_cast<size_t>(image);
    if (i < labels.size()) {
        const auto label = static_cast<size_t>(labels[i]);
        return label < class_names.size() ? class_names[label] : "";
    }
    const size_t k = class_names.size();
    if (targets.size() < (i + 1) * k) return "";
    return names_of(class_names, [&](size_t c) { return targets[i * k + c] == 1; });
}

std::string predictions_csv(const Predictions& predictions, const std::vector<std::string>& names, bool multilabel,
                            const std::vector<std::string>& ids, const Truth& truth) {
    std::string text = "id,label,predicted";
    for (size_t c = 0; c < names.size(); ++c) text += fmt::format(",p_{}", c);
    text += '\n';
    for (size_t i = 0; i < predictions.samples.size(); ++i) {
        const int64_t image = predictions.samples[i];
        const float* const row = predictions.probabilities.data() + i * names.size();
        text += csv_field(ids[static_cast<size_t>(image)]) + ',' + csv_field(truth.of(image)) + ',' +
                csv_field(predicted(row, names, multilabel));
        for (size_t c = 0; c < names.size(); ++c) text += fmt::format(",{:.9g}", row[c]);
        text += '\n';
    }
    return text;
}

}  // namespace xbench
