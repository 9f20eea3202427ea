// Whether a model is worth as much to everybody: scores of the images that share a property (sex, view, site, an age group),
// each with its interval.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "eval/intervals.h"
#include "eval/metrics.h"

namespace xbench {

// Text that goes with the images of a data set: by column, {N} each.
using MetaColumns = std::map<std::string, std::vector<std::string>>;

struct Subgroup {
    std::string column, value;
    int64_t images = 0;
    Bootstrap scores;  // as bootstrap_scores gives them, of these images alone
};

// Columns of one value, or of more than most_subgroups, are left out. Numbers in a column named "age" are taken together as
// 0-17, 18-39, 40-64 and 65+ (years; "058Y" as NIH writes it is one). `groups` as bootstrap_scores takes them.
inline constexpr size_t most_subgroups = 12;
std::vector<Subgroup> score_subgroups(const Predictions& predictions, const std::vector<std::string>& class_names,
                                      std::span<const std::string> groups, const MetaColumns& columns,
                                      const BootstrapOptions& options);

// column -> value -> {images, accuracy, balanced_accuracy, roc_auc: class -> ...}, each score with its interval.
Json to_json(const std::vector<Subgroup>& subgroups);

// The predictions for these rows alone.
Predictions rows_of(const Predictions& predictions, std::span<const size_t> rows);

}  // namespace xbench
