// A regression is a row whose whole interval lies above 1, and whose p-value still holds beside those of the other rows.
#include "bench/report/compare_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/base/text_table.h"
#include "core/error.h"

namespace xbench {
namespace {

constexpr double level = 0.05;
constexpr size_t least_repeats = 4;  // fewer have no such interval

// What the times of a run depend on; repeats, rows and folders do not count.
Json kept(const Config& config) {
    Json json = to_json(config);
    for (const char* key : {"name", "sweep", "output"}) json.erase(key);
    if (json.contains("scaling"))
        for (const char* key : {"repeats", "budget_minutes", "seed", "launcher", "oversubscribe", "timeout_seconds"})
            json["scaling"].erase(key);
    return json;
}

std::vector<double> step_times(const RunFiles& run, const std::string& point) {
    std::vector<double> times;
    for (const Record& record : run.records) {
        const auto step = record.counters.find("step_ms");
        if (record.params.value("point", "") != point || step == record.counters.end() || !step->is_number()) continue;
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
        change.change = Change::missing;
        return change;
    }
    const std::vector<double> a = step_times(before, change.row), b = step_times(after, change.row);
    change.before = median(a);
    change.after = median(b);
    change.ratio = compare_times(a, b);
    change.same_weights = row.weights_hash == other->weights_hash;
    if (std::min(a.size(), b.size()) < least_repeats) change.change = Change::too_few;
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

std::vector<std::string> build_differences(const Json& before, const Json& after) {
    std::vector<std::string> differences;
    const Json a = before.value("build", Json::object()), b = after.value("build", Json::object());
    for (const auto& [key, value] : a.items())
        if (const auto other = b.find(key); other != b.end() && *other != value && !value.is_object())
            differences.push_back(fmt::format("{}: {} -> {}", key, json_text(value), json_text(*other)));
    return differences;
}

}  // namespace

const char* name_of(Change change) {
    constexpr const char* names[] = {"no change shown", "REGRESSION", "improvement", "too few repeats", "not in both"};
    return names[static_cast<int>(change)];
}

bool RunComparison::regression() const {
    return std::any_of(rows.begin(), rows.end(), [](const RowChange& row) { return row.change == Change::regression; });
}

bool same_configuration(const RunFiles& a, const RunFiles& b) { return kept(a.config) == kept(b.config); }

RunComparison compare_runs(const RunFiles& before, const RunFiles& after) {
    if (!same_configuration(before, after))
        throw UsageError("is a run of another configuration than " + before.folder.string(), after.folder.string(),
                         "compare runs of one configuration");
    RunComparison comparison{before.name, after.name, "", build_differences(before.environment, after.environment), {}};
    const std::string a = machine_key(before.environment), b = machine_key(after.environment);
    if (a != b || a.empty()) {
        comparison.refusal = fmt::format("different machines ({}; {}): no times are compared",
                                         a.empty() ? "not recorded" : a, b.empty() ? "not recorded" : b);
        return comparison;
    }
    for (const ScalingRow& row : before.table.rows) comparison.rows.push_back(compare_row(before, after, row));
    judge_together(comparison.rows);
    return comparison;
}

std::string comparison_markdown(const RunComparison& comparison) {
    std::string text = fmt::format("# {} against {}\n\n", comparison.after, comparison.before);
    for (const std::string& difference : comparison.differences) text += fmt::format("- {}\n", difference);
    if (!comparison.differences.empty()) text += "\n";
    if (!comparison.refusal.empty()) return text + comparison.refusal + ".\n";
    std::vector<std::vector<std::string>> rows;
    for (const RowChange& row : comparison.rows) {
        const bool timed = row.change != Change::missing;
        rows.push_back(
            {row.row, timed ? fmt::format("{:.3f}", row.before) : "", timed ? fmt::format("{:.3f}", row.after) : "",
             timed ? fmt::format("{:+.1f}%", 100 * (row.ratio.ratio - 1)) : "",
             timed ? fmt::format("{:+.1f}% to {:+.1f}%", 100 * (row.ratio.low - 1), 100 * (row.ratio.high - 1)) : "",
             timed && row.ratio.level > 0 ? fmt::format("{:.3g}", row.p_together) : "", name_of(row.change)});
    }
    text += markdown_table(
        {{"row", false}, {"ms before"}, {"ms after"}, {"change"}, {"interval"}, {"p"}, {"verdict", false}}, rows);
    for (const RowChange& row : comparison.rows)
        if (!row.same_weights) text += fmt::format("\n- {} ended in other weights than before.", row.row);
    return text +
           "\nThe change is of the step time, by Hodges and Lehmann, with its 95% interval; p is Mann and Whitney's, by "
           "Holm\n"
           "over the rows. A regression has its whole interval above zero and a p of at most 0.05.\n";
}

}  // namespace xbench
