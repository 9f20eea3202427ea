// An audit of somebody's published table: what its own numbers say about it. The checks, by number:
//   1 S = T_base/T      2 E = S/N          3 the N that E was made with  4 Karp-Flatt, Amdahl   5 more than linear
//   6 claims of faster  7 the base         8 equal work                  9 weak called strong  10 copied or made-up digits
//  11 repeats, spread  12 digits of times 13 accuracy is a count        14 supports add up     15 F1 = 2PR/(P+R)
//  16 averages         17 whole counts    18 majority, balanced         19 binomial noise      20 ranges of scores
//  21 equal accuracies 22 loss against accuracy
// A check accuses ("impossible") only what no rounding to nearest, to even or by cutting off explains; the rest are remarks.
#pragma once

#include <string>
#include <vector>

#include "bench/audit/relation.h"
#include "bench/audit/table.h"
#include "core/json.h"

namespace xbench::audit {

enum class Level { consistent, if_truncated, impossible, remark };
const char* name_of(Level level);

struct Finding {
    int check = 0;
    Level level = Level::remark;
    std::string table, row;  // "" where it is of all
    std::string text;
};

struct NamedRepair {
    std::string table, row, column, from, to;
    int file_row = 0;   // from 0
    bool only = false;  // no other single cell does
    std::string text;   // "row 2-gpu, efficiency: .38 -> .960"
};

struct Report {
    std::string path;
    std::vector<Finding> findings;
    std::vector<NamedRepair> repairs;
    std::vector<std::string> ignored;  // columns that no check reads
    int relations = 0;                 // judged
    bool impossible() const;
};

Report audit(const CsvTable& csv);
std::string audit_markdown(const Report& report);  // findings in one table, repairs below
std::string audit_text(const Report& report);      // a sentence a line
Json to_json(const Report& report);

// The two halves: they add relations, which are judged and repaired together, and remarks.
struct Work {
    const Table& table;
    const Group& group;
    std::vector<Relation>& relations;
    std::vector<Finding>& findings;
    void remark(int check, const std::string& row, const std::string& text, Level level = Level::remark) const {
        findings.push_back({check, level, group.name, row, text});
    }
};
void check_scaling(const Work& work);  // 1 to 12
void check_scores(const Work& work);   // 13 to 22

}  // namespace xbench::audit
