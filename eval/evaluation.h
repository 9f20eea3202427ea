// Everything that xbench says about the predictions for one split.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "eval/calibration.h"
#include "eval/curves.h"
#include "eval/intervals.h"
#include "eval/metrics.h"
#include "eval/thresholds.h"

namespace xbench {

struct EvaluationOptions {
    std::vector<std::string> groups;  // the patient of each prediction, as bootstrap_scores takes them
    std::vector<double> thresholds;   // a class, chosen on the validation split; none: nothing is said at thresholds
    double temperature = std::numeric_limits<double>::quiet_NaN();  // fitted on the validation split
    BootstrapOptions bootstrap;
};

struct Evaluation {
    Metrics metrics;
    std::vector<Curve> curves;        // a class, like areas
    std::vector<AreaEstimate> areas;  // assume that images are independent: not where patients have several
    double brier = 0;
    std::vector<Calibration> calibrations;
    double temperature = std::numeric_limits<double>::quiet_NaN();
    std::vector<double> thresholds;
    std::vector<ClassScore> at_thresholds;
    Bootstrap bootstrap;
};

Evaluation evaluate(const Predictions& predictions, const std::vector<std::string>& class_names,
                    const EvaluationOptions& options);
// metrics.json: the keys of the metrics, and curves, brier, calibration, at_thresholds, bootstrap.
Json to_json(const Evaluation& evaluation);
// The classification report with the intervals below it.
std::string evaluation_report(const Evaluation& evaluation);

}  // namespace xbench
