// Each replicate is a number of times that every image counts. Scores are made from weighted counts; the images are sorted
// by score once, for all replicates.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/core.h>

#include "core/error.h"
#include "core/json_number.h"
#include "core/parallel_for.h"
#include "core/rng.h"
#include "eval/intervals.h"
#include "eval/one_against_rest.h"

namespace xbench {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

double ratio(double numerator, double denominator) { return denominator > 0 ? numerator / denominator : 0.0; }

// What a class needs of the images, in the order of its scores from high to low.
struct Column {
    std::vector<uint32_t> order;  // {M} images that are known to be of the class or not
    std::vector<uint8_t> last;    // {M} whether the next one has a lower score
    std::vector<uint8_t> known;   // {N} by image
    std::vector<uint8_t> truth;   // {N} by image
    std::vector<uint8_t> said;    // {N} by image
};

struct ClassCounts {
    double hits = 0, false_alarms = 0, misses = 0, rest = 0;
};

class Resampler {
public:
    Resampler(const Predictions& predictions, std::span<const std::string> groups);
    int64_t groups() const { return groups_; }
    bool by_patient() const { return groups_ < static_cast<int64_t>(group_of_.size()); }
    size_t scores() const { return 3 + 5 * columns_.size(); }

    std::vector<int32_t> once() const { return std::vector<int32_t>(group_of_.size(), 1); }
    std::vector<int32_t> replicate(uint64_t seed, int64_t number) const;
    void score(const std::vector<int32_t>& times, double* out) const;

private:
    void score_class(const Column& column, const std::vector<int32_t>& times, const ClassCounts& counts, double* out) const;
    ClassCounts count(const Column& column, const std::vector<int32_t>& times) const;
    double accuracy(const std::vector<int32_t>& times) const;

    bool multilabel_;
    int64_t groups_ = 0;
    std::vector<uint32_t> group_of_;
    std::vector<Column> columns_;
    std::vector<uint8_t> right_;  // {N}
};

Column make_column(const Predictions& p, int64_t c, const std::vector<int64_t>& answers) {
    const OneAgainstRest one = one_against_rest(p, c);
    const auto n = static_cast<size_t>(p.count());
    const size_t m = one.images.size();
    const auto score = [&](uint32_t image) {
        return p.probabilities[image * static_cast<size_t>(p.classes) + static_cast<size_t>(c)];
    };
    Column column{one.images, std::vector<uint8_t>(m), std::vector<uint8_t>(n), std::vector<uint8_t>(n),
                  std::vector<uint8_t>(n)};
    std::stable_sort(column.order.begin(), column.order.end(), [&](uint32_t a, uint32_t b) { return score(a) > score(b); });
    for (size_t i = 0; i < m; ++i) {
        const uint32_t image = one.images[i];
        column.last[i] = i + 1 == m || score(column.order[i + 1]) != score(column.order[i]);
        column.known[image] = 1;
        column.truth[image] = one.truth[i];
        column.said[image] = p.multilabel() ? score(image) >= multilabel_threshold : answers[image] == c;
    }
    return column;
}

Resampler::Resampler(const Predictions& p, std::span<const std::string> groups) : multilabel_(p.multilabel()) {
    const auto n = static_cast<size_t>(p.count()), k = static_cast<size_t>(p.classes);
    if (!groups.empty() && groups.size() != n) throw Error("does not name a group for each prediction", "bootstrap");
    std::map<std::string, uint32_t> numbers;
    for (size_t i = 0; i < n; ++i) {
        const auto next = static_cast<uint32_t>(groups_);
        const bool alone = groups.empty() || groups[i].empty();
        const uint32_t number = alone ? next : numbers.emplace(groups[i], next).first->second;
        groups_ += number == next;
        group_of_.push_back(number);
    }
    std::vector<int64_t> answers(n);
    for (size_t i = 0; i < n; ++i) {
        const auto row = p.probabilities.begin() + static_cast<int64_t>(i * k);
        answers[i] = std::max_element(row, row + p.classes) - row;
    }
    for (int64_t c = 0; c < p.classes; ++c) columns_.push_back(make_column(p, c, answers));
    for (size_t i = 0; i < n; ++i) {
        const auto agrees = [i](const Column& column) { return !column.known[i] || column.truth[i] == column.said[i]; };
        right_.push_back(std::all_of(columns_.begin(), columns_.end(), agrees));
    }
}

std::vector<int32_t> Resampler::replicate(uint64_t seed, int64_t number) const {
    std::vector<int32_t> drawn(static_cast<size_t>(groups_), 0);
    Random random(seed, RandomUse::bootstrap, static_cast<uint32_t>(number));  // threads take replicates in any order
    for (int64_t draw = 0; draw < groups_; ++draw) ++drawn[random.below(static_cast<uint32_t>(groups_))];
    std::vector<int32_t> times(group_of_.size());
    for (size_t i = 0; i < times.size(); ++i) times[i] = drawn[group_of_[i]];
    return times;
}

double Resampler::accuracy(const std::vector<int32_t>& times) const {
    int64_t right = 0, all = 0;
    for (size_t i = 0; i < times.size(); ++i) {
        right += right_[i] ? times[i] : 0;
        all += times[i];
    }
    return all > 0 ? static_cast<double>(right) / static_cast<double>(all) : undefined;
}

ClassCounts Resampler::count(const Column& column, const std::vector<int32_t>& times) const {
    ClassCounts counts;
    for (const uint32_t i : column.order) {
        double& cell = column.truth[i] ? (column.said[i] ? counts.hits : counts.misses)
                                       : (column.said[i] ? counts.false_alarms : counts.rest);
        cell += times[i];
    }
    return counts;
}

// precision, recall, f1, roc_auc, average_precision
void Resampler::score_class(const Column& column, const std::vector<int32_t>& times, const ClassCounts& counts,
                            double* out) const {
    out[0] = ratio(counts.hits, counts.hits + counts.false_alarms);
    out[1] = ratio(counts.hits, counts.hits + counts.misses);
    out[2] = ratio(2 * counts.hits, 2 * counts.hits + counts.false_alarms + counts.misses);
    const double positive = counts.hits + counts.misses, negative = counts.false_alarms + counts.rest;
    double hits = 0, alarms = 0, last_hits = 0, last_alarms = 0, area = 0, precision = 0;
    for (size_t i = 0; i < column.order.size(); ++i) {
        const uint32_t image = column.order[i];
        (column.truth[image] ? hits : alarms) += times[image];
        if (!column.last[i] || hits + alarms == last_hits + last_alarms) continue;
        area += (alarms - last_alarms) * (hits + last_hits) / 2;
        precision += (hits - last_hits) * hits / (hits + alarms);
        last_hits = hits;
        last_alarms = alarms;
    }
    out[3] = positive > 0 && negative > 0 ? area / (positive * negative) : undefined;
    out[4] = positive > 0 ? precision / positive : undefined;
}

void Resampler::score(const std::vector<int32_t>& times, double* out) const {
    double f1 = 0, balanced = 0;
    int64_t balanced_over = 0;
    for (size_t c = 0; c < columns_.size(); ++c) {
        const ClassCounts counts = count(columns_[c], times);
        double* const of_class = out + 3 + 5 * c;
        score_class(columns_[c], times, counts, of_class);
        f1 += of_class[2];
        const bool occurs = counts.hits + counts.misses > 0, negatives = counts.false_alarms + counts.rest > 0;
        if (!occurs || (multilabel_ && !negatives)) continue;
        ++balanced_over;
        const double specificity = ratio(counts.rest, counts.rest + counts.false_alarms);
        balanced += multilabel_ ? (of_class[1] + specificity) / 2 : of_class[1];
    }
    out[0] = accuracy(times);
    out[1] = balanced_over > 0 ? balanced / static_cast<double>(balanced_over) : undefined;
    out[2] = f1 / static_cast<double>(columns_.size());
}

std::vector<std::string> score_names(const std::vector<std::string>& class_names) {
    std::vector<std::string> names{"accuracy", "balanced_accuracy", "macro f1"};
    for (const std::string& name : class_names)
        for (const char* score : {"precision", "recall", "f1", "roc_auc", "average_precision"})
            names.push_back(name + " " + score);
    return names;
}

// numpy's default: linear between the neighbours.
double percentile(const std::vector<double>& sorted, double q) {
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

ConfidenceInterval interval_of(std::vector<double> values, double level) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    return {percentile(values, (1 - level) / 2), percentile(values, (1 + level) / 2)};
}

Json bounds(const ConfidenceInterval& interval) {
    return std::isnan(interval.low) ? Json(nullptr) : Json{interval.low, interval.high};
}

}  // namespace

