// Checks 13 to 22: the relations of score_relations.cpp, and what scores mean beside majority, noise and each other.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "bench/audit/score_relations.h"

namespace xbench::audit {
namespace {

constexpr double two_sided_95 = 1.96;

// Rows of runs, each with an accuracy of its own.
std::vector<const Row*> runs_of(const Group& group) {
    std::vector<const Row*> rows;
    for (const Row& row : group.rows)
        if (row.has(Role::accuracy) && !row.has(Role::f1) && row.counts.empty()) rows.push_back(&row);
    return rows;
}

struct ClassCount {
    std::string name;
    double images = 0, right = -1;  // right: -1 where it is not known
};

std::vector<ClassCount> class_counts(const Work& work) {
    std::vector<ClassCount> counts;
    const std::vector<const Row*> rows = class_rows(work.group);
    for (size_t i = 0; i < rows.size(); ++i) {
        ClassCount count{rows[i]->name, 0, -1};
        for (const int cell : rows[i]->counts) count.images += work.table.cells[static_cast<size_t>(cell)].printed.value;
        if (rows[i]->counts.size() == rows.size())
            count.right = work.table.cells[static_cast<size_t>(rows[i]->counts[i])].printed.value;
        if (rows[i]->counts.empty() && rows[i]->has(Role::support)) count.images = work.table.value(*rows[i], Role::support);
        if (count.images > 0) counts.push_back(count);
    }
    return counts.size() == rows.size() ? counts : std::vector<ClassCount>{};
}

// What the confusion matrix gives, so that a reader sees it beside what is printed.
void recomputed(const Work& work, const std::vector<ClassCount>& counts) {
    double n = 0, right = 0, recalls = 0, macro = 0;
    std::vector<std::string> scores;
    const std::vector<const Row*> rows = class_rows(work.group);
    for (size_t i = 0; i < counts.size(); ++i) {
        if (counts[i].right < 0) return;
        double predicted = 0;
        for (const Row* row : rows) predicted += work.table.cells[static_cast<size_t>(row->counts[i])].printed.value;
        const double f1 = 2 * counts[i].right / (counts[i].images + predicted);
        n += counts[i].images, right += counts[i].right, recalls += counts[i].right / counts[i].images, macro += f1;
        scores.push_back(fmt::format("{} {:.3f}", counts[i].name, f1));
    }
    const auto k = static_cast<double>(counts.size());
    if (k >= 2)
        work.remark(
            17, "",
            fmt::format("the confusion matrix gives accuracy {:.6f}, F1 {}, macro F1 {:.3f}, balanced accuracy {:.3f}",
                        right / n, fmt::join(scores, ", "), macro / k, recalls / k),
            Level::consistent);
}

void against_majority(const Work& work, const std::vector<ClassCount>& counts) {
    double n = 0, most = 0;
    std::string answer;
    for (const ClassCount& count : counts) {
        n += count.images;
        if (count.images > most) most = count.images, answer = count.name;
    }
    const int cell = report_accuracy(work.table, work.group).cell;
    if (counts.size() < 2 || (cell >= 0 && !has_one_label(work.table, work.group))) return;
    const double share = most / n;
    if (cell < 0) return;
    const double accuracy = work.table.cells[static_cast<size_t>(cell)].printed.value,
                 noise = two_sided_95 * std::sqrt(share * (1 - share) / n);
    work.remark(18, "",
                fmt::format("always saying \"{}\" gives {:.4f}; the accuracy {} is {}", answer, share,
                            work.table.cells[static_cast<size_t>(cell)].printed.text,
                            accuracy <= share          ? "no better"
                            : accuracy - share < noise ? "within the noise of that"
                                                       : "better"),
                accuracy - share < noise ? Level::remark : Level::consistent);
}

void balanced(const Work& work) {
    const std::vector<const Row*> rows = class_rows(work.group);
    double recalls = 0;
    for (const Row* row : rows) {
        if (!row->has(Role::recall)) return;
        recalls += work.table.value(*row, Role::recall);
    }
    const int cell = report_accuracy(work.table, work.group).cell;
    if (rows.size() < 2 || cell < 0) return;
    const double mean = recalls / static_cast<double>(rows.size()),
                 accuracy = work.table.cells[static_cast<size_t>(cell)].printed.value;
    if (accuracy - mean > 0.05)
        work.remark(18, "",
                    fmt::format("balanced accuracy, the mean of the recalls, is {:.3f} where the accuracy is {:.3f}", mean,
                                accuracy));
}

void runs_against_majority(const Work& work) {
    for (const Row& row : work.group.rows)
        if (row.has(Role::accuracy) && row.has(Role::majority) &&
            work.table.value(row, Role::accuracy) <= work.table.value(row, Role::majority))
            work.remark(18, row.name,
                        fmt::format("accuracy {} is no better than always saying the most frequent class ({})",
                                    work.table.cell(row, Role::accuracy).printed.text,
                                    work.table.cell(row, Role::majority).printed.text));
}

// Differences between runs beside what as many test images leave to chance.
void binomial_noise(const Work& work) {
    const std::vector<const Row*> runs = runs_of(work.group);
    for (size_t i = 1; i < runs.size(); ++i) {
        if (!runs[0]->has(Role::n_test) || !runs[i]->has(Role::n_test)) continue;
        const double a = work.table.value(*runs[0], Role::accuracy), b = work.table.value(*runs[i], Role::accuracy);
        const auto variance = [&](double p, const Row& row) { return p * (1 - p) / work.table.value(row, Role::n_test); };
        const double noise = two_sided_95 * std::sqrt(variance(a, *runs[0]) + variance(b, *runs[i]));
        if (a == b || !(noise > 0)) continue;
        work.remark(19, runs[i]->name,
                    fmt::format("accuracy {} by {:.1f} +- {:.1f} points against {}{}", b < a ? "falls" : "rises",
                                100 * std::abs(b - a), 100 * noise, runs[0]->name,
                                std::abs(b - a) < noise ? ": within the noise of the test images" : ""),
                    std::abs(b - a) < noise ? Level::remark : Level::consistent);
    }
}

void ranges_of_scores(const Work& work) {
    for (const Row& row : work.group.rows) {
        for (const Role role :
             {Role::accuracy, Role::balanced_accuracy, Role::precision, Role::recall, Role::f1, Role::auc, Role::majority})
            if (row.has(role) && (work.table.cell(row, role).range(Rounding::any).low > 1 ||
                                  work.table.cell(row, role).range(Rounding::any).high < 0))
                work.remark(20, row.name,
                            fmt::format("{} {} is outside of 0 to 1", work.table.cell(row, role).column,
                                        work.table.cell(row, role).printed.text),
                            Level::impossible);
        if (row.has(Role::auc) && work.table.value(row, Role::auc) < 0.5)
            work.remark(
                20, row.name,
                fmt::format("AUC {} is worse than chance: labels exchanged?", work.table.cell(row, Role::auc).printed.text));
        const auto is_one = [&](Role role) {
            return row.has(role) && work.table.cell(row, role).range(Rounding::any).low >= 1 - 1e-12;
        };
        if (is_one(Role::precision) && is_one(Role::recall) && row.has(Role::accuracy) &&
            work.table.cell(row, Role::accuracy).range(Rounding::any).high < 1)
            work.remark(20, row.name, "precision and recall of 1 with an accuracy below 1");
    }
}

bool equal_work(const Work& work, const Row& a, const Row& b) {
    for (const Role role : {Role::epochs, Role::images, Role::batch, Role::steps})
        if (a.has(role) != b.has(role) || (a.has(role) && work.table.value(a, role) != work.table.value(b, role)))
            return false;
    return a.evaluated_on == b.evaluated_on && (a.has(Role::epochs) || a.has(Role::images) || a.has(Role::steps));
}

void equal_accuracies(const Work& work) {
    const std::vector<const Row*> runs = runs_of(work.group);
    if (runs.size() < 2) return;
    bool same = true, same_work = true, differ = false;
    for (const Row* row : runs) {
        const bool equal =
            work.table.cell(*row, Role::accuracy).printed.text == work.table.cell(*runs[0], Role::accuracy).printed.text;
        same = same && equal;
        differ = differ || !equal;
        same_work = same_work && equal_work(work, *row, *runs[0]);
    }
    const Printed& first = work.table.cell(*runs[0], Role::accuracy).printed;
    if (same && runs.size() > 2 && first.unit <= 0.001)
        work.remark(21, "",
                    fmt::format("the accuracy is {} in all {} rows: the same weights, or copied", first.text, runs.size()));
    if (differ && same_work)
        work.remark(
            21, "",
            "rows of equal work have different accuracies: another order of sums, another seed, or other work after all");
}

void loss_against_accuracy(const Work& work) {
    const std::vector<const Row*> runs = runs_of(work.group);
    for (size_t i = 1; i < runs.size(); ++i) {
        const Row &a = *runs[i - 1], &b = *runs[i];
        if (!a.has(Role::loss) || !b.has(Role::loss)) continue;
        const double better = work.table.value(b, Role::accuracy) - work.table.value(a, Role::accuracy),
                     lower = work.table.value(a, Role::loss) - work.table.value(b, Role::loss);
        if (better * lower < 0)
            work.remark(22, b.name,
                        fmt::format("accuracy {} and loss {} as well, against {}: over-confident, or of other data",
                                    better > 0 ? "rises" : "falls", lower > 0 ? "falls" : "rises", a.name));
    }
}

// A mean that prose claims, in a row called macro or mean without classes that could give it, is found by relation 16.
void mean_of_f1(const Work& work) {
    const std::vector<const Row*> rows = class_rows(work.group);
    double total = 0;
    for (const Row* row : rows) {
        if (!row->has(Role::f1)) return;
        total += work.table.value(*row, Role::f1);
    }
    if (rows.size() >= 3)
        work.remark(
            16, "",
            fmt::format("mean F1 of the {} classes is {:.3f}", rows.size(), total / static_cast<double>(rows.size())),
            Level::consistent);
}

}  // namespace

void check_scores(const Work& work) {
    for (const std::vector<Relation>& found :
         {score_relations(work.table, work.group), joint_counts(work.table, work.group)})
        work.relations.insert(work.relations.end(), found.begin(), found.end());
    const std::vector<ClassCount> counts = class_counts(work);
    recomputed(work, counts);
    against_majority(work, counts);
    balanced(work);
    runs_against_majority(work);
    binomial_noise(work);
    ranges_of_scores(work);
    equal_accuracies(work);
    loss_against_accuracy(work);
    mean_of_f1(work);
}

}  // namespace xbench::audit
