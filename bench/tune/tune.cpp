// The rungs of a search.
#include "bench/tune/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

#include "bench/base/record.h"
#include "bench/tune/search_space.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/gather.h"
#include "core/json_member.h"
#include "models/registry.h"
#include "parallel/train/inference.h"
#include "parallel/train/trainer.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

class Search {
public:
    Search(const Config& config, const Dataset& dataset, Communicator& workers, const TuneOptions& options)
        : config_(config), dataset_(dataset), workers_(workers), options_(options), self_(make_self_communicator()) {}
    TuneResult run();

private:
    bool mine(size_t position) const {
        return position % static_cast<size_t>(workers_.size()) == static_cast<size_t>(workers_.rank());
    }
    fs::path folder_of(int64_t trial) const { return options_.folder / "trials" / fmt::format("{:04}", trial); }
    TrialRecord run_trial(int64_t trial, int64_t rung, int64_t epochs);
    void train_trial(TrialRecord& record);
    void take_scores(TrialRecord& record, const TrainResult& result, const Config& config) const;
    std::vector<TrialRecord> run_rung(const std::vector<int64_t>& trials, int64_t rung, int64_t epochs);
    std::vector<Json> gather(const std::vector<Json>& mine);
    bool stop_wanted() const { return options_.stop && options_.stop(); }
    Metrics evaluate(const fs::path& weights, Split split) const;
    void score_winner(TuneResult& result);
    void repeat_winner(TuneResult& result);
    Json run_repeat(const TrialRecord& winner, int64_t number);
    Repeat train_repeat(const TrialRecord& winner, int64_t number);

    const Config& config_;
    const Dataset& dataset_;
    Communicator& workers_;
    const TuneOptions& options_;
    const std::unique_ptr<Communicator> self_;
    std::vector<std::vector<std::string>> trials_;
    std::string data_sha_;
    bool interrupted_ = false;
};

// What an earlier process has finished is read again.
std::optional<TrialRecord> kept_record(const fs::path& file) {
    if (!path_exists(file)) return std::nullopt;
    const std::optional<std::string> text = file_text(file);
    const std::optional<Json> json = text ? parse_json(*text) : std::nullopt;
    try {
        if (json) return trial_from(*json);
    } catch (const Json::exception&) {  // cut off or of another version: done again
    }
    return std::nullopt;
}

void Search::take_scores(TrialRecord& record, const TrainResult& result, const Config& config) const {
    const auto best = std::find_if(result.history.begin(), result.history.end(),
                                   [&](const EpochResult& epoch) { return epoch.epoch == result.best_epoch; });
    if (best == result.history.end()) throw Error("has no best epoch", "trial");
    record.epochs = static_cast<int64_t>(result.history.size());
    record.best_epoch = result.best_epoch;
    record.val_accuracy = best->val_accuracy;
    record.val_balanced_accuracy = best->val_balanced_accuracy;
    record.val_loss = record.loss = best->val_loss;
    record.train_loss = result.history.back().train_loss;
    record.chunk_loss = config.train.chunk_images > 0 ? result.history.back().chunk_loss : record.train_loss;
    record.weights_hash = result.weights_hash;
    if (config_.tune.select == "chunk_loss")
        record.score = -record.chunk_loss;
    else if (config.train.monitor == "val_loss")
        record.score = -record.val_loss;
    else
        record.score = config.train.monitor == "val_accuracy" ? record.val_accuracy : record.val_balanced_accuracy;
}

void Search::train_trial(TrialRecord& record) {
    const Config config = options_.configure(record.settings);
    TrainOptions options;
    options.device = options_.device;
    options.checkpoint_dir = folder_of(record.trial) / "checkpoints";
    options.resume = true;
    options.test = false;
    options.stop = [this] { return stop_wanted(); };
    options.pause_after_epoch = record.epochs < config.train.epochs ? record.epochs : 0;
    make_folders(options.checkpoint_dir);
    const TrainResult result = train(config, dataset_, *self_, options);
    const bool paused =
        options.pause_after_epoch > 0 && static_cast<int64_t>(result.history.size()) == options.pause_after_epoch;
    if (result.interrupted && !paused) {
        interrupted_ = true;
        return;
    }
    record.seconds = result.total_seconds;
    take_scores(record, result, config);
}

TrialRecord Search::run_trial(int64_t trial, int64_t rung, int64_t epochs) {
    const fs::path file = folder_of(trial) / fmt::format("record-{}.json", rung);
    TrialRecord record;
    record.trial = trial;
    record.rung = rung;
    record.epochs = epochs;
    record.settings = trials_[static_cast<size_t>(trial)];
    record.data_sha = data_sha_;
    if (const auto kept = kept_record(file); kept && kept->settings == record.settings) {
        if (!kept->data_sha.empty() && kept->data_sha != data_sha_)
            throw UsageError("is of a trial on another data set", file.string(),
                             "give the data set that the search was begun with, or another --out");
        return *kept;
    }
    try {
        train_trial(record);
    } catch (const std::exception& error) {
        record.status = "failed";
        record.reason = failure_of(error).line;
        record.score = record.loss = no_number;
    }
    if (interrupted_) return record;
    make_folders(file.parent_path());
    write_durably(file, json_text(to_json(record), 2) + "\n");
    if (options_.done) options_.done(record);
    return record;
}

// Everybody's, on every worker.
std::vector<Json> Search::gather(const std::vector<Json>& mine) {
    std::string text;
    for (const Json& json : mine) text += json_text(json) + "\n";
    std::istringstream lines(gather_text(workers_, text));
    std::vector<Json> result;
    for (std::string line; std::getline(lines, line);) result.push_back(parse_json(line).value_or(Json::object()));
    return result;
}

