// One pass over the scores from high to low; images with equal scores are decided together, as no threshold parts them.
#include "eval/curves.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

#include "core/error.h"
#include "core/json_number.h"
#include "data/import/csv.h"
#include "eval/one_against_rest.h"

namespace xbench {
namespace {

// Trapezoids under the ROC curve, steps under the precision-recall curve (no interpolation: it is too optimistic there).
void add_areas(Curve& curve) {
    const bool both = curve.positive > 0 && curve.negative > 0;
    double area = 0, precision = 0, last_fpr = 0, last_tpr = 0;
    for (const CurvePoint& point : curve.points) {
        area += (point.false_positive_rate - last_fpr) * (point.true_positive_rate + last_tpr) / 2;
        precision += (point.true_positive_rate - last_tpr) * point.precision;
        last_fpr = point.false_positive_rate;
        last_tpr = point.true_positive_rate;
    }
    if (both) curve.roc_auc = area;
    if (curve.positive > 0) curve.average_precision = precision;
}

}  // namespace

Curve make_curve(std::string name, std::span<const float> scores, std::span<const uint8_t> truth) {
    if (scores.size() != truth.size())
        throw Error(fmt::format("{} scores, {} labels", scores.size(), truth.size()), "curve");
    Curve curve;
    curve.name = std::move(name);
    curve.positive = std::count_if(truth.begin(), truth.end(), [](uint8_t t) { return t != 0; });
    curve.negative = static_cast<int64_t>(truth.size()) - curve.positive;

    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    double hits = 0, false_alarms = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        (truth[order[i]] != 0 ? hits : false_alarms) += 1;
        if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]]) continue;
        CurvePoint point;
        point.threshold = static_cast<double>(scores[order[i]]);
        point.false_positive_rate = curve.negative > 0 ? false_alarms / static_cast<double>(curve.negative) : 0;
        point.true_positive_rate = curve.positive > 0 ? hits / static_cast<double>(curve.positive) : 0;
        point.precision = hits / (hits + false_alarms);
        curve.points.push_back(point);
    }
    add_areas(curve);
    return curve;
}

std::vector<Curve> make_curves(const Predictions& p, const std::vector<std::string>& class_names) {
    std::vector<Curve> curves;
    for (int64_t c = 0; c < p.classes; ++c) {
        const OneAgainstRest column = one_against_rest(p, c);
        curves.push_back(make_curve(class_names[static_cast<size_t>(c)], column.scores, column.truth));
    }
    return curves;
}

Json to_json(const std::vector<Curve>& curves) {
    Json json = Json::object();
    for (const Curve& curve : curves) {
        json[curve.name] =
            Json{{"roc_auc", number_or_null(curve.roc_auc)}, {"average_precision", number_or_null(curve.average_precision)}};
    }
    return json;
}

std::string roc_csv(const std::vector<Curve>& curves) {
    std::string text = "class,threshold,false_positive_rate,true_positive_rate\n";
    for (const Curve& curve : curves) {
        text += fmt::format("{},inf,0,0\n", csv_field(curve.name));  // nothing is called positive
        for (const CurvePoint& point : curve.points) {
            text += fmt::format("{},{:.9g},{:.9g},{:.9g}\n", csv_field(curve.name), point.threshold,
                                point.false_positive_rate, point.true_positive_rate);
        }
    }
    return text;
}

std::string pr_csv(const std::vector<Curve>& curves) {
    std::string text = "class,threshold,recall,precision\n";
    for (const Curve& curve : curves) {
        for (const CurvePoint& point : curve.points) {
            text += fmt::format("{},{:.9g},{:.9g},{:.9g}\n", csv_field(curve.name), point.threshold,
                                point.true_positive_rate, point.precision);
        }
    }
    return text;
}

}  // namespace xbench
