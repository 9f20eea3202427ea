// Bins, and two maximum-likelihood fits in one and two parameters.
#include "eval/calibration.h"

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

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

double logit(float probability) {
    const double p = std::clamp(static_cast<double>(probability), 1e-7, 1 - 1e-7);
    return std::log(p / (1 - p));
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

void add(CalibrationBin& bin, float confidence, bool outcome) {
    ++bin.count;
    bin.confidence += static_cast<double>(confidence);
    bin.outcome += outcome;
}

void finish(std::vector<CalibrationBin>& bins) {
    for (CalibrationBin& bin : bins) {
        if (bin.count == 0) continue;
        bin.confidence /= static_cast<double>(bin.count);
        bin.outcome /= static_cast<double>(bin.count);
    }
}

double gap(const CalibrationBin& bin) { return std::fabs(bin.confidence - bin.outcome); }

double mean_gap(const std::vector<CalibrationBin>& bins, int64_t count) {
    double sum = 0;
    for (const CalibrationBin& bin : bins) sum += static_cast<double>(bin.count) * gap(bin);
    return sum / static_cast<double>(count);
}

std::vector<CalibrationBin> bins_of_width(std::span<const float> confidences, std::span<const uint8_t> outcomes, int bins) {
    std::vector<CalibrationBin> result(static_cast<size_t>(bins));
    for (int b = 0; b < bins; ++b) {
        result[static_cast<size_t>(b)].low = static_cast<double>(b) / bins;
        result[static_cast<size_t>(b)].high = static_cast<double>(b + 1) / bins;
    }
    for (size_t i = 0; i < confidences.size(); ++i) {
        const auto inside = [&](const CalibrationBin& bin) { return static_cast<double>(confidences[i]) <= bin.high; };
        const auto bin = std::find_if(result.begin(), result.end() - 1, inside);
        add(*bin, confidences[i], outcomes[i] != 0);
    }
    finish(result);
    return result;
}

// Neighbours by confidence, as many in each bin as can be.
std::vector<CalibrationBin> bins_of_mass(std::span<const float> confidences, std::span<const uint8_t> outcomes, int bins) {
    std::vector<size_t> order(confidences.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return confidences[a] < confidences[b]; });
    std::vector<CalibrationBin> result;
    const auto wanted = static_cast<size_t>(bins);
    for (size_t b = 0; b < wanted; ++b) {
        const size_t begin = order.size() * b / wanted, end = order.size() * (b + 1) / wanted;
        if (begin == end) continue;
        CalibrationBin bin;
        bin.low = static_cast<double>(confidences[order[begin]]);
        bin.high = static_cast<double>(confidences[order[end - 1]]);
        for (size_t i = begin; i < end; ++i) add(bin, confidences[order[i]], outcomes[order[i]] != 0);
        result.push_back(bin);
    }
    finish(result);
    return result;
}

// Newton's method for a logistic regression on one variable, halving steps that do not help.
void fit_line(std::span<const float> confidences, std::span<const uint8_t> outcomes, Calibration& result) {
    const auto loss = [&](double a, double b) {
        double sum = 0;
        for (size_t i = 0; i < confidences.size(); ++i) {
            const double z = (a + b * logit(confidences[i])) * (outcomes[i] != 0 ? -1 : 1);
            sum += z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z));
        }
        return sum;
    };
    double a = 0, b = 1, best = loss(a, b);
    for (int step = 0; step < 100; ++step) {
        double ga = 0, gb = 0, haa = 0, hab = 0, hbb = 0;
        for (size_t i = 0; i < confidences.size(); ++i) {
            const double x = logit(confidences[i]), p = logistic(a + b * x), w = p * (1 - p);
            const double error = p - (outcomes[i] != 0 ? 1 : 0);
            ga += error, gb += error * x;
            haa += w, hab += w * x, hbb += w * x * x;
        }
        const double determinant = haa * hbb - hab * hab;
        if (!(determinant > 1e-12 * haa * hbb)) return;  // one confidence only, or parted
        double da = (hbb * ga - hab * gb) / determinant, db = (haa * gb - hab * ga) / determinant;
        double next = loss(a - da, b - db);
        for (int halved = 0; halved < 40 && next > best; ++halved) next = loss(a - (da /= 2), b - (db /= 2));
        a -= da, b -= db;
        if (std::fabs(a) > 1e3 || std::fabs(b) > 1e3) return;
        if (best - next <= 1e-14 * best) {
            result.intercept = a;
            result.slope = b;
            return;
        }
        best = next;
    }
}

// Of a class of which no image says whether it shows it.
Calibration undefined_calibration(std::string name) {
    Calibration result;
    result.name = std::move(name);
    result.ece = result.mce = result.ece_equal_mass = result.brier = undefined;
    return result;
}

// -log of the probability that the temperature leaves to image i's truth.
double loss_at(const Predictions& p, size_t i, double temperature) {
    const auto k = static_cast<size_t>(p.classes);
    double sum = 0;
    if (p.multilabel()) {
        for (size_t c = 0; c < k; ++c) {
            if (p.targets[i * k + c] == unknown_label) continue;
            const double z = logit(p.probabilities[i * k + c]) / temperature;
            sum += std::log1p(std::exp(p.targets[i * k + c] != 0 ? -z : z));
        }
        return sum;
    }
    const auto scaled = [&](size_t c) {
        return std::log(std::max(static_cast<double>(p.probabilities[i * k + c]), 1e-38)) / temperature;
    };
    double most = scaled(0);
    for (size_t c = 1; c < k; ++c) most = std::max(most, scaled(c));
    for (size_t c = 0; c < k; ++c) sum += std::exp(scaled(c) - most);
    return std::log(sum) + most - scaled(static_cast<size_t>(p.labels[i]));
}

}  // namespace

