// What predictions are worth. All figures come from one Predictions object, gathered over ranks, with each image once.
// The numbers are those of scikit-learn (precision_recall_fscore_support with zero_division=0, accuracy_score,
// balanced_accuracy_score). A single-label prediction is the class with the largest probability, the first one in a tie. A
// multi-label prediction is every class with a probability of at least multilabel_threshold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "data/set/dataset.h"

namespace xbench {

inline constexpr float multilabel_threshold = 0.5f;

struct Predictions {
    int64_t classes = 0;
    std::vector<int64_t> samples;      // {N} index in the data set
    std::vector<float> probabilities;  // {N*K}
    std::vector<int32_t> labels;       // {N}, single label
    std::vector<uint8_t> targets;      // {N*K}, multi-label: 0, 1 or unknown_label
    double loss_sum = 0;               // over the images
    double loss_divisor = 0;           // what makes it the loss; 0: the number of images
    bool multilabel() const { return !targets.empty(); }
    int64_t count() const { return static_cast<int64_t>(samples.size()); }
};

struct ClassScore {
    std::string name;
    int64_t support = 0;                       // images that are of the class
    double precision = 0, recall = 0, f1 = 0;  // 0 where a denominator is 0, as scikit-learn with zero_division=0
};

// accuracy            share of images with the right class; multi-label: with exactly the right set of classes
// balanced_accuracy   mean recall of the classes that occur; multi-label: mean over the classes that have both positive
//                     and negative images of (sensitivity + specificity) / 2
// majority_baseline   the accuracy of always giving the most frequent answer
// loss                per image, or by the sum of the images' weights (train.class_weight_mean)
struct Metrics {
    int64_t count = 0;
    bool multilabel = false;
    double accuracy = 0, balanced_accuracy = 0, majority_baseline = 0, loss = 0;
    std::string majority_answer;  // "normal", "Edema|Mass", or "(none)" where no class applies
    std::vector<ClassScore> per_class;
    ClassScore macro, weighted;                   // averages of per_class
    ClassScore micro, samples;                    // multi-label only: over all decisions, and the mean over the images
    std::vector<std::vector<int64_t>> confusion;  // [true][predicted]; single label only
};

// Throws Error when predictions do not fit together: sizes, labels out of range, an image twice, a probability that is no
// number (a training that diverged).
Metrics compute_metrics(const Predictions& predictions, const std::vector<std::string>& class_names);
Json to_json(const Metrics& metrics);                       // the keys of metrics.json
std::string classification_report(const Metrics& metrics);  // scikit-learn's layout, and the majority baseline below it
std::string confusion_csv(const Metrics& metrics, const std::vector<std::string>& class_names);

}  // namespace xbench
