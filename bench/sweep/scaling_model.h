// What is said of a scaling table, once: sentences, lists and tables of text. scaling.md and report.html show this model,
// each in its own way, so that they cannot disagree. Texts may hold **bold** and `code`, and nothing else of Markdown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/sweep/scaling_table.h"

namespace xbench {

struct ModelColumn {
    std::string title;
    bool right = true;       // numbers to the right, words to the left
    bool page_only = false;  // scaling.md has 120 columns of text
};

struct ModelTable {
    std::vector<ModelColumn> columns;
    std::vector<std::vector<std::string>> rows;  // as many cells as columns; empty: nothing was measured
    std::string csv;                             // the file that holds its numbers in full, beside the page
    std::string own_csv = {};                    // where there is none: a name for its cells as a file
};

struct ScalingModel {
    std::string title, machine, verdict;
    std::vector<std::string> work;     // what each run did, and how often
    ModelTable speed, quality;         // rates and what they are worth; results and waiting
    std::string power;                 // "" with too few repeats
    std::vector<std::string> notes;    // what a reader has to know
    std::vector<std::string> reasons;  // of rows that did not run, or have no speed-up
    // Where the efficiency went: a column a factor and POP's names, for both; a line a factor, for the page alone.
    std::vector<ModelTable> factors;
    ModelTable factor_intervals;
    std::vector<std::string> factor_items;
    ModelTable accuracy;  // time to accuracy
    std::string accuracy_note;
    ModelTable delays, memory;
    std::vector<std::string> curve;  // laws and Karp-Flatt
};

ScalingModel scaling_model(const ScalingTable& table);

// "cpu_ddp on 16 x 1 cores trains 8.07 times as fast as the serial program (8.01 to 8.13), at an efficiency of 0.50. ..."
// scaling_verdict.cpp
std::string verdict_of(const ScalingTable& table);
// Laws that were fitted, or what is missing for one; Karp-Flatt. Each an item.
std::vector<std::string> curve_items(const ScalingTable& table);
// How the tables are to be read.
extern const char* const column_explanations;
extern const char* const factor_explanation;
extern const char* const delay_explanation;

// Delays as tables show them: the costliest of a row, their columns and cells.
inline constexpr size_t most_delays = 5;
std::vector<BucketDelay> costliest(std::vector<BucketDelay> delays);
std::vector<ModelColumn> delay_columns(std::optional<ModelColumn> first = {});
std::vector<std::string> delay_cells(const BucketDelay& delay);

// Its parts. scaling_costs.cpp
ModelTable delays_table(const ScalingTable& table);
ModelTable memory_table(const ScalingTable& table);
std::string delays_csv(const ScalingTable& table);
std::string memory_csv(const ScalingTable& table);  // bytes

}  // namespace xbench
