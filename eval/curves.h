// ROC and precision-recall curves of each class against the rest, and the areas under them, as in scikit-learn's roc_curve,
// precision_recall_curve, roc_auc_score and average_precision_score.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

// A decision "score >= threshold" and what it leads to.
struct CurvePoint {
    double threshold = 0;
    double false_positive_rate = 0, true_positive_rate = 0, precision = 0;  // recall is the true positive rate
};

// One point for each distinct score, from the strictest threshold to the laxest. Areas are NaN where only one class occurs.
struct Curve {
    std::string name;
    int64_t positive = 0, negative = 0;
    std::vector<CurvePoint> points;
    double roc_auc = std::numeric_limits<double>::quiet_NaN();
    double average_precision = std::numeric_limits<double>::quiet_NaN();
};

Curve make_curve(std::string name, std::span<const float> scores, std::span<const uint8_t> truth);
std::vector<Curve> make_curves(const Predictions& predictions, const std::vector<std::string>& class_names);

Json to_json(const std::vector<Curve>& curves);         // class -> {roc_auc, average_precision}, null where undefined
std::string roc_csv(const std::vector<Curve>& curves);  // class,threshold,false_positive_rate,true_positive_rate
std::string pr_csv(const std::vector<Curve>& curves);   // class,threshold,recall,precision

}  // namespace xbench
