// F1 changes at scores only: the images are passed once from the highest to the lowest.
#include "eval/thresholds.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "eval/one_against_rest.h"

namespace xbench {
namespace {

int64_t positives(std::span<const uint8_t> truth) {
    return std::count_if(truth.begin(), truth.end(), [](uint8_t t) { return t != 0; });
}

struct Decisions {
    int64_t hits = 0, alarms = 0, misses = 0;  // alarms: false ones
    double f1() const {
        return hits > 0 ? 2 * static_cast<double>(hits) / static_cast<double>(2 * hits + alarms + misses) : 0;
    }
};

Decisions decide(std::span<const float> scores, std::span<const uint8_t> truth, double threshold) {
    Decisions decisions;
    for (size_t i = 0; i < scores.size(); ++i) {
        const bool said = static_cast<double>(scores[i]) >= threshold;
        decisions.hits += said && truth[i] != 0;
        decisions.alarms += said && truth[i] == 0;
        decisions.misses += !said && truth[i] != 0;
    }
    return decisions;
}

double ratio(int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

}  // namespace

Threshold best_threshold(std::span<const float> scores, std::span<const uint8_t> truth) {
    Threshold best{0.5, 0, positives(truth)};
    if (best.positive == 0) return best;
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    Decisions decisions{0, 0, best.positive};
    for (size_t i = 0; i < order.size(); ++i) {
        const bool positive = truth[order[i]] != 0;
        decisions.hits += positive;
        decisions.misses -= positive;
        decisions.alarms += !positive;
        if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]]) continue;
        if (decisions.f1() > best.f1) best = {static_cast<double>(scores[order[i]]), decisions.f1(), best.positive};
    }
    return best;
}

Threshold best_threshold_on_grid(std::span<const float> scores, std::span<const uint8_t> truth, int points) {
    Threshold best{0.5, 0, positives(truth)};
    if (best.positive == 0 || points < 2) return best;
    for (int i = points - 1; i >= 0; --i) {
        const double threshold = 0.01 + 0.98 * i / (points - 1), f1 = decide(scores, truth, threshold).f1();
        if (f1 > best.f1) best = {threshold, f1, best.positive};
    }
    return best;
}

std::vector<Threshold> best_thresholds(const Predictions& predictions) {
    std::vector<Threshold> thresholds;
    for (int64_t c = 0; c < predictions.classes; ++c) {
        const OneAgainstRest column = one_against_rest(predictions, c);
        thresholds.push_back(best_threshold(column.scores, column.truth));
    }
    return thresholds;
}

std::vector<ClassScore> scores_at(const Predictions& predictions, const std::vector<std::string>& class_names,
                                  std::span<const double> thresholds) {
    if (thresholds.size() != static_cast<size_t>(predictions.classes))
        throw Error("holds a threshold for another number of classes", "the checkpoint");
    std::vector<ClassScore> result;
    for (int64_t c = 0; c < predictions.classes; ++c) {
        const auto at = static_cast<size_t>(c);
        const OneAgainstRest column = one_against_rest(predictions, c);
        const Decisions decisions = decide(column.scores, column.truth, thresholds[at]);
        ClassScore score;
        score.name = class_names[at];
        score.support = decisions.hits + decisions.misses;
        score.precision = ratio(decisions.hits, decisions.hits + decisions.alarms);
        score.recall = ratio(decisions.hits, score.support);
        score.f1 = decisions.f1();
        result.push_back(std::move(score));
    }
    return result;
}

Json to_json(const std::vector<ClassScore>& scores, std::span<const double> thresholds) {
    Json json{{"from", "validation split"}};
    Json& classes = json["classes"] = Json::object();
    for (size_t c = 0; c < scores.size(); ++c) {
        classes[scores[c].name] = Json{{"threshold", thresholds[c]},
                                       {"precision", scores[c].precision},
                                       {"recall", scores[c].recall},
                                       {"f1", scores[c].f1},
                                       {"support", scores[c].support}};
    }
    return json;
}

}  // namespace xbench
