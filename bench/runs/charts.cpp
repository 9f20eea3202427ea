// Series of numbers as lines of a chart.
#include "bench/runs/charts.h"

#include <cmath>

#include <fmt/format.h>

#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

template <class Of>
ChartLine line_of(std::string name, std::span<const EpochResult> history, bool dashed, const Of& of) {
    ChartLine line{std::move(name), {}, dashed, history.size() <= 30, false};
    for (const EpochResult& epoch : history) line.points.emplace_back(static_cast<double>(epoch.epoch), of(epoch));
    return line;
}

LineChart losses(std::span<const EpochResult> history) {
    LineChart chart{"Loss", "epoch", "loss per image", {}};
    chart.whole_x = true;
    chart.lines = {line_of("training", history, false, [](const EpochResult& e) { return e.train_loss; }),
                   line_of("validation", history, true, [](const EpochResult& e) { return e.val_loss; })};
    return chart;
}

LineChart accuracies(std::span<const EpochResult> history) {
    LineChart chart{"Accuracy on the validation split", "epoch", "accuracy", {}};
    chart.whole_x = true;
    chart.lines = {
        line_of("accuracy", history, false, [](const EpochResult& e) { return e.val_accuracy; }),
        line_of("balanced accuracy", history, true, [](const EpochResult& e) { return e.val_balanced_accuracy; })};
    return chart;
}

bool has_both(const Curve& curve) { return curve.positive > 0 && curve.negative > 0; }

LineChart unit_square(std::string title, std::string x_label, std::string y_label) {
    LineChart chart{std::move(title), std::move(x_label), std::move(y_label), {}};
    chart.x_low = chart.y_low = 0;
    chart.x_high = chart.y_high = 1;
    return chart;
}

const ChartLine diagonal{"", {{0, 0}, {1, 1}}, true, false, true};

}  // namespace

std::string training_svg(std::span<const EpochResult> history, int width, int height) {
    return stacked_charts_svg({losses(history), accuracies(history)}, width, height);
}

std::vector<std::string> training_svgs(std::span<const EpochResult> history, int width, int height) {
    return {line_chart_svg(losses(history), width, height), line_chart_svg(accuracies(history), width, height)};
}

std::string roc_svg(const std::vector<Curve>& curves, int width, int height) {
    LineChart chart = unit_square("ROC", "false positive rate", "true positive rate");
    for (const Curve& curve : curves) {
        if (!has_both(curve)) continue;
        ChartLine line{fmt::format("{} {:.3f}", curve.name, curve.roc_auc), {{0, 0}}};
        for (const CurvePoint& point : curve.points)
            line.points.emplace_back(point.false_positive_rate, point.true_positive_rate);
        chart.lines.push_back(std::move(line));
    }
    chart.lines.push_back(diagonal);
    return line_chart_svg(chart, width, height);
}

std::string pr_svg(const std::vector<Curve>& curves, int width, int height) {
    LineChart chart = unit_square("Precision and recall", "recall", "precision");
    for (const Curve& curve : curves) {
        if (!has_both(curve) || curve.points.empty()) continue;
        ChartLine line{fmt::format("{} {:.3f}", curve.name, curve.average_precision), {}};
        for (const CurvePoint& point : curve.points) line.points.emplace_back(point.true_positive_rate, point.precision);
        chart.lines.push_back(std::move(line));
    }
    if (chart.lines.empty())
        chart.lines.push_back({"no class has images of both kinds", {{0, 0}, {1, 0}}, true, false, true});
    return line_chart_svg(chart, width, height);
}

std::string calibration_svg(const std::vector<Calibration>& calibrations, int width, int height) {
    LineChart chart = unit_square("Calibration", "confidence", "share that is right");
    for (const Calibration& one : calibrations) {
        if (one.count == 0) continue;
        ChartLine line{fmt::format("{} (ECE {:.3f})", one.name, one.ece), {}, false, true, false};
        for (const CalibrationBin& bin : one.equal_mass) line.points.emplace_back(bin.confidence, bin.outcome);
        chart.lines.push_back(std::move(line));
    }
    chart.lines.push_back(diagonal);
    return line_chart_svg(chart, width, height);
}

}  // namespace xbench
