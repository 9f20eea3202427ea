// The arithmetic of a scaling table as relations: which row and which column its speed-ups are made of is not said by most
// tables, so all of them are tried and the one that accuses least is named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/audit/audit.h"

namespace xbench::audit {

struct Basis {
    int base = -1;  // index of the row in the group; -1: not in the table
    Role measure = Role::seconds;
    bool weak = false;      // the work grows with N: E = T_base/T, S = N T_base/T
    bool relative = false;  // efficiency counts processors in multiples of the base's
    bool known = false;     // there is something to compare
};

// A row that can only be the base: marked so, called serial or base, or with a speed-up of 1.
bool is_surely_base(const Table& table, const Row& row);
Basis find_basis(const Table& table, const Group& group);
std::vector<Relation> scaling_relations(const Table& table, const Group& group, const Basis& basis);

// Speed-up of a row against the base, from the measure, else as printed; as the roundings leave it.
std::optional<Range> speedup_range(const Table& table, const Group& group, const Basis& basis, const Row& row,
                                   Rounding rounding = Rounding::nearest);

// The same of the numbers as they stand.
std::optional<double> speedup_value(const Table& table, const Group& group, const Basis& basis, const Row& row);

}  // namespace xbench::audit
