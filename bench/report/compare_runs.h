// Two runs of one configuration on one machine, row by row: how many times as long the second takes, with its interval.
#pragma once

#include <string>
#include <vector>

#include "bench/base/compare.h"
#include "bench/sweep/run_files.h"

namespace xbench {

enum class Change { none, regression, improvement, too_few, missing, other_conditions, failed };
const char* name_of(Change change);

struct RowChange {
    std::string row;
    double before = 0, after = 0;  // median ms a step
    RatioInterval ratio;           // of times: above 1 is slower
    double p_together = 1;         // by Holm over the rows
    Change change = Change::none;
    bool same_weights = true;
    int repeats = 0;   // the fewer of both
    double noise = 0;  // the larger of both
};

struct RunComparison {
    std::string before, after;             // names of the runs
    std::string refusal;                   // why times are not compared: "different machines"; "" where they are
    std::vector<std::string> differences;  // of version, compiler, what the machine was set to
    std::vector<RowChange> rows;
    bool regression() const;  // or a row that had a time and fails now
};

// Throws UsageError where the configurations differ in what the times depend on.
RunComparison compare_runs(const RunFiles& before, const RunFiles& after);
// Whether two folders hold runs of one configuration: `xbench report A B` compares such and lists others.
bool same_configuration(const RunFiles& a, const RunFiles& b);
// "their configurations differ in /train/seed": what keeps two runs from being compared.
std::string configuration_differences(const RunFiles& a, const RunFiles& b);
std::string comparison_markdown(const RunComparison& comparison);

}  // namespace xbench
