// Judging and repairing. A repair takes a cell's range away and asks what the relations around it leave.
#include "bench/audit/relation.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace xbench::audit {
namespace {

Ranges ranges_of(const Table& table, const Relation& relation, Rounding rounding) {
    Ranges ranges;
    for (const int cell : relation.cells) ranges.push_back(table.cells[static_cast<size_t>(cell)].range(rounding));
    return ranges;
}

bool is_true(const Relation& relation, const Ranges& ranges) {
    return relation.holds ? relation.holds(ranges) : meet(relation.solve(ranges, 0), ranges[0]);
}

bool involves(const Relation& relation, int cell) {
    return std::find(relation.cells.begin(), relation.cells.end(), cell) != relation.cells.end();
}

size_t place_of(const Relation& relation, int cell) {
    return static_cast<size_t>(std::find(relation.cells.begin(), relation.cells.end(), cell) - relation.cells.begin());
}

// What the relations around a cell leave for it.
Range left_for(const Table& table, const std::vector<const Relation*>& around, int cell, Rounding rounding) {
    Range left = everything();
    for (const Relation* relation : around)
        if (!relation->holds)
            left = common(left, widened(relation->solve(ranges_of(table, *relation, rounding), place_of(*relation, cell))));
    return left;
}

bool all_true_with(const Table& table, const std::vector<const Relation*>& around, int cell, double value) {
    return std::all_of(around.begin(), around.end(), [&](const Relation* relation) {
        Ranges ranges = ranges_of(table, *relation, Rounding::any);
        ranges[place_of(*relation, cell)] = exactly(value);
        return is_true(*relation, ranges);
    });
}

// Of relations that cannot be solved: whether they may hold with the cell somewhere in what the others leave.
bool can_all_hold(const Table& table, const std::vector<const Relation*>& around, int cell, const Range& left) {
    return std::all_of(around.begin(), around.end(), [&](const Relation* relation) {
        Ranges ranges = ranges_of(table, *relation, Rounding::any);
        ranges[place_of(*relation, cell)] = left;
        return !relation->holds || is_true(*relation, ranges);
    });
}

// A count: the nearest whole number that makes everything true.
Range nearest_count(const Table& table, const std::vector<const Relation*>& around, int cell, const Range& left) {
    constexpr int farthest = 20000;
    const double value = table.cells[static_cast<size_t>(cell)].printed.value;
    const double low = std::isfinite(left.low) ? std::max(std::ceil(left.low), 0.0) : 0;
    const double start =
        std::clamp(value, low, std::isfinite(left.high) ? std::max(low, std::floor(left.high)) : 2 * value + 100);
    for (int distance = 0; distance <= farthest; ++distance) {
        bool inside = false;
        for (const double candidate : {start - distance, start + distance}) {
            if (candidate < low || !left.holds(candidate)) continue;
            inside = true;
            if (candidate > 0 && all_true_with(table, around, cell, candidate)) return exactly(candidate);
        }
        if (!inside) break;
    }
    return {1, 0};
}

double change_of(const Cell& cell, const Range& to) {
    const double value = cell.printed.value;
    const double nearest = std::clamp(value, std::min(to.low, to.high), to.high);
    return std::abs(nearest - value) / std::max(std::abs(value), 1e-12);
}

// How probable it is that a count fits by chance alone: the width that the other cells leave for it.
double chance_of(const Cell& cell, const Range& left) {
    return cell.whole() ? std::min(1.0, std::max(0.0, left.high - left.low)) : 1.0;
}

struct Candidate {
    Repair repair;
    double chance;
};

void try_cell(const Table& table, const std::vector<Relation>& relations, const std::vector<const Relation*>& broken, int id,
              std::vector<Candidate>& found) {
    std::vector<const Relation*> around;
    for (const Relation& relation : relations)
        if (involves(relation, id)) around.push_back(&relation);
    for (const Relation* relation : broken)
        if (!involves(*relation, id)) return;
    const Cell& cell = table.cells[static_cast<size_t>(id)];
    const Range possible = cell.is_share() ? widened({0, 1}) : Range{0, everything().high};
    Range left = common(left_for(table, around, id, Rounding::any), possible);
    const double chance = chance_of(cell, left);
    if (left.empty()) return;
    if (cell.whole()) left = nearest_count(table, around, id, left);
    if (left.empty() || !can_all_hold(table, around, id, left)) return;
    // What is proposed is what numbers to the nearest leave, where they leave anything.
    const Range nearest = common(left_for(table, around, id, Rounding::nearest), possible);
    if (!cell.whole() && !nearest.empty()) left = nearest;
    found.push_back({{id, left, change_of(cell, left)}, chance});
}

}  // namespace

