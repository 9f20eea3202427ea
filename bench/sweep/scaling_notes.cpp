// Notes on weights, the baseline, the quality of the measurement, and the communication.
#include "bench/sweep/scaling_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "bench/sweep/machine_drift.h"

namespace xbench {
namespace {

// Of the rows on one device, as a GPU's kernels have bits of their own.
void note_weights(ScalingTable& table, const std::string& device) {
    std::set<std::string> hashes, batches;
    int rows = 0, runs = 0;
    for (const ScalingRow& row : table.rows) {
        if (!row.has_result || row.point.device != device) continue;
        hashes.insert(row.weights_hash);
        batches.insert(std::to_string(row.point.global_batch));
        ++rows, runs += row.repeats;
    }
    if (rows == 0) return;
    const bool same = hashes.size() == 1 && hashes.count("differs") == 0;
    if (batches.size() > 1) {
        table.notes.emplace_back(
            "Weights: the batch grows with the ranks (weak mode), so the rows end in different weights.");
    } else if (same) {
        table.notes.push_back(
            fmt::format("Weights: the same, bit for bit, in all {} runs of {} rows ({}{} reduction): `{}`.", runs, rows,
                        device == "cuda" ? "on GPUs, " : "", table.reduction, *hashes.begin()));
    } else if (table.reduction == "invariant") {
        table.notes.emplace_back(
            "**Weights: they DIFFER between runs that the invariant reduction promises to be equal. Report this as a "
            "bug.**");
    } else {
        table.notes.emplace_back("Weights: they differ between rows, as the fast reduction adds in an order of its own.");
    }
}

void note_emulated(ScalingTable& table) {
    std::vector<std::string> emulated;
    for (const ScalingRow& row : table.rows)
        if (row.emulated) emulated.push_back(row.point.id());
    if (!emulated.empty())
        table.notes.push_back(fmt::format("**{} ran on an emulated GPU: the results are right, and there are no times.**",
                                          fmt::join(emulated, ", ")));
}

void note_baseline(ScalingTable& table) {
    if (table.baseline < 0) return;
    const ScalingRow& baseline = table.rows[static_cast<size_t>(table.baseline)];
    std::string note = fmt::format("Baseline: the fastest serial row, {} thread{}, {:.2f} s of training.",
                                   baseline.point.threads, baseline.point.threads == 1 ? "" : "s", baseline.train_seconds);
    for (const ScalingRow& row : table.rows)
        if (row.timed() && row.point.device == baseline.point.device && row.point.trainer != "serial" &&
            row.point.ranks == 1)
            note += fmt::format(" {} with one rank and {} thread{} takes {:.2f} s and is not the baseline.",
                                row.point.trainer, row.point.threads, row.point.threads == 1 ? "" : "s", row.train_seconds);
    table.notes.push_back(note);
    if (const int cores = baseline.point.processors(); cores > 1)
        table.notes.push_back(fmt::format(
            "The baseline has {} cores, so efficiency and Karp-Flatt count cores in multiples of {}.", cores, cores));
}

// Step times that never came to rest, or did so differently in every process.
void note_warmup(ScalingTable& table) {
    for (const Warmup warmup : {Warmup::slowdown, Warmup::no_steady_state, Warmup::inconsistent}) {
        std::vector<std::string> rows;
        for (const ScalingRow& row : table.rows)
            if (row.timed() && row.warmup == warmup) rows.push_back(row.point.id());
        if (!rows.empty())
            table.notes.push_back(
                fmt::format("Step times by change points: {} in {}.", name_of(warmup), fmt::join(rows, ", ")));
    }
}

void note_quality(ScalingTable& table) {
    std::vector<std::string> drifting, crowded;
    for (const ScalingRow& row : table.rows) {
        if (row.relative_cores > 1 && row.efficiency && *row.efficiency > 1.05)
            table.notes.push_back(fmt::format(
                "{} is more than linear (efficiency {:.2f}): larger caches in all, or a baseline that was disturbed.",
                row.point.id(), *row.efficiency));
        if (row.timed() && !row.steady) drifting.push_back(row.point.id());
        if (row.has_result && row.point.status == PointStatus::oversubscribed) crowded.push_back(row.point.id());
    }
    note_warmup(table);
    if (!drifting.empty())
        table.notes.push_back(
            fmt::format("The time of a step drifted by more than 10% within a run of {}: other work on the machine?",
                        fmt::join(drifting, ", ")));
    if (!crowded.empty()) {
        table.unpublishable = fmt::format("**Not to be published: {} had more threads than cores, or shared their cores.**",
                                          fmt::join(crowded, ", "));
        table.notes.emplace_back(
            "Rows marked oversubscribed had fewer cores than ranks x threads, or ranks with cores in common; they show that "
            "the run is right, not how it scales. They have no speed-up, and no fit uses them.");
    }
    const auto ran =
        std::find_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return row.has_result; });
    if (ran != table.rows.end() && ran->majority_baseline)
        table.notes.push_back(fmt::format("Always giving the most frequent class would score {:.4f} on the test images.",
                                          *ran->majority_baseline));
}

