// F1, averages, sums, accuracies that must be counts, and what a confusion matrix says.
#include "bench/audit/score_relations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace xbench::audit {
namespace {

std::string plain_name(const Row& row) {
    std::string text;
    for (const char c : row.name)
        if (std::isalpha(static_cast<unsigned char>(c)) != 0)
            text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

// A share of whole images: k/n for some k. n is a known number, or the second cell.
Relation whole_share(int check, const Row& row, const std::string& text, int share, int count_cell, double n) {
    Relation relation{check, row.index, text, {share}, {}, {}};
    if (count_cell >= 0) relation.cells.push_back(count_cell);
    relation.holds = [n](const Ranges& ranges) {
        const double count = ranges.size() > 1 ? ranges[1].low : n;
        const Range wide = widened(ranges[0]);
        return std::ceil(wide.low * count - 1e-9) <= std::floor(wide.high * count + 1e-9);
    };
    relation.solve = [n](const Ranges& ranges, size_t free) {
        const double count = ranges.size() > 1 ? ranges[1].low : n, middle = (ranges[0].low + ranges[0].high) / 2;
        return free == 1 || count <= 0 ? everything() : exactly(std::round(middle * count) / count);
    };
    return relation;
}

// Harmonic mean of two others, each of which follows from the rest: P = F R / (2 R - F).
Relation harmonic(const Row& row) {
    Relation relation{15,          row.index,
                      "2PR/(P+R)", {row.cells.at(Role::f1), row.cells.at(Role::precision), row.cells.at(Role::recall)},
                      {},          {}};
    relation.solve = [](const Ranges& r, size_t free) -> Range {
        const auto mean = [](double p, double q) { return p + q > 0 ? 2 * p * q / (p + q) : 0; };
        if (free == 0) return {mean(std::max(r[1].low, 0.0), std::max(r[2].low, 0.0)), mean(r[1].high, r[2].high)};
        const Range &f = r[0], &other = r[free == 1 ? 2 : 1];
        const auto solved = [](double f1, double q) { return 2 * q - f1 > 0 ? f1 * q / (2 * q - f1) : 2.0; };
        return {std::min(solved(std::max(f.low, 0.0), other.high), 1.0),
                std::min(solved(f.high, std::max(other.low, 0.0)), 1.0)};
    };
    return relation;
}

// result = sum(w x) / sum(w), where the weights are cells too: {result, x..., w...}.
Relation support_weighted(int row, const std::string& text, int result, const std::vector<int>& terms,
                          const std::vector<int>& weights) {
    Relation relation{16, row, text, {result}, {}, {}};
    relation.cells.insert(relation.cells.end(), terms.begin(), terms.end());
    relation.cells.insert(relation.cells.end(), weights.begin(), weights.end());
    const size_t count = terms.size();
    relation.solve = [count](const Ranges& r, size_t free) -> Range {
        Range total = exactly(0), all = exactly(0);
        for (size_t i = 1; i <= count; ++i) {
            if (free != i + count) all = sum(all, r[i + count]);
            if (free != i && free != i + count)
                total = sum(total, product(r[i + count],
                                           free == 0 ? r[i] : sum(r[i], free > count ? scaled(r[0], -1) : exactly(0))));
        }
        if (free == 0) return product(total, power(all, -1));
        if (free <= count) return product(sum(product(r[0], all), scaled(total, -1)), power(r[free + count], -1));
        const Range off = sum(r[free - count], scaled(r[0], -1));  // w (x - mean) makes up for the rest
        if (off.low <= 0 && off.high >= 0) return everything();
        return scaled(product(total, {1 / off.high, 1 / off.low}), -1);
    };
    return relation;
}

std::vector<int> cells_of(const std::vector<const Row*>& rows, Role role) {
    std::vector<int> cells;
    for (const Row* row : rows)
        if (row->has(role)) cells.push_back(row->cells.at(role));
    return cells;
}

void add_averages(const Group& group, const std::vector<const Row*>& classes, int accuracy,
                  std::vector<Relation>& relations) {
    const Row *macro = average_row(group, ReportRow::macro), *weighted = average_row(group, ReportRow::weighted),
              *micro = average_row(group, ReportRow::micro);
    const std::vector<int> supports = cells_of(classes, Role::support);
    const bool one_label = accuracy >= 0;
    for (const auto& [role, word] : {std::pair{Role::precision, "precision"}, {Role::recall, "recall"}, {Role::f1, "F1"}}) {
        const std::vector<int> terms = cells_of(classes, role);
        if (terms.size() != classes.size() || terms.size() < 2) continue;
        if (macro != nullptr && macro->has(role))
            relations.push_back(weighted_sum(16, macro->index, fmt::format("mean of the {}s", word), macro->cells.at(role),
                                             terms,
                                             std::vector<double>(terms.size(), 1 / static_cast<double>(terms.size()))));
        if (supports.size() != terms.size()) continue;
        if (weighted != nullptr && weighted->has(role))
            relations.push_back(support_weighted(weighted->index, fmt::format("support-weighted mean of the {}s", word),
                                                 weighted->cells.at(role), terms, supports));
        if (role == Role::recall && one_label)
            relations.push_back(support_weighted(-1, "support-weighted mean of the recalls", accuracy, terms, supports));
    }
    if (micro != nullptr && micro->has(Role::f1) && accuracy >= 0 && micro->cells.at(Role::f1) != accuracy)
        relations.push_back(monomial(16, micro->index, "accuracy, which the micro-averaged F1 is",
                                     {{micro->cells.at(Role::f1), 1}, {accuracy, -1}}));
}

// Counts in the columns predicted_<class>: every score follows from them.
class Confusion {
public:
    Confusion(const Group& group, std::vector<Relation>& relations) : relations_(relations) {
        for (const Row* row : class_rows(group))
            if (row->counts.size() == group.predicted.size() && !row->counts.empty()) rows_.push_back(row);
        square_ = !rows_.empty() && rows_.size() == group.predicted.size();
        for (const Row* row : rows_) all_.insert(all_.end(), row->counts.begin(), row->counts.end());
    }
    void add(int accuracy, const Row* macro) {
        if (!square_) return;
        for (size_t i = 0; i < rows_.size(); ++i) {
            derive(*rows_[i], Role::support, 14, "row sum of the confusion matrix", [i](const auto& c) { return c.row(i); });
            derive(*rows_[i], Role::recall, 17, "recall of the confusion matrix",
                   [i](const auto& c) { return c.at(i, i) / c.row(i); });
            derive(*rows_[i], Role::precision, 17, "precision of the confusion matrix",
                   [i](const auto& c) { return c.at(i, i) / c.column(i); });
            derive(*rows_[i], Role::f1, 17, "F1 of the confusion matrix", [i](const auto& c) { return c.f1(i); });
        }
        if (accuracy >= 0)
            derive_cell(accuracy, -1, 17, "accuracy of the confusion matrix", [](const auto& c) { return c.accuracy(); });
        if (macro != nullptr)
            derive(*macro, Role::f1, 17, "macro F1 of the confusion matrix", [](const auto& c) { return c.macro_f1(); });
    }

private:
    struct Counts {
        const Ranges& ranges;
        size_t k;
        double at(size_t i, size_t j) const { return ranges[1 + i * k + j].low; }
        double row(size_t i) const {
            double s = 0;
            for (size_t j = 0; j < k; ++j) s += at(i, j);
            return s;
        }
        double column(size_t j) const {
            double s = 0;
            for (size_t i = 0; i < k; ++i) s += at(i, j);
            return s;
        }
        double f1(size_t i) const { return 2 * at(i, i) / (row(i) + column(i)); }
        double accuracy() const {
            double d = 0, n = 0;
            for (size_t i = 0; i < k; ++i) d += at(i, i), n += row(i);
            return d / n;
        }
        double macro_f1() const {
            double s = 0;
            for (size_t i = 0; i < k; ++i) s += f1(i);
            return s / static_cast<double>(k);
        }
    };
    template <class Of>
    void derive(const Row& row, Role role, int check, const std::string& text, Of of) {
        if (row.has(role)) derive_cell(row.cells.at(role), row.index, check, text, of);
    }
    template <class Of>
    void derive_cell(int cell, int row, int check, const std::string& text, Of of) {
        Relation relation{check, row, text, {cell}, {}, {}};
        relation.cells.insert(relation.cells.end(), all_.begin(), all_.end());
        const size_t k = rows_.size();
        relation.solve = [k, of](const Ranges& ranges, size_t free) {
            return free == 0 ? exactly(of(Counts{ranges, k})) : everything();
        };
        relations_.push_back(std::move(relation));
    }

    std::vector<Relation>& relations_;
    std::vector<const Row*> rows_;
    std::vector<int> all_;
    bool square_ = false;
};

double sum_of_supports(const Table& table, const Group& group) {
    double sum = 0;
    for (const Row* row : class_rows(group))
        if (row->has(Role::support)) sum += table.value(*row, Role::support);
    return sum;
}

// Where a report prints the number of all images: a column, and the supports of its rows of averages.
std::vector<int> total_cells(const Group& group, int n_test_cell) {
    std::vector<int> cells{n_test_cell};
    for (const ReportRow kind : {ReportRow::accuracy, ReportRow::macro, ReportRow::weighted, ReportRow::micro})
        if (const Row* row = average_row(group, kind);
            row != nullptr && row->has(Role::support) && row->cells.at(Role::support) != n_test_cell)
            cells.push_back(row->cells.at(Role::support));
    return cells;
}

}  // namespace

ReportRow report_row(const Row& row) {
    const std::string name = plain_name(row);
    if (name == "accuracy" || name == "overallaccuracy") return ReportRow::accuracy;
    for (const auto& [word, kind] :
         {std::pair{"macro", ReportRow::macro}, {"weighted", ReportRow::weighted}, {"micro", ReportRow::micro}})
        if (name.rfind(word, 0) == 0 && (name.size() == std::string(word).size() || name.find("av") != std::string::npos ||
                                         name.find("f") != std::string::npos))
            return kind;
    if (name.rfind("samples", 0) == 0) return ReportRow::micro;
    if (name == "mean" || name == "average" || name == "meanf") return ReportRow::macro;
    return ReportRow::of_class;
}

std::vector<const Row*> class_rows(const Group& group) {
    if (!group.has(Role::precision) && !group.has(Role::recall) && !group.has(Role::f1) && group.predicted.empty())
        return {};
    std::vector<const Row*> rows;
    for (const Row& row : group.rows)
        if (report_row(row) == ReportRow::of_class && (row.has(Role::precision) || row.has(Role::recall) ||
                                                       row.has(Role::f1) || row.has(Role::support) || !row.counts.empty()))
            rows.push_back(&row);
    return rows;
}

const Row* average_row(const Group& group, ReportRow kind) {
    for (const Row& row : group.rows)
        if (report_row(row) == kind) return &row;
    return nullptr;
}

Accuracy report_accuracy(const Table&, const Group& group) {
    Accuracy found;
    for (const Row& row : group.rows) {
        if (found.cell < 0 && row.has(Role::accuracy)) found.cell = row.cells.at(Role::accuracy);
        if (found.n_test_cell < 0 && row.has(Role::n_test)) found.n_test_cell = row.cells.at(Role::n_test);
    }
    for (const ReportRow kind : {ReportRow::accuracy, ReportRow::macro, ReportRow::weighted, ReportRow::micro}) {
        const Row* row = average_row(group, kind);
        if (row == nullptr) continue;
        if (kind == ReportRow::accuracy && found.cell < 0 && row->has(Role::f1)) found.cell = row->cells.at(Role::f1);
        if (found.n_test_cell < 0 && row->has(Role::support)) found.n_test_cell = row->cells.at(Role::support);
    }
    return found;
}

bool has_one_label(const Table& table, const Group& group) {
    const auto is_samples = [](const Row& row) { return plain_name(row).rfind("samples", 0) == 0; };
    if (std::any_of(group.rows.begin(), group.rows.end(), is_samples)) return false;
    return report_accuracy(table, group).cell >= 0;
}

bool has_all_classes(const Table& table, const Group& group) {
    for (const ReportRow kind : {ReportRow::accuracy, ReportRow::macro, ReportRow::weighted, ReportRow::micro})
        if (average_row(group, kind) != nullptr) return true;
    const int n_test = report_accuracy(table, group).n_test_cell;
    return n_test >= 0 && table.cells[static_cast<size_t>(n_test)].printed.value == sum_of_supports(table, group);
}

std::vector<Relation> score_relations(const Table& table, const Group& group) {
    std::vector<Relation> relations;
    for (const Row& row : group.rows)  // rows of a table of runs, each with its own accuracy
        if (row.has(Role::accuracy) && row.has(Role::n_test))
            relations.push_back(whole_share(13, row, "a whole number of images out of n_test", row.cells.at(Role::accuracy),
                                            row.cells.at(Role::n_test), 0));
    const std::vector<const Row*> classes = class_rows(group);
    if (classes.empty()) return relations;
    const Accuracy accuracy = report_accuracy(table, group);
    const std::vector<int> supports = cells_of(classes, Role::support);
    const bool all = has_all_classes(table, group) && has_one_label(table, group);
    if (accuracy.n_test_cell >= 0 && supports.size() == classes.size() && all) {
        for (const int cell : total_cells(group, accuracy.n_test_cell))
            relations.push_back(
                weighted_sum(14, -1, "sum of the supports", cell, supports, std::vector<double>(supports.size(), 1)));
        const Row* row = average_row(group, ReportRow::accuracy);
        if (row != nullptr && accuracy.cell >= 0 && !row->has(Role::accuracy))
            relations.push_back(
                whole_share(13, *row, "a whole number of images out of all", accuracy.cell, accuracy.n_test_cell, 0));
    }
    for (const Row* row : classes) {
        if (row->has(Role::f1) && row->has(Role::precision) && row->has(Role::recall)) relations.push_back(harmonic(*row));
        if (row->has(Role::recall) && row->has(Role::support))
            relations.push_back(whole_share(17, *row, "a whole number of images of the class", row->cells.at(Role::recall),
                                            row->cells.at(Role::support), 0));
    }
    add_averages(group, classes, all ? accuracy.cell : -1, relations);
    Confusion(group, relations).add(accuracy.cell, average_row(group, ReportRow::macro));
    return relations;
}

}  // namespace xbench::audit
