// Candidates in the order of the model's sureness, dealt out class by class.
#include "eval/cases.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/set/dataset.h"

namespace xbench {
namespace {

struct Candidate {
    EvaluatedCase found;
    int64_t turn_of;  // the class that this case is one of
    float sureness;
};

template <class IsOn>
std::string joined(const std::vector<std::string>& names, const IsOn& is_on) {
    std::string text;
    for (size_t c = 0; c < names.size(); ++c)
        if (is_on(c)) text += (text.empty() ? "" : "|") + names[c];
    return text;
}

struct Candidates {
    std::vector<Candidate> right, wrong;
};

Candidates of_one_label(const Predictions& p, const std::vector<std::string>& names) {
    Candidates all;
    for (size_t i = 0; i < p.labels.size(); ++i) {
        const float* row = p.probabilities.data() + i * names.size();
        const int64_t said = std::max_element(row, row + names.size()) - row, truth = p.labels[i];
        const float probability = row[said];
        const std::string& name = names[static_cast<size_t>(said)];
        Candidate candidate{
            {i, said, name, said == truth ? "right" : "wrong", probability, names[static_cast<size_t>(truth)], name},
            truth,
            probability};
        (said == truth ? all.right : all.wrong).push_back(std::move(candidate));
    }
    return all;
}

Candidates of_several_labels(const Predictions& p, const std::vector<std::string>& names,
                             std::span<const double> thresholds) {
    Candidates all;
    const size_t k = names.size();
    const auto threshold = [&](size_t c) {
        return thresholds.empty() ? multilabel_threshold : static_cast<float>(thresholds[c]);
    };
    for (size_t i = 0; i < p.samples.size(); ++i) {
        const float* row = p.probabilities.data() + i * k;
        const uint8_t* has = p.targets.data() + i * k;
        const std::string truth = joined(names, [&](size_t c) { return has[c] == 1; }),
                          said = joined(names, [&](size_t c) { return row[c] >= threshold(c); });
        for (size_t c = 0; c < k; ++c) {
            if (has[c] == unknown_label) continue;
            const bool says = row[c] >= threshold(c), is = has[c] == 1;
            if (!says && !is) continue;
            const char* kind = says && is ? "right" : says ? "false alarm" : "missed";
            Candidate candidate{{i, static_cast<int64_t>(c), names[c], kind, row[c], truth, said},
                                static_cast<int64_t>(c),
                                says ? row[c] : 1 - row[c]};
            (says && is ? all.right : all.wrong).push_back(std::move(candidate));
        }
    }
    return all;
}

std::vector<EvaluatedCase> dealt(std::vector<Candidate> candidates, size_t most) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.sureness > b.sureness; });
    std::map<int64_t, std::vector<const Candidate*>> by_class;
    for (const Candidate& candidate : candidates) by_class[candidate.turn_of].push_back(&candidate);
    std::vector<EvaluatedCase> cases;
    std::set<size_t> shown;  // rows
    std::map<int64_t, size_t> next;
    for (bool any = true; any && cases.size() < most;) {
        any = false;
        for (const auto& [turn, waiting] : by_class) {
            size_t& at = next[turn];
            while (at < waiting.size() && shown.contains(waiting[at]->found.row)) ++at;
            if (at == waiting.size() || cases.size() == most) continue;
            shown.insert(waiting[at]->found.row);
            cases.push_back(waiting[at++]->found);
            any = true;
        }
    }
    return cases;
}

}  // namespace

EvaluatedCases choose_cases(const Predictions& predictions, const std::vector<std::string>& class_names,
                            std::span<const double> thresholds, size_t right, size_t wrong) {
    const Candidates all = predictions.multilabel() ? of_several_labels(predictions, class_names, thresholds)
                                                    : of_one_label(predictions, class_names);
    return {dealt(all.right, right), dealt(all.wrong, wrong)};
}

}  // namespace xbench
