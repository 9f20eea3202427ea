// Snapshots of a run, and going on from one.
#include "parallel/train/run_checkpoints.h"

#include <fmt/format.h>

#include "core/error.h"
#include "eval/calibration.h"
#include "eval/thresholds.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/health.h"
#include "parallel/train/inference.h"
#include "parallel/train/resolved_training.h"

namespace xbench {

RunCheckpoints::RunCheckpoints(const Config& config, const TrainConfig& resolved, const Dataset& dataset, TrainingStep& step,
                               int64_t batches, std::filesystem::path folder)
    : config_(config), train_(resolved), dataset_(dataset), step_(step), batches_(batches), folder_(std::move(folder)) {
    if (!folder_.empty() && step.place().rank == 0) writer_.emplace(folder_, config.train.checkpoint_keep);
}

WeightSet RunCheckpoints::described_weights(const Predictions* val, const char* kind) const {
    WeightSet weights = step_.state().weights();
    ModelDescription about;
    about.model = model_for(config_.model, dataset_.info());
    about.class_names = dataset_.info().class_names;
    about.mean = config_.data.mean;
    about.std = config_.data.std;
    about.leaks = dataset_.info().leaks;
    about.positive_weights = train_.pos_weight;
    about.loss = loss_of(train_);
    about.kind = kind;
    about.precision = config_.train.precision;
    about.evaluation_batch = evaluation_batch(config_.train.batch_size);
    about.virtual_ranks = step_.sums().leaves_of_all;
    if (val && step_.place().rank == 0)
        for (const Threshold& threshold : best_thresholds(*val)) about.thresholds.push_back(threshold.value);
    describe(about, weights);
    return weights;
}

void RunCheckpoints::save_calibrated(const char* name, WeightSet& weights, const Predictions& val) const {
    ModelDescription about = description_of(weights, name);
    about.temperature = fit_temperature(val);
    describe(about, weights);
    save(name, weights);
}

void RunCheckpoints::save(const char* name, const WeightSet& weights) const {
    if (writer_) save_weights(folder_ / name, weights);
}

const Json& RunCheckpoints::identity() {
    if (identity_.is_null()) identity_ = identity_of(config_, dataset_.digest());
    return identity_;
}

TrainingState RunCheckpoints::take(const RunState& run, int64_t epoch) {
    TrainingState state;
    state.steps = step_.done();
    state.epoch = epoch;
    state.next_batch = static_cast<int64_t>(state.steps) - (epoch - 1) * batches_;
    state.losses = run.losses.of_all();
    state.losses.resize(static_cast<size_t>(state.next_batch));
    state.epoch_seconds = run.epoch_seconds;
    state.total_seconds = run.total_seconds;
    state.history = run.history;
    if (run.best.exists()) {
        state.best_epoch = run.best.epoch;
        state.best = run.best.weights;
    }
    state.norms = run.norms;
    state.model = described_weights(nullptr, "trained");
    state.moments = step_.strategy().save();
    if (const LossScaler* const scaler = step_.loss_scaler()) state.loss_scale = scaler->read();
    state.identity = identity();
    return state;
}

void RunCheckpoints::snapshot(const RunState& run, int64_t epoch) {
    check_finite(step_.state(), step_.done(), step_.place().rank, step_.checked());
    TrainingState state = take(run, epoch);
    if (writer_) writer_->write(std::move(state));
}

void RunCheckpoints::wait() {
    if (writer_) writer_->wait();
}

std::optional<TrainingState> RunCheckpoints::read_same_on_all_ranks() const {
    auto state = read_newest_checkpoint(folder_);
    double steps = state ? static_cast<double>(state->steps) : -1, most = steps;
    step_.sums().communicator.all_reduce_max(&most, 1);
    if (steps != most)
        throw Error(fmt::format("rank {} finds the checkpoint of another step than other ranks", step_.place().rank),
                    folder_.string(), "give all nodes the same folder");
    return state;
}

void RunCheckpoints::check_fits(const TrainingState& state) {
    check_same_run(state.identity, identity(), fmt::format("the checkpoint at step {}", state.steps));
    if (config_.train.compression == "powersgd")
        throw UsageError("checkpoints do not hold PowerSGD's error feedback", "--resume",
                         "begin anew with another --out, or train with another compression");
    if (state.losses.size() > static_cast<size_t>(batches_) ||
        state.steps != (state.epoch - 1) * batches_ + state.next_batch)
        throw Error("the checkpoint was taken on a data set of another size", folder_.string(),
                    "give the data set that it was begun with");
}

std::optional<RunPosition> RunCheckpoints::resume(RunState& run) {
    const auto state = read_same_on_all_ranks();
    if (!state) return std::nullopt;
    check_fits(*state);
    step_.state().set_weights(state->model, folder_.string());
    step_.strategy().load(state->moments, folder_.string());
    step_.set_done(state->steps);
    if (LossScaler* const scaler = step_.loss_scaler()) scaler->write(state->loss_scale.value_or(LossScale{}));
    run.losses.resume(state->losses);
    run.history = state->history;
    run.norms = state->norms;
    run.epoch_seconds = state->epoch_seconds;
    run.total_seconds = state->total_seconds;
    if (state->best_epoch) run.best = {*state->best_epoch, state->best, {}};
    return RunPosition{state->epoch, state->next_batch};
}

}  // namespace xbench
