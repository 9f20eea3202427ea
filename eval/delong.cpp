// DeLong's variance by midranks (Sun and Xu, IEEE Signal Processing Letters 21, 2014): n log n instead of pairs.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "eval/intervals.h"

namespace xbench {
namespace {

// Ranks from 1; equal scores share the mean of theirs.
std::vector<double> midranks(const std::vector<float>& scores) {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
    std::vector<double> ranks(scores.size());
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        for (end = begin; end < order.size() && scores[order[end]] == scores[order[begin]];) ++end;
        const double rank = (static_cast<double>(begin + 1) + static_cast<double>(end)) / 2;
        for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
    }
    return ranks;
}

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double sample_variance(const std::vector<double>& values) {
    const double middle = mean(values);
    double sum = 0;
    for (const double value : values) sum += (value - middle) * (value - middle);
    return values.size() < 2 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(values.size() - 1);
}

// How often an image outscores those of the other side, ties half: its rank among all less its rank among its own.
std::vector<double> placements(const std::vector<float>& own, const std::vector<double>& rank_among_all, size_t first_of_own,
                               size_t others) {
    std::vector<double> placed = midranks(own);
    for (size_t i = 0; i < own.size(); ++i)
        placed[i] = (rank_among_all[first_of_own + i] - placed[i]) / static_cast<double>(others);
    return placed;
}

}  // namespace

double normal_quantile(double q) {
    if (!(q > 0 && q < 1)) throw Error("has no normal quantile", std::to_string(q));
    double x = 0;
    for (int i = 0; i < 200; ++i) {  // Newton's method on log Phi, which is concave: it cannot overshoot for long
        const double tail = q < 0.5 ? 0.5 * std::erfc(-x / std::sqrt(2.0)) : 0.5 * std::erfc(x / std::sqrt(2.0));
        const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0));
        const double wanted = q < 0.5 ? q : 1 - q;
        const double step = tail * std::log(tail / wanted) / density * (q < 0.5 ? -1 : 1);
        x += step;
        if (std::fabs(step) < 1e-15 * (1 + std::fabs(x))) break;
    }
    return x;
}

AreaEstimate delong(std::span<const float> scores, std::span<const uint8_t> truth, double level) {
    if (scores.size() != truth.size()) throw Error("has not as many scores as labels", "DeLong's interval");
    std::vector<float> positive, all;
    for (size_t i = 0; i < scores.size(); ++i)
        if (truth[i] != 0) positive.push_back(scores[i]);
    std::vector<float> negative;
    for (size_t i = 0; i < scores.size(); ++i)
        if (truth[i] == 0) negative.push_back(scores[i]);
    AreaEstimate area;
    if (positive.empty() || negative.empty()) return area;

    all = positive;
    all.insert(all.end(), negative.begin(), negative.end());
    const std::vector<double> ranks = midranks(all);
    const std::vector<double> above = placements(positive, ranks, 0, negative.size());
    const std::vector<double> below = placements(negative, ranks, positive.size(), positive.size());
    area.roc_auc = mean(above);
    area.variance = sample_variance(above) / static_cast<double>(positive.size()) +
                    sample_variance(below) / static_cast<double>(negative.size());
    if (std::isnan(area.variance)) return area;
    const double reach = normal_quantile((1 + level) / 2) * std::sqrt(area.variance);
    area.wald = {area.roc_auc - reach, area.roc_auc + reach};
    const double slope = area.roc_auc * (1 - area.roc_auc);
    if (slope <= 0) return area;
    const auto inverse = [](double logit) { return 1 / (1 + std::exp(-logit)); };
    const double logit = std::log(area.roc_auc / (1 - area.roc_auc));
    area.logit = {inverse(logit - reach / slope), inverse(logit + reach / slope)};
    return area;
}

}  // namespace xbench