// What of the communication a reader has to know: whose core it takes, and a link that was made slow on purpose.
void note_communication(ScalingTable& table, std::span<const Record> records) {
    std::set<std::string> threaded, links, planted;
    for (const Record& record : records) {
        if (const auto text = record.params.find("planted"); text != record.params.end() && text->is_string())
            planted.insert(text->get<std::string>());
        if (record.kind != "rep") continue;
        if (record.params.value("communication_threads", 0) > 0) threaded.insert(record.params.value("point", ""));
        const double rate = record.params.value("slow_link_mb_per_s", 0.0),
                     latency = record.params.value("slow_link_latency_us", 0.0);
        if (rate > 0 || latency > 0)
            links.insert(fmt::format("{}{} us", rate > 0 ? fmt::format("{} MB/s and ", rate) : "", latency));
    }
    if (!threaded.empty())
        table.notes.push_back(fmt::format(
            "{}: one communication thread more on each rank. It has no core of its own but shares those of its rank, so N "
            "stays ranks x threads.",
            fmt::join(threaded, ", ")));
    if (!planted.empty())
        table.notes.push_back(fmt::format(
            "**Losses were planted (XBENCH_PLANT: {}) to see whether they are found; the times are no results.**",
            fmt::join(planted, "; ")));
    if (!links.empty())
        table.notes.push_back(fmt::format("**Injected: a slow link ({}) between the ranks; the times are that link's.**",
                                          fmt::join(links, "; ")));
}

// What the calibrations beside the runs say.
void note_machine(ScalingTable& table, std::span<const Record> records) {
    const MachineDrift drift = machine_drift(records);
    for (const std::string& change : drift.changes)
        table.notes.push_back(
            fmt::format("**The machine changed: {}; between neighbours it varies by {:.1f}%.**", change, 100 * drift.noise));
    std::vector<std::string> disturbed;
    for (const DisturbedRun& run : drift.disturbed) {
        for (ScalingRow& row : table.rows)
            if (row.point.id() == run.run) ++row.disturbed;
        disturbed.push_back(fmt::format("{} repeat {} ({:+.0f}%)", run.run, run.rep, 100 * run.slower));
    }
    constexpr size_t shown = 8;
    const size_t more = disturbed.size() > shown ? disturbed.size() - shown : 0;
    if (more > 0) disturbed.resize(shown);
    if (!disturbed.empty())
        table.notes.push_back(
            fmt::format("Disturbed, but counted: {}{}; the calibration loop beside them was so much "
                        "slower than over the sweep.",
                        fmt::join(disturbed, ", "), more > 0 ? fmt::format(" and {} more", more) : ""));
}

// Fewer repeats than were asked for, by the budget's decision and not for a row's own failure.
void note_budget(ScalingTable& table, const ScalingConfig& scaling) {
    int64_t most = 0;
    for (const ScalingRow& row : table.rows) most = std::max<int64_t>(most, row.repeats);
    if (scaling.budget_minutes > 0 && most > 0 && most < scaling.repeats)
        table.notes.push_back(fmt::format("The budget of {:g} minutes allowed {} of the {} repeats asked for.",
                                          scaling.budget_minutes, most, scaling.repeats));
}

}  // namespace

void add_notes(ScalingTable& table, const ScalingConfig& scaling, std::span<const Record> records) {
    note_weights(table, "cpu");
    note_weights(table, "cuda");
    note_emulated(table);
    note_baseline(table);
    note_quality(table);
    note_communication(table, records);
    note_budget(table, scaling);
    note_machine(table, records);
}

}  // namespace xbench
