// Every file may be another version's, or missing.
#include "bench/report/search_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "bench/draw/line_chart.h"
#include "bench/report/report_parts.h"
#include "bench/report/scaling_charts.h"
#include "bench/sweep/run_files.h"
#include "core/config_versions.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_member.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr size_t most_charts = 6;

using Newest = std::map<int64_t, TrialRecord>;  // of each trial after its last rung

void add_trial(const Json& json, Newest& trials) {
    try {
        TrialRecord record = trial_from(json);
        const auto known = trials.find(record.trial);
        if (known == trials.end() || known->second.rung <= record.rung) trials[record.trial] = std::move(record);
    } catch (const Json::exception&) {  // another version's
    }
}

// Of a search that has not ended: the files that its workers go on from, in the order of their names.
void add_kept_trials(const fs::path& folder, Newest& trials) {
    std::vector<fs::path> files;
    if (!is_folder(folder / "trials")) return;
    for (const fs::path& trial : list_folder(folder / "trials"))
        if (is_folder(trial))
            for (const fs::path& file : list_folder(trial))
                if (file.filename().string().starts_with("record-")) files.push_back(file);
    for (const fs::path& file : files)
        if (const auto json = parse_json(file_text(file).value_or(""))) add_trial(*json, trials);
}

// "train.optimizer=adam" -> its key and its value.
std::pair<std::string, std::string> parted(const std::string& setting) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) return {setting, ""};
    return {setting.substr(0, equals), setting.substr(equals + 1)};
}

std::vector<std::string> keys_of(const std::vector<TrialRecord>& trials) {
    std::vector<std::string> keys;
    for (const TrialRecord& trial : trials)
        for (const std::string& setting : trial.settings)
            if (const std::string key = parted(setting).first; std::find(keys.begin(), keys.end(), key) == keys.end())
                keys.push_back(key);
    return keys;
}

// "learning_rate", where no other key ends so.
std::string short_name(const std::string& key, const std::vector<std::string>& keys) {
    const std::string last = key.substr(key.rfind('.') + 1);
    const auto ends_so = std::count_if(
        keys.begin(), keys.end(), [&](const std::string& other) { return other == last || other.ends_with("." + last); });
    return ends_so == 1 ? last : key;
}

std::string value_of(const TrialRecord& trial, const std::string& key) {
    for (const std::string& setting : trial.settings)
        if (parted(setting).first == key) return parted(setting).second;
    return "";
}

