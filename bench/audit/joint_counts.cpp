// Check 17: are there whole numbers behind a classification report? For each class the true positives that its recall allows
// are tried, and for each the numbers of predicted images that precision and F1 allow. Over the classes only the sums
// matter, so a table over the sum of true positives holds the range of the sum of predicted images. Ranges may have holes
// that are not kept: what cannot be is then let pass, and nothing that can be is accused.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/audit/score_relations.h"

namespace xbench::audit {
namespace {

constexpr size_t most_classes = 20;
constexpr double most_steps = 2e7;  // more are not tried: the table is then not accused

constexpr size_t none = static_cast<size_t>(-1);

// The places of a class' cells in the relation.
struct ClassCells {
    size_t precision = none, recall = none, f1 = none, support = none;
};

struct Span {
    double low, high;
};
using Sums = std::map<long, Span>;  // true positives in all -> predicted images in all

// Predicted images for `tp` true ones: tp/P, and 2 tp/F1 - support. A class that was never predicted has scores of 0.
Span predicted_images(const Ranges& r, const ClassCells& c, double tp, double support, double n) {
    Span span{tp, n};
    if (tp == 0) {
        const bool zeros =
            (c.precision == none || widened(r[c.precision]).low <= 0) && (c.f1 == none || widened(r[c.f1]).low <= 0);
        return zeros ? Span{0, n} : Span{1, 0};
    }
    const auto bound = [&](double low, double high) {
        span = {std::max(span.low, std::ceil(low - 1e-6)), std::min(span.high, std::floor(high + 1e-6))};
    };
    if (c.precision != none) {
        const Range p = widened(r[c.precision]);
        if (p.high <= 0) return {1, 0};
        bound(tp / p.high, p.low > 0 ? tp / p.low : n);
    }
    if (c.f1 != none) {
        const Range f = widened(r[c.f1]);
        if (f.high <= 0) return {1, 0};
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
    Sums next;
    for (long tp = first; tp <= last; ++tp) {
        const auto right = static_cast<double>(tp);
        Span own = predicted_images(r, c, right, support, images.all);
        if (images.wrong >= 0) own.high = std::min(own.high, right + images.wrong - (support - right));
        if (own.low > own.high) continue;
        for (const auto& [before, span] : sums) {
            const auto [at, added] = next.try_emplace(before + tp, Span{span.low + own.low, span.high + own.high});
            if (!added)
                at->second = {std::min(at->second.low, span.low + own.low), std::max(at->second.high, span.high + own.high)};
        }
    }
    return next;
}

struct Layout {
    std::vector<ClassCells> classes;
    size_t accuracy = none;
};

Sums sums_of(const Layout& layout, const Ranges& ranges, const Images& images) {
    Sums sums{{0, {0, 0}}};
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
    const auto fits = [&](const Span& predicted) { return predicted.low <= n && n <= predicted.high; };
    if ((most - least + 1) * steps > most_steps) {  // without the number of wrong images, which would tell more
        const Sums sums = sums_of(layout, ranges, images);
        return std::any_of(sums.begin(), sums.end(), [&](const auto& sum) {
            return fits(sum.second) && least <= static_cast<double>(sum.first) && static_cast<double>(sum.first) <= most;
        });
    }
    for (double right = least; right <= most; ++right) {
        images.wrong = n - right;
        const Sums sums = sums_of(layout, ranges, images);
        const auto found = sums.find(static_cast<long>(right));
        if (found != sums.end() && fits(found->second)) return true;
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
