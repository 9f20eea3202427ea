// Seconds of training and validation until a run's validation accuracy first reaches a named value. What rows of other work
// can be compared by, and what a reader of any table wants besides its speed-ups.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/base/measure.h"
#include "bench/base/record.h"

namespace xbench {

struct ScalingTable;

struct ToAccuracy {
    std::vector<double> seconds_of_repeats;  // of those that reached it
    Interval seconds;
    int repeats = 0;                         // that carry a history
    int epoch = 0;                           // median, from 1
    double best = 0;                         // median over repeats of their best validation accuracy
    std::optional<double> ratio, low, high;  // how many times as fast as the baseline gets there; 95%
    std::string why_not;                     // why there is no time, or no comparison
    bool reached() const { return repeats > 0 && static_cast<int>(seconds_of_repeats.size()) == repeats; }
};

// The value that is asked for where nobody names one: what every repeat of the baseline reaches (where there is none, of
// every row), rounded down to three digits. Nothing where no record carries a history.
std::optional<double> accuracy_to_reach(const ScalingTable& table,
                                        const std::vector<std::vector<const Record*>>& records_of_rows);

// Fills to_accuracy of each row, for table.target_accuracy.
void add_time_to_accuracy(ScalingTable& table, const std::vector<std::vector<const Record*>>& records_of_rows);

// "it reaches a validation accuracy of 0.940 in 3.21 s, 1.62 times as fast as the baseline (1.58 to 1.66)", or why there is
// no such time.
std::string to_accuracy_text(const ToAccuracy& to, double target);

}  // namespace xbench
