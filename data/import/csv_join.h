// Tables that say the rest of what a first one begins, as MIMIC-CXR's do: its metadata have a row an image, its splits one
// an image too, its labels one a study, so that all images of a study share them. Every row of the first table takes the
// columns of that row of another which has the same keys; a row that has no partner there stays, and is told apart.
#pragma once

#include <string>
#include <vector>

#include "data/import/csv.h"
#include "data/import/import.h"

namespace xbench {

struct JoinedTable {
    CsvTable table;                    // the first table, wider
    std::vector<std::string> without;  // a row: which partner it lacks, and by which key; "": none
    std::vector<std::string> notes;
};

// options.labels with each of options.joins, "FILE" or "FILE:KEY+KEY", where KEY is the name of a column of both tables or
// THEIRS=OURS. Without keys, all columns are keys whose names both headers have. Throws UsageError where two rows of FILE
// have the same keys and differ.
JoinedTable read_joined(const ImportOptions& options);

}  // namespace xbench