std::optional<double> number_of(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::string four_digits(double value) { return std::isfinite(value) ? fmt::format("{:.4f}", value) : ""; }

// Points of their own, not joined: no trial lies between two others.
ChartLine points_of(std::string name, const std::vector<std::pair<double, double>>& points) {
    ChartLine line{std::move(name), {}, false, true};
    constexpr double gap = std::numeric_limits<double>::quiet_NaN();
    for (const auto& point : points) {
        line.points.push_back(point);
        line.points.emplace_back(gap, gap);
    }
    return line;
}

// The score over one key whose values are numbers; "" over words, or with fewer than 3 values.
std::string score_svg(const SearchFiles& search, const std::string& key) {
    std::vector<std::pair<double, double>> points;
    std::set<double> values;
    for (const TrialRecord& trial : search.trials) {
        if (trial.status != "ok" || !std::isfinite(trial.score)) continue;
        const std::optional<double> value = number_of(value_of(trial, key));
        if (!value) return "";
        points.emplace_back(*value, trial.score);
        values.insert(*value);
    }
    if (values.size() < 3) return "";
    const bool logarithmic = *values.begin() > 0 && *values.rbegin() / *values.begin() > 20;
    if (logarithmic)
        for (auto& point : points) point.first = std::log10(point.first);
    LineChart chart{fmt::format("{} over {}", search.score, key), logarithmic ? "log10 of " + key : key, search.score, {}};
    chart.lines.push_back(points_of("trials", {points.begin() + 1, points.end()}));  // the first is the best
    chart.lines.push_back(points_of(search.complete ? "the winner" : "the best so far", {points.front()}));
    return line_chart_svg(chart, report_chart_width, report_chart_height);
}

std::string four_digits_in(const Json& told, const char* key) {
    const auto value = number_in(told, key);
    return value ? fmt::format("{:.4f}", *value) : "";
}

const Json& optimism_of(const SearchFiles& search) {
    static const Json nothing = Json::object();
    const Json* const optimism = member(search.told, "optimism");
    return optimism != nullptr && optimism->is_object() ? *optimism : nothing;
}

size_t repeats_of(const SearchFiles& search) {
    const Json* const repeats = member(search.told, "repeats");
    return repeats != nullptr && repeats->is_array() ? repeats->size() : 0;
}

std::string verdict_of(const SearchFiles& search) {
    const auto sound = std::count_if(search.trials.begin(), search.trials.end(),
                                     [](const TrialRecord& trial) { return trial.status == "ok"; });
    if (sound == 0) return fmt::format("None of {} trials has come to its end.", search.trials.size());
    const TrialRecord& best = search.trials.front();
    const Json& optimism = optimism_of(search);
    std::string text = fmt::format("Trial {} is the best of {} by {}", best.trial, search.trials.size(), search.score);
    if (!search.complete) return text + fmt::format(", {}, so far.", four_digits(best.score));
    const std::string monitor = text_in(optimism, "monitor", "score");
    text += fmt::format(": its {} is {} on the validation split", monitor, four_digits_in(optimism, "val"));
    if (number_in(optimism, "test"))
        text += fmt::format(" and {} on the test split, which was looked at once", four_digits_in(optimism, "test"));
    text += ".";
    if (const size_t repeats = repeats_of(search); repeats > 0 && number_in(optimism, "mean_val_of_repeats")) {
        text += fmt::format(" With {} other seed{} it is {} on the validation split", repeats, repeats == 1 ? "" : "s",
                            four_digits_in(optimism, "mean_val_of_repeats"));
        if (number_in(optimism, "mean_test_of_repeats"))
            text += fmt::format(" and {} on the test split", four_digits_in(optimism, "mean_test_of_repeats"));
        text += repeats == 1 ? "" : " on average";
        if (const auto flattered = number_in(optimism, "val_minus_mean_val_of_repeats"))
            text += fmt::format(": choosing flatters by {:+.4f}", *flattered);
        text += ".";
    }
    return text;
}

void add_winner(HtmlPage& page, const SearchFiles& search) {
    const TrialRecord& best = search.trials.front();
    if (best.status != "ok") return;
    page.heading(search.complete ? "The winner" : "The best so far");
    std::vector<std::pair<std::string, std::string>> facts;
    for (const std::string& setting : best.settings) facts.push_back(parted(setting));
    facts.emplace_back("epochs", fmt::format("{}, the best of them {}", best.epochs, best.best_epoch));
    if (!best.weights_hash.empty()) facts.emplace_back("weights", best.weights_hash);
    page.facts(facts);
    if (search.complete) page.paragraph("best.json beside this file is its configuration.");
}

void add_scores(HtmlPage& page, const SearchFiles& search) {
    std::vector<std::string> charts;
    for (const std::string& key : keys_of(search.trials))
        if (std::string svg = score_svg(search, key); !svg.empty() && charts.size() < most_charts)
            charts.push_back(std::move(svg));
    if (charts.empty()) return;
    page.heading("What the score did over the keys");
    page.svgs_in_columns(charts);
}

void add_trials(HtmlPage& page, const SearchFiles& search) {
    page.heading("All trials");
    const std::vector<std::string> keys = keys_of(search.trials);
    std::vector<std::string> header{"trial", search.score}, failures;
    for (const std::string& key : keys) header.push_back(short_name(key, keys));
    for (const char* name : {"epochs", "accuracy", "balanced", "validation loss", "training loss", "s"})
        header.emplace_back(name);
    std::vector<std::vector<std::string>> rows;
    for (const TrialRecord& trial : search.trials) {
        const bool ok = trial.status == "ok";
        std::vector<std::string>& row = rows.emplace_back();
        row = {std::to_string(trial.trial), ok ? four_digits(trial.score) : trial.status};
        for (const std::string& key : keys) row.push_back(value_of(trial, key));
        row.push_back(std::to_string(trial.epochs));
        for (const double value : {trial.val_accuracy, trial.val_balanced_accuracy, trial.val_loss, trial.train_loss})
            row.push_back(ok ? four_digits(value) : "");
        row.push_back(fmt::format("{:.2f}", trial.seconds));
        if (!ok) failures.push_back(fmt::format("Trial {} {}: {}.", trial.trial, trial.status, trial.reason));
    }
    page.table(header, rows, "Best first; scores are of the validation split");
    if (!search.csv.empty()) page.download("trials.csv", search.csv);
    if (!failures.empty()) page.list(failures);
}

void add_repeats(HtmlPage& page, const SearchFiles& search) {
    std::vector<std::string> failures;
    if (const Json* const failed = member(search.told, "failed_repeats"); failed != nullptr && failed->is_array())
        for (const Json& repeat : *failed)
            failures.push_back(fmt::format("With seed {} it failed: {}.", integer_in(repeat, "seed").value_or(0),
                                           text_in(repeat, "reason")));
    if (repeats_of(search) == 0 && failures.empty()) return;
    page.heading("The winner with other seeds");
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < repeats_of(search); ++i) {
        const Json& repeat = search.told.at("repeats").at(i);
        rows.push_back({std::to_string(integer_in(repeat, "seed").value_or(0)), four_digits_in(repeat, "val_accuracy"),
                        four_digits_in(repeat, "val_loss"), four_digits_in(repeat, "test_accuracy")});
    }
    if (!rows.empty()) page.table({"seed", "validation accuracy", "validation loss", "test accuracy"}, rows);
    if (!failures.empty()) page.list(failures);
}

}  // namespace

