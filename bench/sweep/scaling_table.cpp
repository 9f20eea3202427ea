// The arithmetic of the scaling table. How it is shown is in scaling_text.cpp.
#include "bench/sweep/scaling_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "bench/base/compare.h"
#include "bench/laws/laws.h"
#include "bench/sweep/equal_work.h"
#include "bench/sweep/scaling_notes.h"
#include "core/json_member.h"

namespace xbench {
namespace {

std::vector<double> counters_of(const std::vector<const Record*>& records, const char* key) {
    std::vector<double> values;
    for (const Record* record : records) values.push_back(number_in(record->counters, key).value_or(0));
    return values;
}

double median_of(const std::vector<const Record*>& records, const char* key) { return median(counters_of(records, key)); }

// Relative standard deviation. 0: one value.
double noise_of(const std::vector<double>& values) {
    if (values.size() < 2) return 0;
    double mean = 0, squares = 0;
    const auto count = static_cast<double>(values.size());
    for (const double value : values) mean += value / count;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return std::sqrt(squares / (count - 1)) / mean;
}

// Told by the training itself; records of older versions hold the step times alone.
Warmup warmup_of(const Record& record) {
    const auto told = record.counters.find("warmup");
    if (told != record.counters.end() && told->is_string())
        for (const Warmup warmup : {Warmup::flat, Warmup::warm_up, Warmup::slowdown, Warmup::no_steady_state})
            if (*told == name_of(warmup)) return warmup;
    return classify_warmup(record.samples_ns).warmup;
}

// The first repeat's; where another one did other work, a median would hide it.
RunWork work_of(const std::vector<const Record*>& records) {
    const Record& first = *records.front();
    const auto same = [&](const Record* record) {
        for (const char* key : {"steps", "test_images", "images_trained"})
            if (number_in(record->counters, key) != number_in(first.counters, key)) return false;
        return record->data_sha == first.data_sha;
    };
    return {static_cast<int64_t>(number_in(first.counters, "steps").value_or(0)),
            static_cast<int64_t>(number_in(first.counters, "test_images").value_or(0)), first.data_sha,
            std::all_of(records.begin(), records.end(), same)};
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
    row.has_result = !records.empty() && point.runs();
    if (!row.has_result) return row;
    row.emulated = records.front()->params.value("emulated", false);
    std::set<std::string> hashes;
    std::vector<Warmup> warmups;
    for (const Record* record : records) {
        row.rates.push_back(record->value);
        warmups.push_back(warmup_of(*record));
        hashes.insert(record->weights_hash);
        row.steady = row.steady && record->steady;
    }
    row.images_per_second = interval_of(row.rates);
    row.noise = noise_of(row.rates);
    row.rate_error = row.noise * std::sqrt(median_variance(row.rates.size()));
    row.warmup = warmup_of_all(warmups);
    row.work = work_of(records);
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
    row.details = details_of(records);
    return row;
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
        const int own = baseline_of(table, row.point.device);  // cores and GPUs are not counted together
        if (!row.timed()) continue;
        if (own < 0) {
            row.no_speedup = "has no serial row of its device to stand against";
            continue;
        }
        const ScalingRow& baseline = table.rows[static_cast<size_t>(own)];
        row.no_speedup = other_work(row, baseline, table.mode, table.reduction);
        if (!row.no_speedup.empty()) {
            table.notes.push_back(fmt::format("{} {}: other work, so no speed-up is given; {}.", row.point.id(),
                                              row.no_speedup,
                                              to_accuracy_text(row.to_accuracy, table.target_accuracy.value_or(0))));
            continue;
        }
        if (row.point.status == PointStatus::oversubscribed) {
            row.no_speedup = "had fewer cores than threads";
            continue;
        }
        // Of equal work the ratio of times is that of the rates.
        row.speedup = speedup(1 / baseline.images_per_second.median, 1 / row.images_per_second.median);
        row.relative_cores = relative_cores(row.point.processors(), baseline.point.processors());
        row.efficiency = efficiency(*row.speedup, row.relative_cores);
        if (table.mode != "weak") row.karp_flatt = karp_flatt(*row.speedup, row.relative_cores);
    }
}

// Whether a row differs from its baseline at all, by all comparisons of the table together; and what the repeats could find.
void test_against_baseline(ScalingTable& table) {
    std::vector<ScalingRow*> compared;
    std::vector<double> p_values, noises;
    int repeats = 0;
    for (size_t i = 0; i < table.rows.size(); ++i) {
        ScalingRow& row = table.rows[i];
        if (!row.timed()) continue;
        noises.push_back(row.noise);
        repeats = repeats == 0 ? row.repeats : std::min(repeats, row.repeats);
        const int own = baseline_of(table, row.point.device);
        if (!row.speedup || own < 0 || own == static_cast<int>(i)) continue;
        compared.push_back(&row);
        const RatioInterval ratio =
            compare_times(table.rows[static_cast<size_t>(own)].rates, row.rates);  // of rates: a speed-up
        p_values.push_back(ratio.p);
        if (ratio.level > 0) row.speedup_low = ratio.low, row.speedup_high = ratio.high;
    }
    const std::vector<double> together = holm(p_values);
    for (size_t i = 0; i < compared.size(); ++i) compared[i]->p_against_base = together[i];
    if (repeats >= 4) table.power = power_statement(repeats, median(noises));
}

// Where no speed-up is given, what would be split is not there either.
void add_efficiency(ScalingTable& table, const Config& config, std::span<const Point> points,
                    std::span<const Record> records) {
    table.efficiency = efficiency_of(config, points, records);
    for (size_t i = 0; i < table.efficiency.size(); ++i) {
        RowEfficiency& row = table.efficiency[i];
        if (row.factors.empty() || table.rows[i].no_speedup.empty()) continue;
        row = {};
        row.row = table.rows[i].point.id();
        row.why_not = table.rows[i].no_speedup;
    }
}

void take_contention(ScalingTable& table) {
    for (ScalingRow& row : table.rows)
        for (const TrainerFit& fit : table.fits)
            for (const LawFit& law : fit.laws)
                if (law.law == Law::usl && !law.rejected && row.timed() && family_of(row) == fit.trainer)
                    row.contention = law.parameters[1].value;
}

// Of each point, in the points' order.
std::vector<std::vector<const Record*>> grouped(std::span<const Point> points, std::span<const Record> records) {
    std::unordered_map<std::string, std::vector<const Record*>> by_id;
    for (const Record& record : records)
        if (record.kind == "rep") by_id[record.params.value("point", "")].push_back(&record);
    std::vector<std::vector<const Record*>> groups;
    for (const Point& point : points) groups.push_back(by_id[point.id()]);
    return groups;
}

}  // namespace

