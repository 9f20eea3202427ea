// What a search looks through: keys of the configuration with the values that they may take, and the trials drawn from them.
// A trial's values are a function of (seed, trial, key) alone, so that any number of workers tries the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace xbench {

struct SearchKey {
    std::string key;                  // "train.learning_rate"
    std::vector<std::string> values;  // as they are written; empty: a range
    double low = 0, high = 0;
    bool logarithmic = false, whole = false;
};

// "train.learning_rate=0.001,0.01", "train.dropout=0.1..0.5", "train.weight_decay=log 1e-6..1e-2". Throws UsageError that
// names the place in /tune/search.
std::vector<SearchKey> parse_search(const TuneConfig& config);

// The settings of each trial, "key=value": drawn, or for grid every combination, the last key changing fastest.
std::vector<std::vector<std::string>> draw_trials(const TuneConfig& config);

// Synchronous successive halving (Jamieson and Talwalkar, AISTATS 2016): so many trials train for so many epochs in all,
// then the best one in eta goes on. The other methods have one rung. The last trial of halving goes on to the end.
struct Rung {
    int64_t trials, epochs;
    bool operator==(const Rung&) const = default;
};
std::vector<Rung> rungs_of(const TuneConfig& config, int64_t trials, int64_t epochs);

}  // namespace xbench
