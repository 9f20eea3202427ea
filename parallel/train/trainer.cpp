// The training loop.
#include "parallel/train/trainer.h"

#include <chrono>
#include <optional>

#include "core/files.h"
#include "core/hardware.h"
#include "core/virtual_ranks.h"
#include "data/load/loader.h"
#include "models/registry.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/inference.h"
#include "parallel/train/learning_rate.h"
#include "parallel/train/run_checkpoints.h"
#include "parallel/train/training_step.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One run: everything that lives as long as it.
class Training {
public:
    Training(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options);
    TrainResult run();
    bool stuck() const { return step_.strategy().stuck(); }

private:
    LoaderOptions loader_options(Split split);
    TrainingStepOptions step_options();
    void start_from_weights();
    void describe_run();
    EpochResult train_epoch(int64_t epoch, int64_t first_batch);
    void step(const Batch& batch);
    void keep_losses(const TrainingStep::Losses& losses);
    bool after_step(const Batch& batch, int64_t epoch, const StepClock& clock);
    void report_step(const Batch& batch, int64_t epoch, int64_t step_ns);
    void end_epoch(EpochResult& epoch);
    Predictions predict(Split split);
    Metrics evaluate(Split split);
    bool must_stop();
    void snapshot(int64_t epoch);
    bool out_of_patience(int64_t epoch) const;
    void begin();
    void sum_history();
    TrainResult interrupted();
    TrainResult finish();

    const Config& config_;
    const Dataset& dataset_;
    Communicator& communicator_;
    const TrainOptions& options_;
    std::optional<Cpu> cpu_;  // where no device is given
    Device& device_;
    MemoryLedger ledger_;       // of the device's memory; outlives what it counts
    MemoryLedger host_ledger_;  // of the host's, where the device has memory of its own
    Loader loader_;
    TrainingStep step_;
    Evaluator evaluator_;
    RunState run_;
    RunCheckpoints checkpoints_;
    ProgressReport progress_;
    RunPosition from_;
    double newest_loss_ = 0;  // an image, of the newest batch whose loss the host has
    TrainResult result_;
    Clock::time_point start_ = Clock::now(), epoch_start_ = start_;
    double epoch_seconds_before_ = 0;  // of the epoch under way, by an earlier process
};

LoaderOptions Training::loader_options(Split split) {
    LoaderOptions options;
    options.split = split;
    options.batch_size = config_.train.batch_size;
    options.virtual_ranks = leaves_of_batch(config_.train, communicator_.size());
    options.rank = communicator_.rank();
    options.ranks = communicator_.size();
    options.seed = config_.train.seed;
    options.mean = config_.data.mean;
    options.std = config_.data.std;
    options.workers = static_cast<int>(config_.data.workers);
    options.ledger = device_.is_host() ? &ledger_ : &host_ledger_;
    options.allocate = [this](size_t bytes) { return device_.allocate_staging(bytes); };
    if (split != Split::train) {
        options.shuffle = false;
        options.batch_size = evaluation_batch(options.batch_size);
    }
    return options;
}

TrainingStepOptions Training::step_options() {
    TrainingStepOptions options;
    options.stage = options_.stage;
    options.most_images = loader_.max_local_batch();
    options.ledger = &ledger_;
    return options;
}

Training::Training(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options)
    : config_(config),
      dataset_(dataset),
      communicator_(communicator),
      options_(options),
      device_(options.device ? *options.device : cpu_.emplace(options.threads)),
      loader_(dataset, loader_options(Split::train)),
      step_(build_model(model_for(config.model, dataset.info())), config.train, communicator, device_, step_options()),
      evaluator_(evaluation_plan(step_.graph(), config.train, step_.place(), loader_options(Split::val).batch_size), device_,
                 step_.sums(), &ledger_),
      run_{EpochLosses(step_.sums(), loader_.batches()), {}, {}, 0, 0},
      checkpoints_(config, dataset, step_, loader_.batches(), options.checkpoint_dir),
      progress_(communicator.rank() == 0 ? options.progress : nullptr, config.train.epochs,
                loader_.batches() * config.train.epochs) {
    start_from_weights();
    describe_run();
    step_.hear_losses([this](const TrainingStep::Losses& losses) { keep_losses(losses); });
}

