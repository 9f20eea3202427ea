// How far a score could be from what an endless test split would give. Two methods, for two situations:
//   DeLong     the area under a ROC curve where images are independent of each other. DeLong, DeLong and Clarke-Pearson,
//              Biometrics 44, 1988; on the logit scale the interval stays inside [0,1] (Pepe 2003, section 5.2).
//   bootstrap  any score, also where several images show one patient: patients are drawn with replacement, and all images
//              of a patient come along (Field and Welsh, JRSS B 69, 2007). Percentiles of the replicates.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

// NaN where there is none.
struct ConfidenceInterval {
    double low = std::numeric_limits<double>::quiet_NaN(), high = std::numeric_limits<double>::quiet_NaN();
};

// The variance is NaN with fewer than two images on either side; `logit` has no interval at an area of exactly 0 or 1.
struct AreaEstimate {
    double roc_auc = std::numeric_limits<double>::quiet_NaN();
    double variance = std::numeric_limits<double>::quiet_NaN();
    ConfidenceInterval wald, logit;
};
AreaEstimate delong(std::span<const float> scores, std::span<const uint8_t> truth, double level = 0.95);

// The q-quantile of the standard normal distribution, 0 < q < 1.
double normal_quantile(double q);

struct BootstrapOptions {
    int64_t replicates = 2000;
    uint64_t seed = 1;
    double level = 0.95;
    int threads = 1;  // the numbers are the same for any
};

// A replicate in which a score is undefined (no image of the class was drawn) does not count; there were so many.
struct ScoreInterval {
    std::string name;  // "accuracy", "macro f1", "pneumonia roc_auc"
    double value = 0;  // of all images, each once
    ConfidenceInterval interval;
    int64_t undefined = 0;
};

struct Bootstrap {
    BootstrapOptions options;
    int64_t groups = 0;       // that were drawn from
    bool by_patient = false;  // else each image is a group of its own
    std::vector<ScoreInterval> scores;
};

// `groups` names the patient of each prediction; empty: each image stands alone. An image without a name, too.
// Accuracy, balanced accuracy and macro F1, then precision, recall, F1, area under the ROC curve and average precision of
// each class, all from the same replicates. Undefined scores follow metrics.h and curves.h.
Bootstrap bootstrap_scores(const Predictions& predictions, const std::vector<std::string>& class_names,
                           std::span<const std::string> groups, const BootstrapOptions& options);

Json to_json(const Bootstrap& bootstrap);
Json to_json(const AreaEstimate& area);

}  // namespace xbench