Bootstrap bootstrap_scores(const Predictions& predictions, const std::vector<std::string>& class_names,
                           std::span<const std::string> groups, const BootstrapOptions& options) {
    const Resampler resampler(predictions, groups);
    const size_t scores = resampler.scores();
    std::vector<double> whole(scores), drawn(scores * static_cast<size_t>(options.replicates));
    resampler.score(resampler.once(), whole.data());
    parallel_for(options.replicates, options.threads, 8, [&](int64_t replicate, int) {
        resampler.score(resampler.replicate(options.seed, replicate), &drawn[static_cast<size_t>(replicate) * scores]);
    });

    Bootstrap result{options, resampler.groups(), resampler.by_patient(), {}};
    const std::vector<std::string> names = score_names(class_names);
    for (size_t s = 0; s < scores; ++s) {
        std::vector<double> values;
        for (size_t at = s; at < drawn.size(); at += scores)
            if (!std::isnan(drawn[at])) values.push_back(drawn[at]);
        const int64_t lost = options.replicates - static_cast<int64_t>(values.size());
        result.scores.push_back({names[s], whole[s], interval_of(std::move(values), options.level), lost});
    }
    return result;
}

Json to_json(const Bootstrap& bootstrap) {
    Json json{{"method",
               bootstrap.by_patient ? "percentiles of a bootstrap over patients" : "percentiles of a bootstrap over images"},
              {"level", bootstrap.options.level},
              {"replicates", bootstrap.options.replicates},
              {"seed", bootstrap.options.seed},
              {"groups", bootstrap.groups}};
    for (const ScoreInterval& score : bootstrap.scores) {
        Json& entry = json["scores"][score.name] =
            Json{{"value", number_or_null(score.value)}, {"interval", bounds(score.interval)}};
        if (score.undefined > 0) entry["undefined_replicates"] = score.undefined;
    }
    return json;
}

Json to_json(const AreaEstimate& area) {
    return Json{{"variance", number_or_null(area.variance)}, {"wald", bounds(area.wald)}, {"logit", bounds(area.logit)}};
}

}  // namespace xbench