// A resumed run has its weights from its checkpoint, so the file may be gone by then.
void Training::start_from_weights() {
    const std::filesystem::path path = config_.train.weights;
    if (path.empty() || (options_.resume && !path_exists(path))) return;
    step_.state().set_weights(load_weights(path), find_weights(path).string());
}

void Training::describe_run() {
    const Plan& plan = step_.plan();
    const int batches = batches_in_memory(static_cast<int>(config_.data.workers), LoaderOptions{}.prefetch);
    result_.overlap = step_.strategy().overlap();
    result_.isa = plan.target.kind == DeviceKind::cpu ? isa_name(isa_of(plan)) : to_string(plan.target);
    result_.communicator = step_.communicator();
    result_.optimizer_bytes = step_.strategy().state_bytes();
    result_.activation_bytes = plan.activation_bytes;
    result_.memory_predicted =
        predict_memory(memory_question(step_.rank_plan(), evaluator_.plan(), config_.train, step_.place(), batches));
    for (const ValueId id : step_.graph().parameters) result_.parameters += step_.graph().value(id).shape.elements();
    result_.times.reserve(static_cast<size_t>(loader_.batches() * config_.train.epochs));
}

void Training::step(const Batch& batch) {
    step_.run(batch);
    result_.gradient_bytes = step_.strategy().summed_bytes();
    result_.memory_in_steps = ledger_.now();
}

void Training::keep_losses(const TrainingStep::Losses& losses) {
    for (size_t block = 0; block < losses.of_block.size(); ++block)
        run_.losses.of(losses.batch, static_cast<int>(block)) = losses.of_block[block];
    newest_loss_ = losses.images > 0 ? run_.losses.here(losses.batch) / static_cast<double>(losses.images) : 0;
}

EpochResult Training::train_epoch(int64_t epoch, int64_t first_batch) {
    EpochResult result;
    result.epoch = epoch;
    if (first_batch == 0) run_.losses.clear();
    result.images = std::min(first_batch * config_.train.batch_size, loader_.samples());
    epoch_seconds_before_ = first_batch > 0 ? run_.epoch_seconds : 0;
    communicator_.barrier();
    epoch_start_ = Clock::now();
    loader_.start_epoch(epoch, first_batch);
    StepClock clock(result_.times, device_);
    while (const Batch* batch = loader_.next()) {
        step(*batch);
        clock.end_step(batch->global_size, step_.take_exposed_ns());
        result.images += batch->global_size;
        result_.interrupted = after_step(*batch, epoch, clock);
        clock.end_between();
        if (result_.interrupted) break;
    }
    step_.wait_for_losses();
    clock.finish(device_.is_host() ? 0 : step_.take_exposed_ns());
    if (result_.interrupted) return result;
    result.train_seconds = epoch_seconds_before_ + seconds_since(epoch_start_);
    result.learning_rate = learning_rate_at(config_.train, static_cast<int64_t>(step_.done()) - 1);
    if (const LossScaler* const scaler = step_.loss_scaler()) {
        const LossScale scale = scaler->read();
        result.loss_scale = scale.scale;
        result.skipped_updates = scale.skipped_updates;
        for (const EpochResult& earlier : run_.history) result.skipped_updates -= earlier.skipped_updates;
    }
    result.train_loss = run_.losses.total() / static_cast<double>(result.images);
    return result;
}

// What lies between two steps. Returns whether the run stops here, at a checkpoint.
bool Training::after_step(const Batch& batch, int64_t epoch, const StepClock& clock) {
    report_step(batch, epoch, clock.newest_step_ns());
    const bool stop = must_stop();
    const int64_t every = config_.train.checkpoint_steps;
    if (stop || (every > 0 && step_.done() % static_cast<uint32_t>(every) == 0)) {
        step_.wait_for_losses();
        snapshot(epoch);
    }
    return stop;
}

// In front of the next batch of this epoch.
void Training::snapshot(int64_t epoch) {
    const bool inside = static_cast<int64_t>(step_.done()) > (epoch - 1) * loader_.batches();
    run_.epoch_seconds = inside ? epoch_seconds_before_ + seconds_since(epoch_start_) : 0;
    run_.total_seconds = result_.earlier_seconds + seconds_since(start_);
    checkpoints_.snapshot(run_, epoch);
}

void Training::report_step(const Batch& batch, int64_t epoch, int64_t step_ns) {
    if (!progress_.watched()) return;
    progress_.after_step(epoch, step_.done(), newest_loss_, batch.global_size, step_ns);
}

