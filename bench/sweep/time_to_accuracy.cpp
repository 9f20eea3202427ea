// Reads the histories; ratios as of step times, by Hodges and Lehmann.
#include "bench/sweep/time_to_accuracy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/base/compare.h"
#include "bench/sweep/row_details.h"
#include "bench/sweep/scaling_table.h"

namespace xbench {
namespace {

double best_of(const RunHistory& history) {
    double best = 0;
    for (const double accuracy : history.val_accuracy)
        if (accuracy > best) best = accuracy;  // false of NaN
    return best;
}

ToAccuracy time_of_row(const std::vector<const Record*>& records, double target) {
    ToAccuracy to;
    std::vector<double> bests, epochs;
    for (const Record* record : records) {
        const RunHistory history = history_of(*record);
        if (history.empty()) continue;
        ++to.repeats;
        bests.push_back(best_of(history));
        const auto first = std::find_if(history.val_accuracy.begin(), history.val_accuracy.end(),
                                        [&](double accuracy) { return accuracy >= target; });
        if (first == history.val_accuracy.end()) continue;
        const auto epoch = static_cast<size_t>(first - history.val_accuracy.begin());
        to.seconds_of_repeats.push_back(history.seconds[epoch]);
        epochs.push_back(static_cast<double>(epoch + 1));
    }
    to.best = median(bests);
    to.epoch = static_cast<int>(median(epochs));
    if (to.repeats == 0)
        to.why_not = "its records carry no history";
    else if (to.seconds_of_repeats.empty())
        to.why_not = fmt::format("it never reaches {:.3f}: its best is {:.3f}", target, to.best);
    else if (!to.reached())
        to.why_not = fmt::format("only {} of its {} runs reach {:.3f}", to.seconds_of_repeats.size(), to.repeats, target);
    else
        to.seconds = interval_of(to.seconds_of_repeats);
    return to;
}

void compare_to_baseline(ToAccuracy& to, const ToAccuracy& base) {
    if (!to.reached()) return;
    if (!base.reached()) {
        to.why_not = "the baseline does not get there";
        return;
    }
    const RatioInterval ratio = compare_times(to.seconds_of_repeats, base.seconds_of_repeats);
    to.ratio = base.seconds.median / to.seconds.median;
    if (ratio.level > 0) to.low = ratio.low, to.high = ratio.high;
}

}  // namespace

std::optional<double> accuracy_to_reach(const ScalingTable& table,
                                        const std::vector<std::vector<const Record*>>& records_of_rows) {
    std::optional<double> least;
    for (size_t i = 0; i < table.rows.size(); ++i) {
        if (!table.rows[i].has_result || (table.baseline >= 0 && static_cast<int>(i) != table.baseline)) continue;
        for (const Record* record : records_of_rows[i]) {
            const RunHistory history = history_of(*record);
            if (!history.empty()) least = std::min(least.value_or(1), best_of(history));
        }
    }
    if (least) least = std::floor(*least * 1000 + 1e-9) / 1000;
    return least;
}

void add_time_to_accuracy(ScalingTable& table, const std::vector<std::vector<const Record*>>& records_of_rows) {
    if (!table.target_accuracy) table.target_accuracy = accuracy_to_reach(table, records_of_rows);
    if (!table.target_accuracy) return;
    for (size_t i = 0; i < table.rows.size(); ++i)
        if (table.rows[i].timed()) table.rows[i].to_accuracy = time_of_row(records_of_rows[i], *table.target_accuracy);
    for (ScalingRow& row : table.rows) {
        const int own = baseline_of(table, row.point.device);
        if (!row.timed() || own < 0) continue;
        const ScalingRow& base = table.rows[static_cast<size_t>(own)];
        if (&row == &base)
            row.to_accuracy.ratio = row.to_accuracy.reached() ? std::optional(1.0) : std::nullopt;
        else if (row.work.data_sha != base.work.data_sha)
            row.to_accuracy.why_not = "its accuracy is one of other images";
        else
            compare_to_baseline(row.to_accuracy, base.to_accuracy);
    }
}

std::string to_accuracy_text(const ToAccuracy& to, double target) {
    if (!to.ratio)
        return fmt::format("no time to equal accuracy: {}", to.why_not.empty() ? "no record carries a history" : to.why_not);
    std::string text =
        fmt::format("it reaches a validation accuracy of {:.3f} in {:.3g} s, {:.2f} times as fast as the baseline", target,
                    to.seconds.median, *to.ratio);
    if (to.low && to.high) text += fmt::format(" ({:.2f} to {:.2f})", *to.low, *to.high);
    return text;
}

}  // namespace xbench
