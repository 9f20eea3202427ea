// What a row of a table says about the classes of its image, in the ways in which public sets write it: one cell with a
// name, names joined by '|', or a list as Python prints it; or a column a class with 1, 0, -1 (uncertain) or a blank.
#pragma once

#include <string>
#include <vector>

#include "data/import/csv.h"
#include "data/import/import.h"

namespace xbench {

inline constexpr size_t no_column = static_cast<size_t>(-1);
inline constexpr const char* no_finding = "No Finding";  // in a multi-label table: none of the classes

bool is_no_finding(const std::string& label);  // in any case

// Cells that say that a value is missing, as pandas has them.
bool is_missing(const std::string& cell);
// Where the column of a role stands, under its name or that of --columns. Throws UsageError where it is required or named,
// and not there.
size_t find_column(const CsvTable& table, const ImportOptions& options, const std::string& role, bool required);

struct RowLabels {
    std::vector<std::string> present, unknown;
    bool missing = false;  // the row does not say
};

class LabelColumns {
public:
    // Throws UsageError.
    LabelColumns(const CsvTable& table, const ImportOptions& options);
    // In the order of the table; empty where cells name the classes.
    const std::vector<std::string>& classes() const { return classes_; }
    // The cell that says it, for messages; of several the first.
    const std::string& cell(const std::vector<std::string>& row) const { return row[columns_.front()]; }
    RowLabels read(const std::vector<std::string>& row, const std::string& place) const;

private:
    RowLabels read_cell(const std::string& cell, const std::string& place) const;
    RowLabels read_columns(const std::vector<std::string>& row, const std::string& place) const;

    const ImportOptions& options_;
    std::vector<size_t> columns_;
    std::vector<std::string> classes_;
};

}  // namespace xbench