bool Training::must_stop() {
    if (!options_.stop) return false;
    double wanted = options_.stop() ? 1 : 0;
    communicator_.all_reduce_max(&wanted, 1);
    return wanted > 0;
}

Predictions Training::predict(Split split) {
    return evaluator_.run(step_.state(), dataset_, loader_options(split), step_.sums());
}

Metrics Training::evaluate(Split split) { return compute_metrics(predict(split), dataset_.info().class_names); }

void Training::end_epoch(EpochResult& epoch) {
    const auto start = Clock::now();
    const Predictions predictions = predict(Split::val);
    Metrics val = compute_metrics(predictions, dataset_.info().class_names);
    epoch.val_loss = val.loss;
    epoch.val_accuracy = val.accuracy;
    epoch.val_balanced_accuracy = val.balanced_accuracy;
    epoch.val_seconds = seconds_since(start);
    epoch.best = run_.best.beaten_by(epoch, config_.train.monitor);
    if (epoch.best) {
        run_.best = {epoch, checkpoints_.described_weights(&predictions), std::move(val)};
        checkpoints_.save("best.safetensors", run_.best.weights);
    }
    run_.history.push_back(epoch);
    progress_.after_epoch(epoch, step_.done());
}

bool Training::out_of_patience(int64_t epoch) const {
    const int64_t patience = config_.train.patience;
    return patience > 0 && run_.best.exists() && epoch - run_.best.epoch.epoch >= patience;
}

void Training::begin() {
    if (options_.resume) from_ = checkpoints_.resume(run_).value_or(from_);
    result_.resumed_at = result_.steps_done = step_.done();
    result_.earlier_seconds = run_.total_seconds;
    progress_.resumed_at(step_.done());
    if (options_.started && communicator_.rank() == 0) options_.started({step_.done(), run_.history});
}

TrainResult Training::run() {
    begin();
    for (int64_t epoch = from_.epoch; epoch <= config_.train.epochs && !out_of_patience(epoch - 1); ++epoch) {
        EpochResult result = train_epoch(epoch, epoch == from_.epoch ? from_.batch : 0);
        result_.steps_done = step_.done();
        if (result_.interrupted) return interrupted();
        end_epoch(result);
        const bool last = epoch == config_.train.epochs || out_of_patience(epoch);
        if (last && must_stop()) {  // no step will ask any more, and testing takes its time
            snapshot(epoch + 1);
            return interrupted();
        }
    }
    return finish();
}

void Training::sum_history() {
    result_.history = run_.history;
    result_.best_epoch = run_.best.epoch.epoch;
    for (const EpochResult& epoch : run_.history) {
        result_.train_seconds += epoch.train_seconds;
        result_.val_seconds += epoch.val_seconds;
        result_.images_trained += epoch.images;
    }
}

TrainResult Training::interrupted() {
    result_.interrupted = true;
    sum_history();
    checkpoints_.wait();
    communicator_.barrier();
    return std::move(result_);
}

// Keeps the last epoch's weights, and tests the best epoch's.
TrainResult Training::finish() {
    checkpoints_.wait();
    const WeightSet last = checkpoints_.described_weights();
    checkpoints_.save("last.safetensors", last);
    result_.final_weights_hash = weights_hash(last);
    step_.state().set_weights(run_.best.weights, "the best epoch");
    result_.weights_hash = weights_hash(run_.best.weights);
    sum_history();
    result_.val = run_.best.val.count > 0 ? run_.best.val : evaluate(Split::val);
    const auto test_start = Clock::now();
    if (!dataset_.indices(Split::test).empty()) result_.test = evaluate(Split::test);
    result_.test_seconds = seconds_since(test_start);
    result_.times.merge(communicator_);
    result_.total_seconds = result_.earlier_seconds + seconds_since(start_);
    result_.memory_highest = ledger_.highest();
    return std::move(result_);
}

}  // namespace

TrainResult train(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options) {
    for (const Split split : {Split::train, Split::val}) check_split(dataset, split);  // val chooses the best epoch
    auto training = std::make_unique<Training>(config, dataset, communicator, options);
    try {
        return training->run();
    } catch (...) {
        // Its thread waits for peers that wait for this rank. The caller aborts the job, which ends both; until then the
        // memory that the thread works on must stay.
        if (training->stuck()) static_cast<void>(training.release());
        throw;
    }
}

}  // namespace xbench
