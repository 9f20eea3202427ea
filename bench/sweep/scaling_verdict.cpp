// The sentence above a scaling table. A speed-up is that of more cores than the baseline has. Where no row has more, the
// sentence says so, and what was measured instead: against the baseline on as many cores, and against fewer.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/base/compare.h"
#include "bench/sweep/scaling_model.h"

namespace xbench {
namespace {

std::string named(const ScalingRow& row) {
    return fmt::format("{} on {} x {} cores", family_of(row), row.point.ranks, row.point.threads);
}

std::string rated(const ScalingRow& row) {
    const double rate = row.images_per_second.median;
    return fmt::format("{} ({:.{}f} images/s)", named(row), rate, rate < 100 ? 1 : 0);
}

const ScalingRow& own_baseline(const ScalingTable& table, const ScalingRow& row) {
    return table.rows[static_cast<size_t>(baseline_of(table, row.point.device))];
}

template <class F>
const ScalingRow* fastest(const ScalingTable& table, F&& wanted) {
    const ScalingRow* best = nullptr;
    for (const ScalingRow& row : table.rows)
        if (row.speedup && row.point.status == PointStatus::ok && wanted(row) &&
            (best == nullptr || *row.speedup > *best->speedup))
            best = &row;
    return best;
}

// "1.07 times as fast as serial on 1 x 2 cores (1.03 to 1.12)"
std::string ratio_text(const ScalingRow& row, const ScalingRow& other) {
    const RatioInterval ratio = compare_times(other.rates, row.rates);  // of rates
    std::string text = fmt::format("{:.2f} times as fast as {}",
                                   row.images_per_second.median / other.images_per_second.median, named(other));
    if (ratio.level > 0)
        text +=
            fmt::format(" ({:.2f} to {:.2f}{})", ratio.low, ratio.high, ratio.excludes_one() ? "" : ", within the noise");
    return text;
}

// The fastest serial row of fewer cores than the baseline has, that did the same work.
const ScalingRow* smaller_serial(const ScalingTable& table, const ScalingRow& base) {
    return fastest(table, [&](const ScalingRow& row) {
        return row.point.trainer == "serial" && row.point.device == base.point.device &&
               row.point.processors() < base.point.processors();
    });
}

// Of tables whose rows have no more cores than their baseline.
std::string without_more_cores(const ScalingTable& table, const ScalingRow& row) {
    const ScalingRow& base = own_baseline(table, row);
    std::string text = fmt::format(
        "No row has more cores than the baseline, {}, so there is no speed-up of more cores to give. {} trains {}",
        rated(base), named(row), ratio_text(row, base));
    const ScalingRow* smaller = smaller_serial(table, base);
    if (smaller == nullptr || smaller == &row) return text + ".";
    const double cores = static_cast<double>(row.point.processors()) / smaller->point.processors();
    const double ratio = row.images_per_second.median / smaller->images_per_second.median;
    text += fmt::format(", and {}", ratio_text(row, *smaller));
    return text + (cores > 1 ? fmt::format(", at an efficiency of {:.2f}.", ratio / cores) : ".");
}

// Nothing but baselines can be compared: the reasons of the others.
std::string without_speedup(const ScalingTable& table) {
    for (const std::string& note : table.notes)
        if (note.starts_with("No serial row ")) return note;
    std::vector<std::string> reasons;
    for (const ScalingRow& row : table.rows)
        if (row.timed() && !row.no_speedup.empty()) reasons.push_back(row.point.id() + " " + row.no_speedup);
    constexpr size_t shown = 3;
    const size_t more = reasons.size() > shown ? reasons.size() - shown : 0;
    if (more > 0) reasons.resize(shown);
    return fmt::format("No row has a speed-up over the baseline, {}{}{}{}.",
                       rated(table.rows[static_cast<size_t>(table.baseline)]), reasons.empty() ? "" : ": ",
                       fmt::join(reasons, "; "), more > 0 ? fmt::format("; and {} more", more) : "");
}

std::string weights_verdict(const ScalingTable& table) {
    for (const std::string& note : table.notes)
        if (note.starts_with("Weights: ") || note.starts_with("**Weights: ")) return " " + note;
    return "";
}

std::string missing_rows(const ScalingTable& table) {
    const auto missing =
        std::count_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return !row.has_result; });
    if (missing == 0) return "";
    return fmt::format(" {} of {} rows ha{} no result.", missing, table.rows.size(), missing == 1 ? "s" : "ve");
}

std::string speed_verdict(const ScalingTable& table) {
    if (const ScalingRow* best = fastest(table, [](const ScalingRow& row) { return row.relative_cores > 1; })) {
        const ScalingRow& base = own_baseline(table, *best);
        const bool plain = base.point.processors() == 1;
        return fmt::format("{} trains {:.2f} times as fast as {}{}, at an efficiency of {:.2f}.", named(*best),
                           *best->speedup, plain ? "the serial program" : "the fastest serial row, " + named(base),
                           best->speedup_low && best->speedup_high
                               ? fmt::format(" ({:.2f} to {:.2f})", *best->speedup_low, *best->speedup_high)
                               : "",
                           best->efficiency.value_or(0));
    }
    const ScalingRow* other =
        fastest(table, [&](const ScalingRow& row) { return &row != &own_baseline(table, row) && row.relative_cores == 1; });
    if (other == nullptr) other = fastest(table, [&](const ScalingRow& row) { return &row != &own_baseline(table, row); });
    return other != nullptr ? without_more_cores(table, *other) : without_speedup(table);
}

}  // namespace

std::string verdict_of(const ScalingTable& table) {
    return speed_verdict(table) + weights_verdict(table) + missing_rows(table);
}

}  // namespace xbench