Calibration calibrate(std::string name, std::span<const float> confidences, std::span<const uint8_t> outcomes, int bins) {
    if (confidences.size() != outcomes.size() || confidences.empty() || bins < 1)
        throw Error("needs a bin and as many outcomes as confidences", "calibration");
    Calibration result;
    result.name = std::move(name);
    result.count = static_cast<int64_t>(confidences.size());
    result.equal_width = bins_of_width(confidences, outcomes, bins);
    result.equal_mass = bins_of_mass(confidences, outcomes, bins);
    result.ece = mean_gap(result.equal_width, result.count);
    result.ece_equal_mass = mean_gap(result.equal_mass, result.count);
    for (const CalibrationBin& bin : result.equal_width) result.mce = std::max(result.mce, bin.count > 0 ? gap(bin) : 0);
    for (size_t i = 0; i < confidences.size(); ++i) {
        const double distance = static_cast<double>(confidences[i]) - (outcomes[i] != 0 ? 1 : 0);
        result.brier += distance * distance / static_cast<double>(result.count);
    }
    fit_line(confidences, outcomes, result);
    return result;
}

std::vector<Calibration> calibrate(const Predictions& p, const std::vector<std::string>& class_names, int bins) {
    std::vector<Calibration> result;
    if (p.multilabel()) {
        for (int64_t c = 0; c < p.classes; ++c) {
            const OneAgainstRest column = one_against_rest(p, c);
            if (column.scores.empty())
                result.push_back(undefined_calibration(class_names[static_cast<size_t>(c)]));
            else
                result.push_back(calibrate(class_names[static_cast<size_t>(c)], column.scores, column.truth, bins));
        }
        return result;
    }
    std::vector<float> confidences;
    std::vector<uint8_t> outcomes;
    for (int64_t i = 0; i < p.count(); ++i) {
        const auto row = p.probabilities.begin() + i * p.classes;
        const auto top = std::max_element(row, row + p.classes);
        confidences.push_back(*top);
        outcomes.push_back(top - row == p.labels[static_cast<size_t>(i)]);
    }
    result.push_back(calibrate("top class", confidences, outcomes, bins));
    return result;
}

double brier_score(const Predictions& p) {
    const auto k = static_cast<size_t>(p.classes);
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < p.probabilities.size(); ++i) {
        if (p.multilabel() && p.targets[i] == unknown_label) continue;
        ++known;
        const bool is = p.multilabel() ? p.targets[i] != 0 : p.labels[i / k] == static_cast<int32_t>(i % k);
        const double distance = static_cast<double>(p.probabilities[i]) - (is ? 1 : 0);
        sum += distance * distance;
    }
    return sum / static_cast<double>(p.multilabel() ? known : p.labels.size());
}

// Golden sections on log T: the loss is convex in 1/T, so that it has one valley in log T, too.
double fit_temperature(const Predictions& p) {
    const auto loss = [&](double log_temperature) {
        double sum = 0;
        for (size_t i = 0; i < static_cast<size_t>(p.count()); ++i) sum += loss_at(p, i, std::exp(log_temperature));
        return sum;
    };
    const double most = std::log(1e3), golden = (std::sqrt(5.0) - 1) / 2;
    double low = -most, high = most, left = high - golden * (high - low), right = low + golden * (high - low);
    double left_loss = loss(left), right_loss = loss(right);
    while (high - low > 1e-9) {  // one of the two inner points stays one
        if (left_loss <= right_loss) {
            high = right, right = left, right_loss = left_loss;
            left_loss = loss(left = high - golden * (high - low));
        } else {
            low = left, left = right, left_loss = right_loss;
            right_loss = loss(right = low + golden * (high - low));
        }
    }
    return std::fabs(low) > most - 1e-3 ? undefined : std::exp((low + high) / 2);
}

Json to_json(const std::vector<Calibration>& calibrations) {
    Json json = Json::object();
    for (const Calibration& one : calibrations) {
        json[one.name] = Json{{"ece_15_equal_bins", number_or_null(one.ece)},
                              {"mce", number_or_null(one.mce)},
                              {"ece_equal_mass", number_or_null(one.ece_equal_mass)},
                              {"brier", number_or_null(one.brier)},
                              {"intercept", number_or_null(one.intercept)},
                              {"slope", number_or_null(one.slope)},
                              {"images", one.count}};
    }
    return json;
}

std::string calibration_csv(const std::vector<Calibration>& calibrations) {
    std::string text = "class,bins,low,high,count,confidence,outcome\n";
    for (const Calibration& one : calibrations) {
        for (const auto& [name, bins] : {std::pair{"equal width", &one.equal_width}, {"equal mass", &one.equal_mass}}) {
            for (const CalibrationBin& bin : *bins)
                text += fmt::format("{},{},{:.9g},{:.9g},{},{:.9g},{:.9g}\n", csv_field(one.name), name, bin.low, bin.high,
                                    bin.count, bin.confidence, bin.outcome);
        }
    }
    return text;
}

}  // namespace xbench
