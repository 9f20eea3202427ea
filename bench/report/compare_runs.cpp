// A regression is a row whose whole interval lies above 1, and whose p-value still holds beside those of the other rows.
#include "bench/report/compare_runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/base/text_table.h"
#include "core/error.h"

namespace xbench {
namespace {

constexpr double level = 0.05;
constexpr size_t least_repeats = 4;  // fewer have no such interval

std::string digest_of(const RunFiles& run) { return run.records.empty() ? "" : run.records.front().data_sha; }

// What the times of a run depend on; repeats, order, rows and folders do not count. Nor does the place of the data, where
// the other run knows its digest, too: one that has no record yet knows the place alone.
Json kept(const RunFiles& run, const RunFiles& other) {
    Json json = to_json(run.config);
    for (const char* key : {"name", "sweep", "output"}) json.erase(key);
    if (json.contains("scaling"))
        for (const char* key :
             {"repeats", "launcher", "oversubscribe", "timeout_seconds", "seed", "budget_minutes", "factors"})
            json["scaling"].erase(key);
    if (!digest_of(run).empty() && !digest_of(other).empty()) {
        json["data"].erase("path");
        json["data"]["digest"] = digest_of(run);
    }
    return json;
}

std::vector<double> step_times(const RunFiles& run, const std::string& point) {
    std::vector<double> times;
    for (const Record& record : run.records) {
        const auto step = record.counters.find("step_ms");
        if (record.kind != "rep" || record.params.value("point", "") != point || step == record.counters.end() ||
            !step->is_number())
            continue;
        if (const double ms = step->get<double>(); ms > 0) times.push_back(ms);
    }
    return times;
}

const ScalingRow* row_of(const RunFiles& run, const std::string& point) {
    for (const ScalingRow& row : run.table.rows)
        if (row.point.id() == point) return &row;
    return nullptr;
}

RowChange compare_row(const RunFiles& before, const RunFiles& after, const ScalingRow& row) {
    RowChange change;
    change.row = row.point.id();
    const ScalingRow* other = row_of(after, change.row);
    if (!row.timed() || other == nullptr || !other->timed()) {
        const bool fails = row.timed() && other != nullptr && other->point.status == PointStatus::failed;
        change.change = fails ? Change::failed : Change::missing;
        return change;
    }
    const std::vector<double> a = step_times(before, change.row), b = step_times(after, change.row);
    if (a.empty() || b.empty()) {
        change.change = Change::missing;
        return change;
    }
    change.before = median(a);
    change.after = median(b);
    change.ratio = compare_times(a, b);
    change.same_weights = row.weights_hash == other->weights_hash;
    change.repeats = static_cast<int>(std::min(a.size(), b.size()));
    change.noise = std::max(row.noise, other->noise);
    if (row.point.status != other->point.status)
        change.change = Change::other_conditions;
    else if (std::min(a.size(), b.size()) < least_repeats)
        change.change = Change::too_few;
    return change;
}

void judge_together(std::vector<RowChange>& rows) {
    std::vector<RowChange*> tested;
    std::vector<double> p;
    for (RowChange& row : rows) {
        if (row.change != Change::none) continue;
        tested.push_back(&row);
        p.push_back(row.ratio.p);
    }
    const std::vector<double> together = holm(p);
    for (size_t i = 0; i < tested.size(); ++i) {
        tested[i]->p_together = together[i];
        if (together[i] > level || !tested[i]->ratio.excludes_one()) continue;
        tested[i]->change = tested[i]->ratio.low > 1 ? Change::regression : Change::improvement;
    }
}

// Of members that both have and that may explain a change.
void add_differences(const Json& before, const Json& after, std::vector<std::string>& differences) {
    for (const auto& [key, value] : before.items())
        if (const auto other = after.find(key); other != after.end() && *other != value && !value.is_object())
            differences.push_back(fmt::format("{}: {} -> {}", key, json_text(value), json_text(*other)));
}

std::vector<std::string> differences_of(const Json& before, const Json& after) {
    std::vector<std::string> differences;
    add_differences(before.value("build", Json::object()), after.value("build", Json::object()), differences);
    Json a = before.value("machine", Json::object()), b = after.value("machine", Json::object());
    const auto setting = [](const std::string& key) {
        return key == "kernel" || key == "governor" || key == "allowed_cores" || key == "hardware_threads";
    };
    for (Json* machine : {&a, &b})
        for (auto it = machine->begin(); it != machine->end();) it = setting(it.key()) ? std::next(it) : machine->erase(it);
    add_differences(a, b, differences);
    return differences;
}

// "/train/seed", and so on.
void add_paths(const Json& a, const Json& b, const std::string& at, std::vector<std::string>& paths) {
    if (!a.is_object() || !b.is_object()) {
        if (a != b) paths.push_back(at);
        return;
    }
    for (const auto& [key, value] : a.items()) add_paths(value, b.contains(key) ? b[key] : Json(), at + "/" + key, paths);
    for (const auto& [key, value] : b.items())
        if (!a.contains(key)) paths.push_back(at + "/" + key);
}

// Rows that only the later run has are said too: nobody shall take them for compared.
void add_new_rows(const RunFiles& before, const RunFiles& after, std::vector<RowChange>& rows) {
    for (const ScalingRow& row : after.table.rows) {
        if (row_of(before, row.point.id()) != nullptr) continue;
        rows.emplace_back();
        rows.back().row = row.point.id();
        rows.back().change = Change::missing;
    }
}

}  // namespace

const char* name_of(Change change) {
    constexpr const char* names[] = {"no change shown", "REGRESSION",  "improvement",
                                     "too few repeats", "not in both", "shared cores in one of both",
                                     "FAILS NOW"};
    return names[static_cast<int>(change)];
}

bool RunComparison::regression() const {
    return std::any_of(rows.begin(), rows.end(), [](const RowChange& row) {
        return row.change == Change::regression || row.change == Change::failed;
    });
}

bool same_configuration(const RunFiles& a, const RunFiles& b) { return kept(a, b) == kept(b, a); }

std::string configuration_differences(const RunFiles& a, const RunFiles& b) {
    std::vector<std::string> paths;
    add_paths(kept(a, b), kept(b, a), "", paths);
    return fmt::format("their configurations differ in {}", fmt::join(paths, ", "));
}

RunComparison compare_runs(const RunFiles& before, const RunFiles& after) {
    if (!same_configuration(before, after))
        throw UsageError(fmt::format("is a run of another configuration than {}: {}", before.folder.string(),
                                     configuration_differences(before, after)),
                         after.folder.string(), "compare runs of one configuration");
    RunComparison comparison{before.name, after.name, "", differences_of(before.environment, after.environment), {}};
    const std::string a = machine_key(before.environment), b = machine_key(after.environment);
    if (a != b || a.empty()) {
        comparison.refusal = fmt::format("different machines ({}; {}): no times are compared",
                                         a.empty() ? "not recorded" : a, b.empty() ? "not recorded" : b);
        return comparison;
    }
    for (const ScalingRow& row : before.table.rows) comparison.rows.push_back(compare_row(before, after, row));
    add_new_rows(before, after, comparison.rows);
    judge_together(comparison.rows);
    return comparison;
}

namespace {

bool has_times(const RowChange& row) { return row.change != Change::missing && row.change != Change::failed; }

// What the comparison could have found, so that "no change shown" is not taken for "no change".
std::string power_text(const RunComparison& comparison) {
    int repeats = 0;
    double noise = 0;
    for (const RowChange& row : comparison.rows) {
        if (row.ratio.level <= 0) continue;
        repeats = repeats == 0 ? row.repeats : std::min(repeats, row.repeats);
        noise = std::max(noise, row.noise);
    }
    return repeats == 0 ? "" : fmt::format("\nPower: {}, in the noisiest row.\n", power_statement(repeats, noise));
}

}  // namespace

std::string comparison_markdown(const RunComparison& comparison) {
    std::string text = fmt::format("# {} against {}\n\n", comparison.after, comparison.before);
    for (const std::string& difference : comparison.differences) text += fmt::format("- {}\n", difference);
    if (!comparison.differences.empty()) text += "\n";
    if (!comparison.refusal.empty()) return text + comparison.refusal + ".\n";
    std::vector<std::vector<std::string>> rows;
    for (const RowChange& row : comparison.rows) {
        const bool timed = has_times(row);
        rows.push_back(
            {row.row, timed ? fmt::format("{:.3f}", row.before) : "", timed ? fmt::format("{:.3f}", row.after) : "",
             timed ? fmt::format("{:+.1f}%", 100 * (row.ratio.ratio - 1)) : "",
             timed ? fmt::format("{:+.1f}% to {:+.1f}%", 100 * (row.ratio.low - 1), 100 * (row.ratio.high - 1)) : "",
             timed && row.ratio.level > 0 ? fmt::format("{:.3g}", row.p_together) : "", name_of(row.change)});
    }
    text += markdown_table(
        {{"row", false}, {"ms before"}, {"ms after"}, {"change"}, {"interval"}, {"p"}, {"verdict", false}}, rows);
    for (const RowChange& row : comparison.rows)
        if (!row.same_weights && has_times(row)) text += fmt::format("\n- {} ended in other weights than before.", row.row);
    if (comparison.rows.empty()) text += "\nNo row was run in both.\n";
    return text + power_text(comparison) +
           "\nThe change is of the step time, by Hodges and Lehmann, with its 95% interval; p is Mann and Whitney's, by "
           "Holm\n"
           "over the rows. A regression has its whole interval above zero and a p of at most 0.05.\n";
}

}  // namespace xbench
