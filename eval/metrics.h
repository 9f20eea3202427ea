// What predictions are worth. All figures come from one Predictions object, gathered over ranks, each image once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace xbench {

struct Predictions {
    int64_t classes = 0;
    std::vector<int64_t> samples;            // {N} index in the data set
    std::vector<float> probabilities;        // {N*K}
    std::vector<int32_t> labels;             // {N}, single label
    std::vector<uint8_t> targets;            // {N*K}, multi-label
    double loss_sum = 0;                     // over the images
    bool multilabel() const { return !targets.empty(); }
    int64_t count() const { return static_cast<int64_t>(samples.size()); }
};

struct ClassScore {
    std::string name;
    int64_t support = 0;                     // images that are of the class
    double precision = 0, recall = 0, f1 = 0;   // 0 where a denominator is 0, as scikit-learn with zero_division=0
};

struct Metrics {
    int64_t count = 0;
    double accuracy = 0, balanced_accuracy = 0, majority_baseline = 0, loss = 0;
    std::vector<ClassScore> per_class;
    ClassScore macro, weighted;              // averages of per_class
    std::vector<std::vector<int64_t>> confusion;   // [true][predicted]; single label only
};

Metrics compute_metrics(const Predictions& predictions, const std::vector<std::string>& class_names);
Json to_json(const Metrics& metrics);                       // the keys of INTERFACE.md's metrics.json
std::string classification_report(const Metrics& metrics);  // scikit-learn's layout, and the majority baseline below it
std::string confusion_csv(const Metrics& metrics, const std::vector<std::string>& class_names);

}  // namespace xbench
