// What cells of a table must fulfil together, whether they can, and which single cell would have to change where they
// cannot. A relation of cells is judged by the ranges that their roundings leave. It accuses only where no numbers in these
// ranges fulfil it.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/audit/table.h"

namespace xbench::audit {

enum class Verdict { consistent, if_truncated, impossible };
const char* name_of(Verdict verdict);

using Ranges = std::vector<Range>;

struct Relation {
    int check = 0;           // its number in the list of checks (bench/audit/audit.h)
    int row = -1;            // in the file; -1: of several rows
    std::string text;        // "speed-up = T(serial) / T"
    std::vector<int> cells;  // the first is the one that follows from the others
    // What cell number `free` can be, from the ranges of the others. Empty function: only `holds` is known.
    std::function<Range(const Ranges& ranges, size_t free)> solve;
    std::function<bool(const Ranges& ranges)> holds;
};

// constant x the product of cell^exponent = 1, of positive numbers. The first cell is the result.
Relation monomial(int check, int row, std::string text, const std::vector<std::pair<int, double>>& factors,
                  double constant = 1);
// result = sum of weight x term, with known weights, or with cells of their own.
Relation weighted_sum(int check, int row, std::string text, int result, const std::vector<int>& terms,
                      const std::vector<double>& weights);

Verdict judge(const Table& table, const Relation& relation);
// What the first cell would have to be, by the others to the nearest.
Range expected(const Table& table, const Relation& relation);

// One cell that, changed, makes all relations true: the smallest change first. `to` is what it may become.
struct Repair {
    int cell = 0;
    Range to{0, 0};
    double change = 0;  // relative
};
// Of the whole group, or where no single cell does it and `row` >= 0 of the relations of one row by cells of that row.
std::vector<Repair> single_cell_repairs(const Table& table, const std::vector<Relation>& relations, int row = -1);

}  // namespace xbench::audit