std::vector<TrialRecord> Search::run_rung(const std::vector<int64_t>& trials, int64_t rung, int64_t epochs) {
    std::vector<Json> own;
    for (size_t i = 0; i < trials.size() && !interrupted_ && !stop_wanted(); ++i) {
        if (!mine(i)) continue;
        const TrialRecord record = run_trial(trials[i], rung, epochs);
        if (!interrupted_) own.push_back(to_json(record));
    }
    std::vector<TrialRecord> records;
    for (const Json& json : gather(own)) records.push_back(trial_from(json));
    std::sort(records.begin(), records.end(), [](const TrialRecord& a, const TrialRecord& b) { return a.trial < b.trial; });
    interrupted_ = records.size() < trials.size();
    return records;
}

Metrics Search::evaluate(const fs::path& weights, Split split) const {
    const WeightSet set = load_weights(weights);
    const ModelDescription about = description_of(set, weights.string());
    const auto indices = dataset_.indices(split);
    if (indices.empty()) return {};
    const Predictions predictions = predict(build_model(about.model), set, about, dataset_, indices, *options_.device);
    return compute_metrics(predictions, about.class_names);
}

void Search::score_winner(TuneResult& result) {
    result.weights = folder_of(result.winner.trial) / "checkpoints" / "best.safetensors";
    if (workers_.rank() != 0) return;
    result.val = evaluate(result.weights, Split::val);
    result.test = evaluate(result.weights, Split::test);
}

Repeat Search::train_repeat(const TrialRecord& winner, int64_t number) {
    Config config = options_.configure(winner.settings);
    Repeat repeat;
    repeat.seed = config.train.seed += static_cast<uint64_t>(number);
    TrainOptions options;
    options.device = options_.device;
    options.checkpoint_dir = options_.folder / "repeats" / fmt::format("{:04}", number) / "checkpoints";
    options.resume = true;
    options.stop = [this] { return stop_wanted(); };
    make_folders(options.checkpoint_dir);
    const TrainResult result = train(config, dataset_, *self_, options);
    interrupted_ = interrupted_ || result.interrupted;
    repeat.val = result.val;
    repeat.test = result.test;
    return repeat;
}

// One that fails, as another seed may diverge, takes nothing from the winner.
Json Search::run_repeat(const TrialRecord& winner, int64_t number) {
    try {
        const Repeat repeat = train_repeat(winner, number);
        return Json{{"seed", repeat.seed},
                    {"val", {repeat.val.accuracy, repeat.val.balanced_accuracy, repeat.val.loss}},
                    {"test", {repeat.test.accuracy, repeat.test.balanced_accuracy, repeat.test.loss}},
                    {"tested", repeat.test.count}};
    } catch (const std::exception& error) {
        const uint64_t seed = options_.configure(winner.settings).train.seed + static_cast<uint64_t>(number);
        return Json{{"seed", seed}, {"reason", failure_of(error).line}};
    }
}

Repeat repeat_from(const Json& json) {
    const auto metrics = [](const Json& scores) {
        Metrics m;
        m.accuracy = scores[0], m.balanced_accuracy = scores[1], m.loss = scores[2];
        return m;
    };
    Repeat repeat;
    repeat.seed = json.at("seed");
    repeat.reason = text_in(json, "reason");
    if (!repeat.reason.empty()) return repeat;
    repeat.val = metrics(json.at("val"));
    repeat.test = metrics(json.at("test"));
    repeat.test.count = json.at("tested");
    return repeat;
}

void Search::repeat_winner(TuneResult& result) {
    std::vector<Json> own;
    for (int64_t number = 1; number <= config_.tune.repeats && !interrupted_; ++number) {
        if (!mine(static_cast<size_t>(number - 1))) continue;
        Json repeat = run_repeat(result.winner, number);
        if (!interrupted_) own.push_back(std::move(repeat));
    }
    for (const Json& json : gather(own)) result.repeats.push_back(repeat_from(json));
    std::sort(result.repeats.begin(), result.repeats.end(),
              [](const Repeat& a, const Repeat& b) { return a.seed < b.seed; });
    interrupted_ = static_cast<int64_t>(result.repeats.size()) < config_.tune.repeats;
}

TuneResult Search::run() {
    trials_ = draw_trials(config_.tune);
    data_sha_ = from_rank_0(workers_, workers_.rank() == 0 ? dataset_.digest() : "");
    std::vector<int64_t> left;
    for (size_t i = 0; i < trials_.size(); ++i) left.push_back(static_cast<int64_t>(i));
    TuneResult result;
    const std::vector<Rung> rungs = rungs_of(config_.tune, static_cast<int64_t>(trials_.size()), config_.train.epochs);
    for (size_t r = 0; r < rungs.size(); ++r) {
        const std::vector<TrialRecord> records = run_rung(left, static_cast<int64_t>(r), rungs[r].epochs);
        result.records.insert(result.records.end(), records.begin(), records.end());
        result.interrupted = interrupted_;
        if (interrupted_) return result;
        const std::vector<TrialRecord> order = ranked(records);
        result.winner = order.front();
        left.clear();
        if (r + 1 < rungs.size())
            for (const TrialRecord& record : order)
                if (record.status == "ok" && static_cast<int64_t>(left.size()) < rungs[r + 1].trials)
                    left.push_back(record.trial);
        if (result.winner.status != "ok")
            throw Error("all trials have failed; the first: " + result.winner.reason, options_.folder.string(),
                        "look at the records in trials/");
    }
    score_winner(result);
    repeat_winner(result);
    result.interrupted = interrupted_;
    return result;
}

}  // namespace

TuneResult tune(const Config& config, const Dataset& dataset, Communicator& workers, const TuneOptions& options) {
    return Search(config, dataset, workers, options).run();
}

}  // namespace xbench
