// Somebody's table, column by column as its header means it. Numbers stay as they were printed (bench/audit/printed.h).
// Rows of different tables may lie in one file, told apart by a column "table" (or group, set, series).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/audit/printed.h"
#include "data/import/csv.h"

namespace xbench::audit {

enum class Role {
    ranks,
    threads,
    seconds,
    rate,
    speedup,
    efficiency,
    karp_flatt,
    images,
    images_per_epoch,
    batch,
    steps,
    steps_per_epoch,
    epochs,
    accuracy,
    balanced_accuracy,
    loss,
    precision,
    recall,
    f1,
    support,
    n_test,
    auc,
    repeats,
    spread,
    faster,
    majority,
    true_positive,
    false_positive,
    false_negative,
    true_negative,
    count,  // a column "predicted_<class>": images of the row's class that were given that class
    name,
    table,
    device,
    base,
    mode,
    evaluated_on,
    other
};

struct Cell {
    Printed printed;
    Role role = Role::other;
    int row = 0;  // in the file, from 0
    std::string column;
    bool whole() const;     // counts and sizes are printed in full, not rounded
    bool is_share() const;  // of 0 to 1
    Range range(Rounding rounding) const;
};

struct Row {
    std::string name, device, mode, evaluated_on;
    bool marked_base = false;
    int index = 0;
    std::map<Role, int> cells;  // index into Table::cells
    std::vector<int> counts;    // predicted_<class>, in the order of columns
    bool has(Role role) const { return cells.count(role) > 0; }
};

struct Group {
    std::string name;
    std::vector<Row> rows;
    std::vector<std::string> predicted;  // the classes of the columns predicted_<class>
    bool has(Role role) const;           // in any row
};

struct Table {
    std::vector<Cell> cells;
    std::vector<Group> groups;
    std::vector<std::string> ignored;  // columns that no check reads
    const Cell& cell(const Row& row, Role role) const { return cells[static_cast<size_t>(row.cells.at(role))]; }
    double value(const Row& row, Role role) const { return cell(row, role).printed.value; }
    // Processors: ranks x threads, as far as they are given; 0: not known.
    double processors(const Row& row) const;
};

// Throws UsageError where no column is one that a check reads, or where a cell of such a column is no number.
// A published table as text, its fields separated by commas, semicolons or tabs, whichever its header has most of. Where it
// is no comma, and a cell as "1,92" shows that commas are decimal ones, "1,920" is 1.920, too. Throws UsageError.
CsvTable parse_table(const std::string& text, const std::string& path);
Table audit_table(const CsvTable& csv);

}  // namespace xbench::audit
