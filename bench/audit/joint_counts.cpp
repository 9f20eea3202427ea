// Check 17: are there whole numbers behind a classification report? For each class the true positives that its recall allows
// are tried, and for each the numbers of predicted images that precision and F1 allow. Over the classes only the sums
// matter, so a table over the sum of true positives holds the range of the sum of predicted images. Ranges may have holes
// that are not kept: what cannot be is then let pass, and nothing that can be is accused.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/audit/score_relations.h"

namespace xbench::audit {
namespace {

constexpr size_t most_classes = 20;
constexpr double most_steps = 1e7;  // more are not tried: the table is then not accused

constexpr size_t none = static_cast<size_t>(-1);

// The places of a class' cells in the relation.
struct ClassCells {
    size_t precision = none, recall = none, f1 = none, support = none;
};

struct Span {
    double low, high;
};
// Predicted images in all for each number of true positives in all, from `first` on; low > high: it cannot be.
struct Sums {
    long first = 0;
    std::vector<Span> spans;
};
constexpr Span impossible{1, 0};

// Predicted images for `tp` true ones: tp/P, and 2 tp/F1 - support. A class that was never predicted has scores of 0.
Span predicted_images(const Ranges& r, const ClassCells& c, double tp, double support, double n) {
    Span span{tp, n};
    if (tp == 0) {
        const bool zeros =
            (c.precision == none || widened(r[c.precision]).low <= 0) && (c.f1 == none || widened(r[c.f1]).low <= 0);
        return zeros ? Span{0, n} : impossible;
    }
    const auto bound = [&](double low, double high) {
        span = {std::max(span.low, std::ceil(low - 1e-6)), std::min(span.high, std::floor(high + 1e-6))};
    };
    if (c.precision != none) {
        const Range p = widened(r[c.precision]);
        if (p.high <= 0) return impossible;
        bound(tp / p.high, p.low > 0 ? tp / p.low : n);
    }
    if (c.f1 != none) {
        const Range f = widened(r[c.f1]);
        if (f.high <= 0) return impossible;
        bound(2 * tp / f.high - support, f.low > 0 ? 2 * tp / f.low - support : n);
    }
    return span;
}

struct Positives {
    long first, last;
};

Positives true_positives(const Ranges& r, const ClassCells& c) {
    const double support = r[c.support].low;
    const Range recall = c.recall != none ? widened(r[c.recall]) : Range{0, 1};
    return {static_cast<long>(std::max(0.0, std::ceil(recall.low * support - 1e-6))),
            static_cast<long>(std::min(support, std::floor(recall.high * support + 1e-6)))};
}

struct Images {
    double all = 0;
    double wrong = -1;  // in all; below 0: not known
};

// Adds one class to the sums. Empty: it has no whole numbers. Images wrongly given the class are wrong ones of other
// classes.
Sums with_class(const Sums& sums, const Ranges& r, const ClassCells& c, const Images& images) {
    const double support = r[c.support].low;
    const auto [first, last] = true_positives(r, c);
    if (last < first) return {};
    Sums next{sums.first + first, std::vector<Span>(sums.spans.size() + static_cast<size_t>(last - first), impossible)};
    for (long tp = first; tp <= last; ++tp) {
        const auto right = static_cast<double>(tp);
        Span own = predicted_images(r, c, right, support, images.all);
        if (images.wrong >= 0) own.high = std::min(own.high, right + images.wrong - (support - right));
        if (own.low > own.high) continue;
        for (size_t i = 0; i < sums.spans.size(); ++i) {
            const Span& span = sums.spans[i];
            if (span.low > span.high) continue;
            Span& sum = next.spans[i + static_cast<size_t>(tp - first)];
            const bool taken = sum.low <= sum.high;
            sum = {taken ? std::min(sum.low, span.low + own.low) : span.low + own.low,
                   taken ? std::max(sum.high, span.high + own.high) : span.high + own.high};
        }
    }
    return next;
}

struct Layout {
    std::vector<ClassCells> classes;
    size_t accuracy = none;
};

Sums sums_of(const Layout& layout, const Ranges& ranges, const Images& images) {
    Sums sums{0, {{0, 0}}};
    for (const ClassCells& c : layout.classes) sums = with_class(sums, ranges, c, images);
    return sums;
}

// Of one table of sums.
double steps_of(const Layout& layout, const Ranges& ranges) {
    double steps = 0, sums = 1;
    for (const ClassCells& c : layout.classes) {
        const auto [first, last] = true_positives(ranges, c);
        const auto choices = static_cast<double>(std::max(0L, last - first + 1));
        steps += choices * sums;
        sums += choices;
    }
    return steps;
}

bool feasible(const Layout& layout, const Ranges& ranges) {
    Images images;
    for (const ClassCells& c : layout.classes) images.all += ranges[c.support].low;
    const double steps = steps_of(layout, ranges), n = images.all;
    if (n <= 0 || steps > most_steps) return true;
    const Range share = layout.accuracy == none ? Range{0, 1} : widened(ranges[layout.accuracy]);
    const double least = std::max(0.0, std::ceil(share.low * n - 1e-6)),
                 most = std::min(n, std::floor(share.high * n + 1e-6));
    const auto fits = [&](const Sums& sums, double right) {
        const auto at = static_cast<long>(right) - sums.first;
        if (at < 0 || at >= static_cast<long>(sums.spans.size())) return false;
        const Span& predicted = sums.spans[static_cast<size_t>(at)];
        return predicted.low <= n && n <= predicted.high;
    };
    const bool each = (most - least + 1) * steps <= most_steps;  // each number of wrong images by itself, which tells more
    Sums sums = each ? Sums{} : sums_of(layout, ranges, images);
    for (double right = least; right <= most; ++right) {
        images.wrong = n - right;
        if (each) sums = sums_of(layout, ranges, images);
        if (fits(sums, right)) return true;
    }
    return false;
}

size_t take(Relation& relation, const Row& row, Role role) {
    if (!row.has(role)) return none;
    relation.cells.push_back(row.cells.at(role));
    return relation.cells.size() - 1;
}

}  // namespace

std::vector<Relation> joint_counts(const Table& table, const Group& group) {
    const std::vector<const Row*> classes = class_rows(group);
    const Accuracy accuracy = report_accuracy(table, group);
    if (classes.size() < 2 || classes.size() > most_classes || !has_one_label(table, group) ||
        !has_all_classes(table, group))
        return {};
    Relation relation{17, -1, "whole numbers of right and of predicted images in every class", {}, {}, {}};
    Layout layout;
    for (const Row* row : classes) {
        if (!row->has(Role::support)) return {};
        layout.classes.push_back({take(relation, *row, Role::precision), take(relation, *row, Role::recall),
                                  take(relation, *row, Role::f1), take(relation, *row, Role::support)});
    }
    if (accuracy.cell >= 0) {
        relation.cells.push_back(accuracy.cell);
        layout.accuracy = relation.cells.size() - 1;
    }
    relation.holds = [layout](const Ranges& ranges) { return feasible(layout, ranges); };
    return {relation};
}

}  // namespace xbench::audit
