// The arithmetic of the scaling table. How it is shown is in scaling_text.cpp.
#include "bench/sweep/scaling_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bench/sweep/scaling_rules.h"

namespace xbench {
namespace {

// A file of records may have been written by another version, or by hand.
std::optional<double> number_in(const Json& counters, const char* key) {
    const auto found = counters.find(key);
    if (found == counters.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
}

std::vector<double> counters_of(const std::vector<const Record*>& records, const char* key) {
    std::vector<double> values;
    for (const Record* record : records) values.push_back(number_in(record->counters, key).value_or(0));
    return values;
}

double median_of(const std::vector<const Record*>& records, const char* key) { return median(counters_of(records, key)); }

// Of the median of these values, relative to it; normal noise makes it 1.2533 times that of the mean. 0: one value.
double standard_error_of(const std::vector<double>& values) {
    if (values.size() < 2) return 0;
    double mean = 0, squares = 0;
    const auto count = static_cast<double>(values.size());
    for (const double value : values) mean += value / count;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return 1.2533 * std::sqrt(squares / (count - 1) / count) / mean;
}

// Nothing where a run had no test split.
std::optional<double> score_of(const std::vector<const Record*>& records, const char* key) {
    const auto has = [&](const Record* record) { return number_in(record->counters, key).has_value(); };
    if (!std::all_of(records.begin(), records.end(), has)) return std::nullopt;
    return median_of(records, key);
}

ScalingRow make_row(const Point& point, const std::vector<const Record*>& records) {
    ScalingRow row;
    row.point = point;
    row.repeats = static_cast<int>(records.size());
    row.has_result = !records.empty() && (point.status == PointStatus::ok || point.status == PointStatus::oversubscribed);
    if (!row.has_result) return row;
    row.emulated = records.front()->params.value("emulated", false);
    std::vector<double> rates;
    std::set<std::string> hashes;
    for (const Record* record : records) {
        rates.push_back(record->value);
        hashes.insert(record->weights_hash);
        row.steady = row.steady && record->steady;
    }
    row.images_per_second = interval_of(rates);
    row.rate_error = standard_error_of(rates);
    row.step_ms = interval_of(counters_of(records, "step_ms"));
    row.exposed_comm_ms = median_of(records, "exposed_comm_ms");
    row.rank_skew_ms = median_of(records, "rank_skew_ms");
    row.train_seconds = median_of(records, "train_seconds");
    row.test_accuracy = score_of(records, "test_accuracy");
    row.test_balanced_accuracy = score_of(records, "test_balanced_accuracy");
    row.test_loss = score_of(records, "test_loss");
    row.majority_baseline = score_of(records, "test_majority_baseline");
    row.images_trained = static_cast<int64_t>(median_of(records, "images_trained"));
    row.weights_hash = hashes.size() == 1 ? *hashes.begin() : "differs";
    row.isa = records.front()->params.value("isa", "");
    return row;
}

int fastest_serial(const std::vector<ScalingRow>& rows, const std::string& device) {
    int best = -1;
    for (size_t i = 0; i < rows.size(); ++i) {
        const ScalingRow& row = rows[i];
        const bool usable = row.point.trainer == "serial" && row.point.device == device && row.timed() &&
                            row.point.status == PointStatus::ok;
        if (usable && (best < 0 || row.images_per_second.median > rows[static_cast<size_t>(best)].images_per_second.median))
            best = static_cast<int>(i);
    }
    return best;
}

// Who has a serial row need not be told to add one.
std::string why_no_baseline(const std::vector<ScalingRow>& rows) {
    for (const ScalingRow& row : rows) {
        if (row.point.trainer != "serial") continue;
        const std::string reason = row.emulated               ? "ran on an emulated GPU, which has no times"
                                   : row.point.reason.empty() ? "has not run yet"
                                                              : row.point.reason;
        return fmt::format("No serial row has a result, so there is no speed-up: {} {}{}.", row.point.id(),
                           row.point.status == PointStatus::failed ? "failed: " : "", reason);
    }
    return "No serial row ran, so there is no speed-up: add `{\"trainer\": \"serial\"}` to the sweep.";
}

// Speed-ups, of rows that did the baseline's work. A speed-up beside the accuracy of other work would mislead.
void compare_with_baseline(ScalingTable& table) {
    if (table.baseline < 0) {
        table.notes.push_back(why_no_baseline(table.rows));
        return;
    }
    for (ScalingRow& row : table.rows) {
        const int own = fastest_serial(table.rows, row.point.device);  // cores and GPUs are not counted together
        if (!row.timed() || own < 0) continue;
        const ScalingRow& baseline = table.rows[static_cast<size_t>(own)];
        if (row.images_trained != baseline.images_trained) {
            table.notes.push_back(
                fmt::format("{} trained on {} images and the baseline on {}: other work, so no speed-up is given.",
                            row.point.id(), row.images_trained, baseline.images_trained));
            continue;
        }
        // Of equal work the ratio of times is that of the rates.
        row.speedup = speedup(1 / baseline.images_per_second.median, 1 / row.images_per_second.median);
        row.relative_cores = relative_cores(row.point.processors(), baseline.point.processors());
        row.efficiency = efficiency(*row.speedup, row.relative_cores);
        row.karp_flatt = karp_flatt(*row.speedup, row.relative_cores);
    }
}

std::string family_of(const Point& point) {
    return point.trainer + (point.device == "cuda" ? " (cuda)" : "") +
           (point.stage > 0 ? fmt::format(" stage {}", point.stage) : "");
}

// The law of each fit; a fit that the points contradict is kept, as a description, and says so.
template <class Fit>
std::optional<ScalingFit> tested(const std::vector<ScalingPoint>& curve, Fit fit, Law law, int parameters) {
    std::optional<ScalingFit> found = fit(curve);
    if (found) found->rejected = contradicts(curve, *found, law, parameters);
    return found;
}

TrainerFit fit_family(const std::string& family, const std::vector<ScalingPoint>& points) {
    TrainerFit fit;
    fit.trainer = family;
    fit.curve = curve_of(points);
    fit.trend = karp_flatt_trend(fit.curve);
    fit.amdahl = tested(
        fit.curve, fit_amdahl, [](const ScalingFit& f, double n) { return amdahl_speedup(f.serial_fraction, n); }, 1);
    fit.gustafson = tested(
        fit.curve, fit_gustafson, [](const ScalingFit& f, double n) { return gustafson_speedup(f.serial_fraction, n); }, 1);
    fit.usl = tested(
        fit.curve, fit_usl, [](const ScalingFit& f, double n) { return usl_speedup(f.serial_fraction, f.coherency, n); }, 2);
    return fit;
}

void fit_families(ScalingTable& table) {
    if (table.baseline < 0) return;
    const double baseline_error = table.rows[static_cast<size_t>(table.baseline)].rate_error;
    std::vector<std::string> order;
    std::map<std::string, std::vector<ScalingPoint>> families;
    for (const ScalingRow& row : table.rows) {
        if (!row.speedup || row.point.status != PointStatus::ok || row.relative_cores <= 1) continue;
        const std::string family = family_of(row.point);
        if (families.count(family) == 0) order.push_back(family);
        families[family].push_back({row.relative_cores, *row.speedup, std::hypot(row.rate_error, baseline_error)});
    }
    for (const std::string& family : order) table.fits.push_back(fit_family(family, families[family]));
    for (ScalingRow& row : table.rows)
        for (const TrainerFit& fit : table.fits)
            if (fit.usl && !fit.usl->rejected && row.timed() && family_of(row.point) == fit.trainer)
                row.contention = fit.usl->serial_fraction;
}

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

void note_quality(ScalingTable& table) {
    bool oversubscribed = false;
    std::vector<std::string> drifting;
    for (const ScalingRow& row : table.rows) {
        if (row.relative_cores > 1 && row.efficiency && *row.efficiency > 1.05)
            table.notes.push_back(fmt::format(
                "{} is more than linear (efficiency {:.2f}): larger caches in all, or a baseline that was disturbed.",
                row.point.id(), *row.efficiency));
        if (row.timed() && !row.steady) drifting.push_back(row.point.id());
        oversubscribed = oversubscribed || (row.has_result && row.point.status == PointStatus::oversubscribed);
    }
    if (!drifting.empty())
        table.notes.push_back(
            fmt::format("The time of a step drifted by more than 10% within a run of {}: other work on the machine?",
                        fmt::join(drifting, ", ")));
    if (oversubscribed)
        table.notes.emplace_back(
            "Rows marked oversubscribed had fewer cores than ranks x threads; they show that the run is right, not how it "
            "scales, and no fit uses them.");
    const auto ran =
        std::find_if(table.rows.begin(), table.rows.end(), [](const ScalingRow& row) { return row.has_result; });
    if (ran != table.rows.end() && ran->majority_baseline)
        table.notes.push_back(fmt::format("Always giving the most frequent class would score {:.4f} on the test images.",
                                          *ran->majority_baseline));
}

// What of the communication a reader has to know: whose core it takes, and a link that was made slow on purpose.
void note_communication(ScalingTable& table, std::span<const Record> records) {
    std::set<std::string> threaded, links;
    for (const Record& record : records) {
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
    if (!links.empty())
        table.notes.push_back(fmt::format("**Injected: a slow link ({}) between the ranks; the times are that link's.**",
                                          fmt::join(links, "; ")));
}

}  // namespace

ScalingTable make_scaling_table(const Config& config, std::span<const Point> points, std::span<const Record> records) {
    ScalingTable table;
    table.name = config.name;
    table.model = config.model.name;
    table.data =
        config.data.path.empty() ? fmt::format("{} synthetic images", config.data.synthetic.count) : config.data.path;
    table.mode = config.scaling.mode;
    table.reduction = config.train.reduction;
    table.epochs = config.train.epochs;
    table.virtual_ranks = config.train.virtual_ranks;
    for (const Point& point : points) {
        std::vector<const Record*> own;
        for (const Record& record : records)
            if (record.kind == "rep" && record.params.value("point", "") == point.id()) own.push_back(&record);
        table.rows.push_back(make_row(point, own));
    }
    table.baseline = fastest_serial(table.rows, "cpu");
    if (table.baseline < 0) table.baseline = fastest_serial(table.rows, "cuda");
    compare_with_baseline(table);
    fit_families(table);
    note_weights(table, "cpu");
    note_weights(table, "cuda");
    note_emulated(table);
    note_baseline(table);
    note_quality(table);
    note_communication(table, records);
    return table;
}

std::vector<Record> summary_records(const ScalingTable& table) {
    const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
    std::vector<Record> records;
    for (const ScalingRow& row : table.rows) {
        Record record;
        record.kind = "summary";
        record.bench = "scaling";
        record.unit = "images/s";
        record.value = row.timed() ? row.images_per_second.median : 0;
        record.steady = row.steady;
        record.weights_hash = row.weights_hash;
        record.energy_why = "see the records of the repeats";
        record.params = Json{{"point", row.point.id()},      {"model", table.model},
                             {"trainer", row.point.trainer}, {"device", row.point.device},
                             {"ranks", row.point.ranks},     {"threads", row.point.threads},
                             {"stage", row.point.stage},     {"global_batch", row.point.global_batch},
                             {"mode", table.mode},           {"reduction", table.reduction}};
        record.counters =
            Json{{"status", name_of(row.point.status)}, {"reason", row.point.reason}, {"repeats", row.repeats}};
        if (row.emulated) record.params["emulated"] = true;
        if (row.has_result)
            record.counters.update(Json{{"images_trained", row.images_trained},
                                        {"test_accuracy", number(row.test_accuracy)},
                                        {"test_balanced_accuracy", number(row.test_balanced_accuracy)},
                                        {"test_majority_baseline", number(row.majority_baseline)},
                                        {"test_loss", number(row.test_loss)}});
        if (row.timed())
            record.counters.update(Json{{"ips_low", row.images_per_second.low},
                                        {"ips_high", row.images_per_second.high},
                                        {"interval", row.images_per_second.kind},
                                        {"step_ms", row.step_ms.median},
                                        {"exposed_comm_ms", row.exposed_comm_ms},
                                        {"rank_skew_ms", row.rank_skew_ms},
                                        {"train_seconds", row.train_seconds},
                                        {"speedup", number(row.speedup)},
                                        {"efficiency", number(row.efficiency)},
                                        {"karp_flatt", number(row.karp_flatt)},
                                        {"contention", number(row.contention)}});
        records.push_back(std::move(record));
    }
    return records;
}

}  // namespace xbench
