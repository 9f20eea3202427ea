// The files of a search.
#include <fmt/format.h>

#include <cmath>

#include "bench/base/record.h"
#include "bench/base/text_table.h"
#include "bench/tune/tune.h"
#include "core/json_number.h"

namespace xbench {
namespace {

double monitored(const Metrics& metrics, const std::string& monitor) {
    if (monitor == "val_loss") return metrics.loss;
    return monitor == "val_accuracy" ? metrics.accuracy : metrics.balanced_accuracy;
}

std::vector<Repeat> ended(const TuneResult& result) {
    std::vector<Repeat> repeats = result.repeats;
    std::erase_if(repeats, [](const Repeat& repeat) { return !repeat.reason.empty(); });
    return repeats;
}

// Mean over the repeats of what was monitored, on one of the splits.
double mean_of(const std::vector<Repeat>& repeats, const std::string& monitor, Metrics Repeat::*split) {
    double sum = 0;
    for (const Repeat& repeat : repeats) sum += monitored(repeat.*split, monitor);
    return repeats.empty() ? std::nan("") : sum / static_cast<double>(repeats.size());
}

// How much better than it turned out: of a loss, how much lower.
double excess(double claimed, double found, const std::string& monitor) {
    return monitor == "val_loss" ? found - claimed : claimed - found;
}

struct Optimism {
    double val, test, mean_val, mean_test;  // of the winner; of its repeats
    std::string monitor;
};

Optimism optimism_of(const TuneResult& result, const Config& config) {
    const std::string& monitor = config.train.monitor;
    return {monitored(result.val, monitor), result.test.count > 0 ? monitored(result.test, monitor) : std::nan(""),
            mean_of(ended(result), monitor, &Repeat::val),
            result.test.count > 0 ? mean_of(ended(result), monitor, &Repeat::test) : std::nan(""), monitor};
}

Json optimism_json(const Optimism& o) {
    return Json{{"monitor", o.monitor},
                {"val", number_or_null(o.val)},
                {"test", number_or_null(o.test)},
                {"val_minus_test", number_or_null(excess(o.val, o.test, o.monitor))},
                {"mean_val_of_repeats", number_or_null(o.mean_val)},
                {"mean_test_of_repeats", number_or_null(o.mean_test)},
                {"val_minus_mean_val_of_repeats", number_or_null(excess(o.val, o.mean_val, o.monitor))}};
}

std::string joined(const std::vector<std::string>& settings) {
    std::string text;
    for (const std::string& setting : settings) text += (text.empty() ? "" : " ") + setting;
    return text;
}

std::string trials_csv(const TuneResult& result) {
    std::string text = csv_line({"trial", "rung", "epochs", "status", "score", "val_accuracy", "val_balanced_accuracy",
                                 "val_loss", "train_loss", "chunk_loss", "best_epoch", "seconds", "settings", "reason"});
    for (const TrialRecord& r : result.records) {
        const auto number = [&](double value) {
            return std::isfinite(value) && r.status == "ok" ? fmt::format("{:.9g}", value) : std::string();
        };
        text += csv_line({std::to_string(r.trial), std::to_string(r.rung), std::to_string(r.epochs), r.status,
                          number(r.score), number(r.val_accuracy), number(r.val_balanced_accuracy), number(r.val_loss),
                          number(r.train_loss), number(r.chunk_loss), std::to_string(r.best_epoch),
                          fmt::format("{:.3f}", r.seconds), joined(r.settings), r.reason});
    }
    return text;
}

Json repeat_json(const Repeat& repeat) {
    return Json{{"seed", repeat.seed},
                {"val_accuracy", repeat.val.accuracy},
                {"val_loss", repeat.val.loss},
                {"test_accuracy", repeat.test.count > 0 ? Json(repeat.test.accuracy) : Json()}};
}

// Each trial after its last rung, best first.
std::vector<TrialRecord> newest_of_each(const TuneResult& result) {
    std::vector<TrialRecord> newest;
    for (const TrialRecord& r : result.records) {
        std::erase_if(newest, [&](const TrialRecord& before) { return before.trial == r.trial; });
        newest.push_back(r);
    }
    return ranked(std::move(newest));
}

}  // namespace

std::string tune_report(const TuneResult& result, const Config& config) {
    std::vector<std::vector<std::string>> rows;
    const std::vector<TrialRecord> last = newest_of_each(result);
    for (const TrialRecord& r : last)
        rows.push_back({std::to_string(r.trial), std::to_string(r.epochs), r.status,
                        r.status == "ok" ? fmt::format("{:.4f}", r.score) : "", joined(r.settings)});
    const Optimism o = optimism_of(result, config);
    std::string text = fmt::format(
        "{}\nwinner: trial {} by {}{}\n{} on the validation split {:.4f}, the best of {} trials",
        markdown_table({{"trial"}, {"epochs"}, {"status", false}, {score_name(config)}, {"settings", false}}, rows),
        result.winner.trial, score_name(config),
        config.tune.select == "chunk_loss" ? " (lowest mean training loss of its chunks: system A's published rule)" : "",
        o.monitor, o.val, last.size());
    if (std::isfinite(o.test))
        text += fmt::format("; on the test split, looked at once, {:.4f}: optimism {:+.4f}", o.test,
                            excess(o.val, o.test, o.monitor));
    text += "\n";
    if (const size_t repeats = ended(result).size(); repeats > 0) {
        text += fmt::format("with {} other seed{}: validation {:.4f} on average, so that choosing flatters by {:+.4f}",
                            repeats, repeats == 1 ? "" : "s", o.mean_val, excess(o.val, o.mean_val, o.monitor));
        if (std::isfinite(o.mean_test)) text += fmt::format("; test {:.4f}", o.mean_test);
        text += "\n";
    }
    for (const Repeat& repeat : result.repeats)
        if (!repeat.reason.empty()) text += fmt::format("with seed {} it failed: {}\n", repeat.seed, repeat.reason);
    return text + "weights " + result.weights.string() + "\n";
}

void write_tune_files(const TuneResult& result, const Config& config, const std::filesystem::path& folder) {
    Json json{{"schema", "xbench.tune/1"},
              {"method", config.tune.method},
              {"select", config.tune.select},
              {"winner", to_json(result.winner)},
              {"weights", result.weights.string()},
              {"val", to_json(result.val)},
              {"test", result.test.count > 0 ? to_json(result.test) : Json()},
              {"optimism", optimism_json(optimism_of(result, config))},
              {"trials", Json::array()},
              {"repeats", Json::array()}};
    for (const TrialRecord& record : result.records) json["trials"].push_back(to_json(record));
    for (const Repeat& repeat : result.repeats)
        if (repeat.reason.empty())
            json["repeats"].push_back(repeat_json(repeat));
        else
            json["failed_repeats"].push_back({{"seed", repeat.seed}, {"reason", repeat.reason}});
    write_text(folder / "tune.json", json_text(json, 2) + "\n");
    write_text(folder / "trials.csv", trials_csv(result));
    write_text(folder / "tune.md", "# Search\n\n" + tune_report(result, config));
}

}  // namespace xbench