bool is_search(const fs::path& folder) {
    return path_exists(folder / "trials.csv") || path_exists(folder / "tune.json") || is_folder(folder / "trials");
}

SearchFiles read_search(const fs::path& folder) {
    SearchFiles search;
    search.environment = environment_in(folder);
    search.csv = file_text(folder / "trials.csv").value_or("");
    search.score = "score";
    if (path_exists(folder / "config.resolved.json")) {
        const Config config = load_run_config(folder);
        search.name = config.name;
        search.score = score_name(config);
    }
    if (auto told = parse_json(file_text(folder / "tune.json").value_or("")); told && told->is_object()) {
        search.told = std::move(*told);
        search.complete = true;
    }
    Newest newest;
    const Json* const trials = member(search.told, "trials");
    if (trials != nullptr && trials->is_array())
        for (const Json& trial : *trials) add_trial(trial, newest);
    else
        add_kept_trials(folder, newest);
    for (auto& [number, trial] : newest) search.trials.push_back(std::move(trial));
    search.trials = ranked(std::move(search.trials));
    return search;
}

void add_search(HtmlPage& page, const SearchFiles& search) {
    if (!search.complete)
        page.notice(HtmlPage::Notice::bad, "The search is still running, or was stopped: this report is not complete.");
    page.paragraph(verdict_of(search));
    if (!search.trials.empty()) {
        add_winner(page, search);
        add_scores(page, search);
        add_trials(page, search);
        add_repeats(page, search);
    }
    page.heading("Where it was measured");
    add_environment(page, "", search.environment);
    page.heading("How to run it again");
    add_command(page, search.environment, "xbench tune --config config.resolved.json --out NEW_FOLDER");
}

std::string search_page(const SearchFiles& search) {
    HtmlPage page(search.name.empty() ? "Search over keys of a configuration" : search.name + ": a search over keys");
    add_search(page, search);
    return page.text();
}

}  // namespace xbench