ScalingTable make_scaling_table(const Config& config, std::span<const Point> points, std::span<const Record> records,
                                std::optional<double> target_accuracy) {
    ScalingTable table;
    table.name = config.name;
    table.model = config.model.name;
    table.data =
        config.data.path.empty() ? fmt::format("{} synthetic images", config.data.synthetic.count) : config.data.path;
    table.mode = config.scaling.mode;
    table.reduction = config.train.reduction;
    table.epochs = config.train.epochs;
    table.virtual_ranks = config.train.virtual_ranks;
    table.target_accuracy = target_accuracy;
    const std::vector<std::vector<const Record*>> groups = grouped(points, records);
    for (size_t i = 0; i < points.size(); ++i) table.rows.push_back(make_row(points[i], groups[i]));
    table.baseline = baseline_of(table, "cpu");
    if (table.baseline < 0) table.baseline = baseline_of(table, "cuda");
    add_time_to_accuracy(table, groups);
    compare_with_baseline(table);
    test_against_baseline(table);
    table.fits = fit_families(table);
    take_contention(table);
    add_efficiency(table, config, points, records);
    add_notes(table, config.scaling, records);
    return table;
}

int baseline_of(const ScalingTable& table, const std::string& device) {
    const std::vector<ScalingRow>& rows = table.rows;
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

// The factors and POP's metrics, or why there are none.
void add_factors(const ScalingTable& table, Record& record) {
    for (const RowEfficiency& row : table.efficiency) {
        if (row.row != record.params["point"]) continue;
        if (row.factors.empty()) {
            record.counters["factors_why"] = row.why_not;
            continue;
        }
        Json factors = Json::object(), pop = Json::object();
        for (const Factor& factor : row.factors) factors[factor.name] = factor.value;
        for (const PopMetric& metric : row.pop) pop[metric.name] = metric.value;
        const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
        record.counters.update(Json{{"factors", factors},
                                    {"pop", pop},
                                    {"contention_ipc", number(row.ipc)},
                                    {"contention_frequency", number(row.frequency)}});
        if (!row.why_no_counters.empty()) record.counters["processor_counters_why"] = row.why_no_counters;
    }
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
        add_factors(table, record);
        records.push_back(std::move(record));
    }
    return records;
}

}  // namespace xbench
