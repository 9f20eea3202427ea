// Scores from predictions: the confusion counts of each class are made first, everything else follows from them.
#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {
namespace {

// One class against the rest.
struct Counts {
    int64_t true_positive = 0, false_positive = 0, false_negative = 0;
};

double ratio(double numerator, double denominator) { return denominator > 0 ? numerator / denominator : 0.0; }

ClassScore score(std::string name, const Counts& counts) {
    const auto hits = static_cast<double>(counts.true_positive);
    ClassScore result;
    result.name = std::move(name);
    result.support = counts.true_positive + counts.false_negative;
    result.precision = ratio(hits, hits + static_cast<double>(counts.false_positive));
    result.recall = ratio(hits, hits + static_cast<double>(counts.false_negative));
    // As scikit-learn: from the counts, so that 0 wrong and 0 right gives 0.
    result.f1 = ratio(2 * hits, 2 * hits + static_cast<double>(counts.false_positive + counts.false_negative));
    return result;
}

// Mean of the classes' scores; `weight` of each class.
template <class Weight>
ClassScore average(const std::string& name, const std::vector<ClassScore>& classes, const Weight& weight) {
    ClassScore result;
    result.name = name;
    double total = 0;
    for (const ClassScore& one : classes) {
        const double w = weight(one);
        total += w;
        result.support += one.support;
        result.precision += w * one.precision;
        result.recall += w * one.recall;
        result.f1 += w * one.f1;
    }
    result.precision = ratio(result.precision, total);
    result.recall = ratio(result.recall, total);
    result.f1 = ratio(result.f1, total);
    return result;
}

void add_averages(Metrics& metrics) {
    metrics.macro = average("macro avg", metrics.per_class, [](const ClassScore&) { return 1.0; });
    metrics.weighted =
        average("weighted avg", metrics.per_class, [](const ClassScore& c) { return static_cast<double>(c.support); });
}

void check(const Predictions& p, const std::vector<std::string>& names) {
    const auto fail = [](const std::string& what) {
        throw Error(what, "metrics", "the predictions of a split are incomplete");
    };
    const auto n = static_cast<size_t>(p.count()), k = static_cast<size_t>(p.classes);
    if (p.classes < 1 || names.size() != k) fail(fmt::format("{} class names for {} classes", names.size(), p.classes));
    if (n == 0) fail("no predictions at all");
    if (p.probabilities.size() != n * k) fail(fmt::format("{} probabilities for {} x {}", p.probabilities.size(), n, k));
    if (p.multilabel() ? p.targets.size() != n * k : p.labels.size() != n) fail("labels do not match the images");
    for (const int32_t label : p.labels) {
        if (label < 0 || label >= p.classes) fail(fmt::format("label {} of {} classes", label, p.classes));
    }
    std::vector<int64_t> ids = p.samples;
    std::sort(ids.begin(), ids.end());
    if (const auto twice = std::adjacent_find(ids.begin(), ids.end()); twice != ids.end()) {
        fail(fmt::format("image {} was counted twice", *twice));
    }
    for (size_t i = 0; i < p.probabilities.size(); ++i) {
        if (!std::isfinite(p.probabilities[i])) {
            throw Error(
                fmt::format("the probability of class {} of image {} is not a number", names[i % k], p.samples[i / k]),
                "metrics", "the training diverged: lower train.learning_rate");
        }
    }
}

Metrics single_label(const Predictions& p, const std::vector<std::string>& names) {
    const auto k = static_cast<size_t>(p.classes);
    Metrics metrics;
    metrics.confusion.assign(k, std::vector<int64_t>(k, 0));
    for (size_t i = 0; i < p.labels.size(); ++i) {
        const auto row = p.probabilities.begin() + static_cast<int64_t>(i * k);
        const auto predicted = static_cast<size_t>(std::max_element(row, row + p.classes) - row);
        ++metrics.confusion[static_cast<size_t>(p.labels[i])][predicted];
    }
    int64_t right = 0, occurring = 0, most = -1;
    double recall_sum = 0;
    for (size_t c = 0; c < k; ++c) {
        Counts counts;
        counts.true_positive = metrics.confusion[c][c];
        for (size_t other = 0; other < k; ++other) {
            if (other == c) continue;
            counts.false_negative += metrics.confusion[c][other];
            counts.false_positive += metrics.confusion[other][c];
        }
        metrics.per_class.push_back(score(names[c], counts));
        const ClassScore& last = metrics.per_class.back();
        right += counts.true_positive;
        occurring += last.support > 0;
        recall_sum += last.recall;  // 0 for a class that does not occur
        if (last.support > most) {
            most = last.support;
            metrics.majority_answer = last.name;
        }
    }
    const auto n = static_cast<double>(p.count());
    metrics.accuracy = static_cast<double>(right) / n;
    metrics.balanced_accuracy = ratio(recall_sum, static_cast<double>(occurring));
    metrics.majority_baseline = static_cast<double>(most) / n;
    return metrics;
}

std::string label_set(const uint8_t* targets, const std::vector<std::string>& names) {
    std::string text;
    for (size_t c = 0; c < names.size(); ++c) {
        if (targets[c] == 1) text += (text.empty() ? "" : "|") + names[c];
    }
    return text.empty() ? "(none)" : text;
}

// The mean over the images of each one's precision, recall and F1 (scikit-learn's "samples avg").
ClassScore average_over_images(const std::vector<Counts>& images) {
    ClassScore sum;
    sum.name = "samples avg";
    for (const Counts& image : images) {
        const ClassScore one = score({}, image);
        sum.support += one.support;
        sum.precision += one.precision;
        sum.recall += one.recall;
        sum.f1 += one.f1;
    }
    const auto n = static_cast<double>(images.size());
    sum.precision /= n;
    sum.recall /= n;
    sum.f1 /= n;
    return sum;
}

Metrics multi_label(const Predictions& p, const std::vector<std::string>& names) {
    const auto n = static_cast<size_t>(p.count()), k = static_cast<size_t>(p.classes);
    std::vector<Counts> classes(k), images(n);
    Counts all;
    std::map<std::string, int64_t> answers;
    int64_t right = 0;
    std::vector<int64_t> known(k);  // images
    for (size_t i = 0; i < n; ++i) {
        for (size_t c = 0; c < k; ++c) {
            if (p.targets[i * k + c] == unknown_label) continue;
            ++known[c];
            const bool truth = p.targets[i * k + c] == 1, said = p.probabilities[i * k + c] >= multilabel_threshold;
            for (Counts* counts : {&classes[c], &images[i], &all}) {
                counts->true_positive += truth && said;
                counts->false_positive += !truth && said;
                counts->false_negative += truth && !said;
            }
        }
        right += images[i].false_positive == 0 && images[i].false_negative == 0;
        ++answers[label_set(&p.targets[i * k], names)];
    }
    Metrics metrics;
    metrics.multilabel = true;
    double balanced = 0;
    int64_t mixed = 0;  // classes with both positive and negative images
    for (size_t c = 0; c < k; ++c) {
        metrics.per_class.push_back(score(names[c], classes[c]));
        const ClassScore& one = metrics.per_class.back();
        const auto negative = static_cast<double>(known[c] - one.support);
        if (one.support == 0 || negative <= 0) continue;
        ++mixed;
        balanced += (one.recall + 1 - static_cast<double>(classes[c].false_positive) / negative) / 2;
    }
    metrics.micro = score("micro avg", all);
    metrics.samples = average_over_images(images);
    const auto most =
        std::max_element(answers.begin(), answers.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    metrics.majority_answer = most->first;
    metrics.majority_baseline = static_cast<double>(most->second) / static_cast<double>(n);
    metrics.accuracy = static_cast<double>(right) / static_cast<double>(n);
    metrics.balanced_accuracy = ratio(balanced, static_cast<double>(mixed));
    return metrics;
}

}  // namespace

Metrics compute_metrics(const Predictions& predictions, const std::vector<std::string>& class_names) {
    check(predictions, class_names);
    Metrics metrics =
        predictions.multilabel() ? multi_label(predictions, class_names) : single_label(predictions, class_names);
    metrics.count = predictions.count();
    metrics.loss = predictions.loss_sum /
                   (predictions.loss_divisor > 0 ? predictions.loss_divisor : static_cast<double>(metrics.count));
    add_averages(metrics);
    return metrics;
}

}  // namespace xbench