const char* name_of(Verdict verdict) {
    constexpr const char* names[] = {"consistent", "consistent if truncated", "impossible"};
    return names[static_cast<int>(verdict)];
}

Relation monomial(int check, int row, std::string text, const std::vector<std::pair<int, double>>& factors,
                  double constant) {
    Relation relation{check, row, std::move(text), {}, {}, {}};
    std::vector<double> exponents;
    for (const auto& [cell, exponent] : factors) {
        relation.cells.push_back(cell);
        exponents.push_back(exponent);
    }
    relation.solve = [exponents, constant](const Ranges& ranges, size_t free) {
        Range rest = exactly(constant);
        for (size_t i = 0; i < ranges.size(); ++i)
            if (i != free) rest = product(rest, power(ranges[i], exponents[i]));
        return power(rest, -1 / exponents[free]);
    };
    return relation;
}

Relation weighted_sum(int check, int row, std::string text, int result, const std::vector<int>& terms,
                      const std::vector<double>& weights) {
    Relation relation{check, row, std::move(text), {result}, {}, {}};
    relation.cells.insert(relation.cells.end(), terms.begin(), terms.end());
    relation.solve = [weights](const Ranges& ranges, size_t free) {
        Range total = free == 0 ? exactly(0) : ranges[0];
        for (size_t i = 1; i < ranges.size(); ++i)
            if (i != free) total = sum(total, scaled(ranges[i], free == 0 ? weights[i - 1] : -weights[i - 1]));
        return free == 0 ? total : scaled(total, 1 / weights[free - 1]);
    };
    return relation;
}

Verdict judge(const Table& table, const Relation& relation) {
    const auto true_with = [&](Rounding rounding) { return is_true(relation, ranges_of(table, relation, rounding)); };
    if (true_with(Rounding::nearest) || true_with(Rounding::half_even)) return Verdict::consistent;
    return true_with(Rounding::truncated) || true_with(Rounding::any) ? Verdict::if_truncated : Verdict::impossible;
}

Range expected(const Table& table, const Relation& relation) {
    return relation.solve ? relation.solve(ranges_of(table, relation, Rounding::nearest), 0) : everything();
}

std::vector<Repair> single_cell_repairs(const Table& table, const std::vector<Relation>& relations, int row) {
    std::vector<const Relation*> broken;
    std::set<int> cells;
    for (const Relation& relation : relations) {
        if ((row >= 0 && relation.row != row) || judge(table, relation) != Verdict::impossible) continue;
        broken.push_back(&relation);
        for (const int cell : relation.cells)
            if (row < 0 || table.cells[static_cast<size_t>(cell)].row == row) cells.insert(cell);
    }
    std::vector<Candidate> found;
    if (!broken.empty())
        for (const int cell : cells) try_cell(table, relations, broken, cell, found);
    std::stable_sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
        return a.chance != b.chance ? a.chance < b.chance : a.repair.change < b.repair.change;
    });
    std::vector<Repair> repairs;
    for (const Candidate& candidate : found) repairs.push_back(candidate.repair);
    return repairs;
}

}  // namespace xbench::audit
