// Relations of speed-ups, efficiencies and times.
#include "bench/audit/scaling_relations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace xbench::audit {
namespace {

using Factors = std::vector<std::pair<int, double>>;

std::string small_letters(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

void add_processors(Factors& factors, const Row& row, double exponent) {
    for (const Role role : {Role::ranks, Role::threads})
        if (row.has(role)) factors.emplace_back(row.cells.at(role), exponent);
}

// base's time over the row's time, or the row's rate over the base's, to the power `exponent`.
void add_ratio(Factors& factors, const Row& row, const Row& base, const Basis& basis, double exponent) {
    const double of_row = basis.measure == Role::seconds ? -exponent : exponent;
    factors.emplace_back(row.cells.at(basis.measure), of_row);
    factors.emplace_back(base.cells.at(basis.measure), -of_row);
    if (basis.weak && basis.measure == Role::seconds) add_processors(factors, row, exponent);
}

class Builder {
public:
    Builder(const Table& table, const Group& group, const Basis& basis) : table_(table), group_(group), basis_(basis) {}

    std::vector<Relation> build() {
        for (const Row& row : group_.rows) {
            const bool base = basis_.base >= 0 && &row == &this->base();
            if (base && row.has(Role::speedup))
                add(1, row, "speed-up of the base itself, 1", {{row.cells.at(Role::speedup), 1}});
            if (base && row.has(Role::efficiency) && counts(row)) {
                Factors factors{{row.cells.at(Role::efficiency), 1}};
                add_processors(factors, row, 1);
                add(2, row, "1/N, as the base is itself", factors, 1 / base_processors());
            }
            if (basis_.base >= 0 && !base) against_base(row);
            efficiency(row);
            if (row.has(Role::karp_flatt) && row.has(Role::speedup)) karp_flatt(row);
        }
        if (basis_.base < 0) without_base();
        return std::move(relations_);
    }

private:
    const Row& base() const { return group_.rows[static_cast<size_t>(basis_.base)]; }
    bool counts(const Row& row) const { return table_.processors(row) > 0; }
    void add(int check, const Row& row, std::string text, const Factors& factors, double constant = 1) {
        relations_.push_back(monomial(check, row.index, std::move(text), factors, constant));
    }
    std::string ratio_text() const {
        const std::string name = basis_.base >= 0 ? base().name : "base";
        return basis_.measure == Role::seconds ? fmt::format("{}T({})/T", basis_.weak ? "N " : "", name)
                                               : fmt::format("rate / rate({})", name);
    }
    double base_processors() const { return basis_.relative && basis_.base >= 0 ? table_.processors(base()) : 1; }

    void against_base(const Row& row) {
        if (!row.has(basis_.measure) || !base().has(basis_.measure)) return;
        if (row.has(Role::speedup)) {
            Factors factors{{row.cells.at(Role::speedup), 1}};
            add_ratio(factors, row, base(), basis_, -1);
            add(1, row, ratio_text(), factors);
        }
        if (row.has(Role::efficiency) && counts(row)) {
            Factors factors{{row.cells.at(Role::efficiency), 1}};
            add_processors(factors, row, 1);
            add_ratio(factors, row, base(), basis_, -1);
            add(2, row, ratio_text() + "/N", factors, 1 / base_processors());
        }
    }

    void efficiency(const Row& row) {
        if (!row.has(Role::efficiency) || !row.has(Role::speedup) || !counts(row)) return;
        Factors factors{{row.cells.at(Role::efficiency), 1}, {row.cells.at(Role::speedup), -1}};
        add_processors(factors, row, 1);
        add(2, row, "speed-up/N", factors, 1 / base_processors());
    }

    void karp_flatt(const Row& row) {
        const double n = table_.processors(row) / base_processors();
        if (n <= 1) return;
        Relation relation{
            4, row.index, "(1/S - 1/N)/(1 - 1/N)", {row.cells.at(Role::karp_flatt), row.cells.at(Role::speedup)}, {}, {}};
        relation.solve = [n](const Ranges& ranges, size_t free) {
            if (free == 1) {
                const Range inverse = sum(scaled(ranges[0], 1 - 1 / n), exactly(1 / n));
                return inverse.low > 0 ? power(inverse, -1) : everything();
            }
            return scaled(sum(power(ranges[1], -1), exactly(-1 / n)), 1 / (1 - 1 / n));
        };
        relations_.push_back(std::move(relation));
    }

    // Speed-up x time is the same base time in all rows.
    void without_base() {
        const Row* first = nullptr;
        for (const Row& row : group_.rows) {
            if (!row.has(Role::speedup) || !row.has(basis_.measure)) continue;
            if (first == nullptr) {
                first = &row;
                continue;
            }
            Factors factors{{row.cells.at(Role::speedup), 1}, {first->cells.at(Role::speedup), -1}};
            add_ratio(factors, row, *first, basis_, -1);
            add(1, row,
                fmt::format("{} times the speed-up of {}", basis_.measure == Role::seconds ? "T ratio" : "rate ratio",
                            first->name),
                factors);
        }
    }

    const Table& table_;
    const Group& group_;
    const Basis basis_;
    std::vector<Relation> relations_;
};

int accusations(const Table& table, const Group& group, const Basis& basis) {
    int count = 0;
    for (const Relation& relation : scaling_relations(table, group, basis))
        count += judge(table, relation) == Verdict::impossible ? 1 : 0;
    return count;
}

// The row that most likely is the base: surely one, else the fewest processors, else the first that has the measure.
int likely_base(const Table& table, const Group& group, Role measure) {
    int best = -1;
    const auto rank = [&](const Row& row) {
        const double n = table.processors(row);
        return row.marked_base ? -2.0 : is_surely_base(table, row) ? -1.0 : n > 0 ? n : 1e9;
    };
    for (size_t i = 0; i < group.rows.size(); ++i) {
        if (!group.rows[i].has(measure)) continue;
        if (best < 0 || rank(group.rows[i]) < rank(group.rows[static_cast<size_t>(best)])) best = static_cast<int>(i);
    }
    return best;
}

bool is_weak(const Group& group) {
    return std::any_of(group.rows.begin(), group.rows.end(), [](const Row& row) { return row.mode == "weak"; });
}

// The likely base of each measure first, then every other row, then none.
std::vector<Basis> possible_bases(const Table& table, const Group& group) {
    std::vector<Basis> likely, others;
    for (const Role measure : {Role::seconds, Role::rate}) {
        const int first = likely_base(table, group, measure);
        if (first < 0) continue;
        const bool sure = is_surely_base(table, group.rows[static_cast<size_t>(first)]);
        for (const bool relative : {false, true}) {
            if (relative && table.processors(group.rows[static_cast<size_t>(first)]) <= 1) continue;
            likely.push_back({first, measure, is_weak(group), relative, true});
            if (sure) continue;
            for (size_t i = 0; i < group.rows.size(); ++i)
                if (static_cast<int>(i) != first && group.rows[i].has(measure))
                    others.push_back({static_cast<int>(i), measure, is_weak(group), relative, true});
        }
        if (!sure) others.push_back({-1, measure, is_weak(group), false, true});
    }
    likely.insert(likely.end(), others.begin(), others.end());
    return likely;
}

}  // namespace

bool is_surely_base(const Table& table, const Row& row) {
    const std::string name = small_letters(row.name);
    return row.marked_base || name.find("serial") != std::string::npos || name.find("baseline") != std::string::npos ||
           (row.has(Role::speedup) && std::abs(table.value(row, Role::speedup) - 1) < 1e-9);
}

// The first of the likely ones, unless another basis accuses nobody at all.
Basis find_basis(const Table& table, const Group& group) {
    const std::vector<Basis> all = possible_bases(table, group);
    if (all.empty()) return {};
    Basis best = all.front();
    int least = accusations(table, group, best);
    for (const Basis& basis : all) {
        if (least == 0) break;
        const int count = accusations(table, group, basis);
        const bool likely = basis.base == all.front().base;
        if (count == 0 || (likely && count < least)) best = basis, least = count;
    }
    return best;
}

std::vector<Relation> scaling_relations(const Table& table, const Group& group, const Basis& basis) {
    return Builder(table, group, basis).build();
}

std::optional<Range> speedup_range(const Table& table, const Group& group, const Basis& basis, const Row& row,
                                   Rounding rounding) {
    if (basis.base >= 0 && row.has(basis.measure) && group.rows[static_cast<size_t>(basis.base)].has(basis.measure)) {
        const Range own = table.cell(row, basis.measure).range(rounding),
                    base = table.cell(group.rows[static_cast<size_t>(basis.base)], basis.measure).range(rounding);
        const Range ratio = basis.measure == Role::seconds ? product(base, power(own, -1)) : product(own, power(base, -1));
        return basis.weak && basis.measure == Role::seconds ? scaled(ratio, table.processors(row)) : ratio;
    }
    if (row.has(Role::speedup)) return table.cell(row, Role::speedup).range(rounding);
    return std::nullopt;
}

std::optional<double> speedup_value(const Table& table, const Group& group, const Basis& basis, const Row& row) {
    if (basis.base >= 0 && row.has(basis.measure) && group.rows[static_cast<size_t>(basis.base)].has(basis.measure)) {
        const double own = table.value(row, basis.measure),
                     base = table.value(group.rows[static_cast<size_t>(basis.base)], basis.measure);
        if (basis.measure == Role::rate) return own / base;
        return base / own * (basis.weak ? table.processors(row) : 1);
    }
    if (row.has(Role::speedup)) return table.value(row, Role::speedup);
    return std::nullopt;
}

}  // namespace xbench::audit
