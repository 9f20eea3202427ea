// What the curve says: the laws that its repeats do not reject, or what is missing for one, and Karp-Flatt's fraction. The
// sentences of scaling_model.h.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "bench/laws/laws.h"
#include "bench/sweep/scaling_model.h"

namespace xbench {
namespace {

int baseline_cores(const ScalingTable& table) {
    return table.baseline < 0 ? 1 : table.rows[static_cast<size_t>(table.baseline)].point.processors();
}

std::string parameters_text(const LawFit& fit) {
    std::string text;
    for (const Parameter& p : fit.parameters) {
        text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", p.name, p.value);
        if (p.low < p.high) text += fmt::format(" ({:.4g} to {:.4g})", p.low, p.high);
    }
    return text;
}

// At twice the largest core count that was measured, and no further. "" where the law says nothing about it.
std::string prediction(const ScalingTable& table, const TrainerFit& fit, const LawFit& law, int unit) {
    if (!law.predicts()) return "";
    const double ratio = law.seconds(1) / law.seconds(fit.furthest) * (table.mode == "weak" ? fit.furthest : 1);
    return fmt::format(" If it held, {:.0f} cores would give {:.2f}x.", fit.furthest * unit, ratio);
}

std::string law_text(const ScalingTable& table, const TrainerFit& fit, const LawFit& law) {
    std::string text = fmt::format("{}: {}: {} over {} core counts, worst error {:.1f}%", fit.trainer, name_of(law.law),
                                   parameters_text(law), law.core_counts, 100 * law.worst_relative_error);
    if (law.rejected) return text + fmt::format("; rejected, p = {:.2g}.", law.p_value);
    if (!law.tested) return text + "; not tested, as there are no repeats, and so not drawn.";
    return text + fmt::format("; not rejected, p = {:.2f}.", law.p_value) +
           prediction(table, fit, law, baseline_cores(table));
}

// Rows of a family that would have been points of its curve.
std::string rows_without_a_point(const ScalingTable& table, const std::string& family) {
    std::vector<std::string> shared, missing;
    for (const ScalingRow& row : table.rows) {
        if (family_of(row) != family) continue;
        if (row.point.status == PointStatus::oversubscribed)
            shared.push_back(row.point.id());
        else if (!row.has_result || (row.timed() && !row.no_speedup.empty()))
            missing.push_back(row.point.id());
    }
    std::string text;
    if (!shared.empty())
        text +=
            fmt::format(" {} shared cores and {} not count.", fmt::join(shared, ", "), shared.size() == 1 ? "does" : "do");
    if (!missing.empty())
        text += fmt::format(" {} {} no speed-up.", fmt::join(missing, ", "), missing.size() == 1 ? "has" : "have");
    return text;
}

std::string too_few_text(const ScalingTable& table, const std::string& family, int core_counts) {
    const int missing = least_core_counts - core_counts;
    return fmt::format(
        "{}: no law is fitted: that takes {} core counts, and with the baseline's there {} {}; {} more {} missing.{}",
        family, least_core_counts, core_counts == 1 ? "is" : "are", core_counts, missing, missing == 1 ? "is" : "are",
        rows_without_a_point(table, family));
}

// Families that ran and have no fit at all, as every row of them shared cores or did other work.
std::vector<std::string> families_without_fit(const ScalingTable& table) {
    std::vector<std::string> families;
    for (const ScalingRow& row : table.rows) {
        const std::string family = family_of(row);
        const bool fitted =
            std::any_of(table.fits.begin(), table.fits.end(), [&](const TrainerFit& fit) { return fit.trainer == family; });
        if (fitted || !row.timed() || row.point.trainer == "serial" || row.relative_cores == 1) continue;
        if (std::find(families.begin(), families.end(), family) == families.end()) families.push_back(family);
    }
    return families;
}

// Karp-Flatt over the numbers of cores says whether the loss is a serial part or overhead that grows.
std::string karp_flatt_text(const ScalingTable& table, const TrainerFit& fit) {
    if (table.mode == "weak") return "";  // it falls there by its nature, and says nothing
    std::vector<std::string> values;
    for (const ScalingPoint& p : fit.curve)
        if (const auto fraction = karp_flatt(p.speedup, p.processors))
            values.push_back(fmt::format("{:.3f} at {:.0f}", *fraction, p.processors * baseline_cores(table)));
    if (values.empty()) return "";
    return fmt::format("{}: Karp-Flatt is {} cores; {}.", fit.trainer, fmt::join(values, ", "),
                       values.size() == 1 ? "one number of cores shows no trend" : meaning_of(fit.trend));
}

}  // namespace

std::vector<std::string> curve_items(const ScalingTable& table) {
    std::vector<std::string> items;
    if (table.baseline < 0) return {"Nothing is fitted: that takes a serial row, with status ok."};
    for (const TrainerFit& fit : table.fits) {
        if (fit.core_counts < least_core_counts) items.push_back(too_few_text(table, fit.trainer, fit.core_counts));
        for (const LawFit& law : fit.laws) items.push_back(law_text(table, fit, law));
    }
    for (const std::string& family : families_without_fit(table)) items.push_back(too_few_text(table, family, 1));
    for (const TrainerFit& fit : table.fits)
        if (const std::string text = karp_flatt_text(table, fit); !text.empty()) items.push_back(text);
    if (items.empty())
        items.emplace_back(
            "Nothing is fitted: that takes a serial row and a row with more cores than it, both with status ok.");
    if (table.mode == "weak")
        items.emplace_back(
            "The work grows with the cores (weak scaling), so neither Amdahl's law nor Karp-Flatt's fraction applies.");
    return items;
}

}  // namespace xbench
