// The training loop.
#include "parallel/train/trainer.h"

#include <chrono>
#include <numeric>
#include <optional>

#include "core/files.h"
#include "core/hardware.h"
#include "core/seconds_since.h"
#include "core/virtual_ranks.h"
#include "data/load/loader.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/early_stopping.h"
#include "parallel/train/inference.h"
#include "parallel/train/learning_rate.h"
#include "parallel/train/planted_loss.h"
#include "parallel/train/probe_kind.h"
#include "parallel/train/resolved_training.h"
#include "parallel/train/run_checkpoints.h"
#include "parallel/train/training_step.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

// One run: everything that lives as long as it.
class Training {
public:
    Training(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options);
    TrainResult run();
    void abandon() noexcept { step_.abandon(); }
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
    void note_loss_scale(EpochResult& epoch);
    void end_epoch(EpochResult& epoch);
    Predictions predict(Split split);
    Metrics evaluate(Split split);
    bool must_stop();
    void snapshot(int64_t epoch);
    bool is_best(const EpochResult& epoch) const;
    void follow_history();
    void measure_best();
    void calibrate_best();
    void sum_losses(EpochResult& epoch);
    template <class F>
    void with_average(F&& work);
    void begin();
    void sum_history();
    TrainResult interrupted();
    TrainResult finish();
    TrainResult finish_probe();

    const Config& config_;
    const TrainConfig train_;  // of config_, its weights as numbers
    const PlantedLoss planted_ = planted_loss();
    const LossDescription loss_;
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
    bool stopped_ = false;                 // early, after the newest epoch
    Metrics last_val_;                     // of the newest epoch
    std::optional<Predictions> best_val_;  // on rank 0: the best epoch's of the validation split, until it is calibrated
    double newest_loss_ = 0;               // an image, of the newest batch whose loss the host has
    TrainResult result_;
    ClockOffset clock_before_;  // the steps
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
    if (loss_.mean_of_weights) options.class_weights = loss_.class_weights;
    options.ledger = device_.is_host() ? &ledger_ : &host_ledger_;
    options.allocate = [this](size_t bytes) { return device_.allocate_staging(bytes); };
    if (split == Split::train) {
        options.augment = config_.train.augment;
        options.chunk_images = train_.chunk_images;
        options.chunk_partitions = train_.chunk_partitions;
        options.preload = is_preloaded(train_);
        if (communicator_.size() > 1) options.longer_ms = planted_.starve_ms;
    } else {
        options.shuffle = false;
        options.batch_size = evaluation_batch(options.batch_size);
    }
    return options;
}

TrainingStepOptions Training::step_options() {
    TrainingStepOptions options;
    options.stage = options_.stage;
    options.most_images = loader_.max_local_batch();
    options.batches = loader_.batches();
    options.ledger = &ledger_;
    options.arrivals = options_.arrivals;
    return options;
}

Training::Training(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options)
    : config_(config),
      train_(resolve_weights(config.train, dataset)),
      loss_(loss_of(train_)),
      dataset_(dataset),
      communicator_(communicator),
      options_(options),
      device_(options.device ? *options.device : cpu_.emplace(options.threads)),
      loader_(dataset, loader_options(Split::train)),
      step_(training_graph(model_for(config.model, dataset.info()), train_), train_, communicator, device_, step_options()),
      evaluator_(evaluation_plan(step_.graph(), config.train, step_.place(), loader_options(Split::val).batch_size), device_,
                 step_.sums(), &ledger_),
      run_{EpochLosses(step_.sums(), loader_.batches()), {}, {}, 0, 0, {}},
      checkpoints_(config, train_, dataset, step_, loader_.batches(), options.checkpoint_dir),
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
    step_.strategy().start_average();
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
    for (const ValueId id : step_.graph().state)  // frozen ones are parameters, too
        if (step_.graph().value(id).role != Role::buffer) result_.parameters += step_.graph().value(id).shape.elements();
    result_.times.reserve(static_cast<size_t>(loader_.batches() * config_.train.epochs));
}

void Training::step(const Batch& batch) {
    compute_for(planted_.delay_of(communicator_.rank(), communicator_.size(), step_.done()));
    step_.run(batch);
    result_.gradient_bytes = step_.strategy().summed_bytes();
    if (train_.clip_norm > 0) run_.norms.add(step_.strategy().gradient_norm(), train_.clip_norm);
    result_.memory_in_steps = ledger_.now();
}

void Training::keep_losses(const TrainingStep::Losses& losses) {
    for (size_t block = 0; block < losses.of_block.size(); ++block)
        run_.losses.of(losses.batch, static_cast<int>(block)) = losses.of_block[block];
    newest_loss_ = losses.images > 0 ? run_.losses.here(losses.batch) / static_cast<double>(losses.images) : 0;
}

void Training::note_loss_scale(EpochResult& epoch) {
    const LossScaler* const scaler = step_.loss_scaler();
    if (!scaler) return;
    const LossScale scale = scaler->read();
    epoch.loss_scale = scale.scale;
    epoch.skipped_updates = scale.skipped_updates;
    for (const EpochResult& earlier : run_.history) epoch.skipped_updates -= earlier.skipped_updates;
}

EpochResult Training::train_epoch(int64_t epoch, int64_t first_batch) {
    EpochResult result;
    result.epoch = epoch;
    if (first_batch == 0) {
        run_.losses.clear();
        run_.norms = {};
    }
    result.images = loader_.bounds()[static_cast<size_t>(first_batch)];
    epoch_seconds_before_ = first_batch > 0 ? run_.epoch_seconds : 0;
    communicator_.barrier();
    epoch_start_ = Clock::now();
    loader_.start_epoch(epoch, first_batch);
    StepClock clock(result_.times, device_);
    loader_.take_wait_ns();
    ArrivalLog* const arrivals = options_.arrivals;
    if (arrivals) arrivals->before_load();
    while (const Batch* batch = loader_.next()) {
        result_.times.load_ns.push_back(loader_.take_wait_ns());
        if (arrivals) arrivals->begin_step(step_.done() + 1);
        step(*batch);
        if (arrivals) arrivals->end_step();
        clock.end_step(batch->global_size, step_.take_exposed_ns());
        result.images += batch->global_size;
        result_.interrupted = after_step(*batch, epoch, clock);
        clock.end_between();
        if (arrivals) arrivals->before_load();
        if (result_.interrupted) break;
    }
    step_.wait_for_losses();
    clock.finish(device_.is_host() ? 0 : step_.take_exposed_ns());
    if (result_.interrupted) return result;
    result.train_seconds = epoch_seconds_before_ + seconds_since(epoch_start_);
    result.learning_rate = learning_rate_at(train_, static_cast<int64_t>(step_.done()) - 1, step_.schedule());
    sum_losses(result);
    note_loss_scale(result);
    return result;
}

// Of all ranks; collective.
void Training::sum_losses(EpochResult& epoch) {
    const std::vector<double> losses = run_.losses.of_all();
    const double divisor = loss_.mean_of_weights
                               ? sum_of_weights(loss_.class_weights, dataset_, dataset_.indices(Split::train))
                               : static_cast<double>(epoch.images);
    epoch.train_loss = std::accumulate(losses.begin(), losses.end(), 0.0) / divisor;
    if (train_.chunk_images > 0) epoch.chunk_loss = mean_of_chunks(losses, loader_.bounds(), train_.chunk_images);
    epoch.gradient_norm = run_.norms.mean();
    epoch.clipped = run_.norms.clipped_share();
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

// What is evaluated and stored is the average of the weights, where there is one.
template <class F>
void Training::with_average(F&& work) {
    step_.strategy().swap_average();
    work();
    step_.strategy().swap_average();
}

bool Training::is_best(const EpochResult& epoch) const {
    if (train_.early_stopping == "best") return run_.best.beaten_by(epoch, train_.monitor);
    std::vector<EpochResult> history = run_.history;
    history.push_back(epoch);
    return early_stopping(train_, history).best_epoch == epoch.epoch;
}

void Training::end_epoch(EpochResult& epoch) {
    const auto start = Clock::now();
    if (is_probe(train_)) {
        // For what an evaluation leaves in the caches: the next epoch's first steps must find what they find otherwise.
        predict(Split::val);
        run_.history.push_back(epoch);
        return progress_.after_epoch(epoch, step_.done());
    }
    with_average([&] {
        Predictions predictions = predict(Split::val);
        last_val_ = compute_metrics(predictions, dataset_.info().class_names);
        epoch.val_loss = last_val_.loss;
        epoch.val_accuracy = last_val_.accuracy;
        epoch.val_balanced_accuracy = last_val_.balanced_accuracy;
        epoch.val_seconds = seconds_since(start);
        epoch.best = is_best(epoch);
        if (epoch.best) run_.best = {epoch, checkpoints_.evaluated_weights(&predictions), last_val_};
        if (epoch.best && communicator_.rank() == 0) best_val_ = std::move(predictions);
    });
    if (epoch.best) checkpoints_.save("best.safetensors", run_.best.weights);
    run_.history.push_back(epoch);
    follow_history();
    progress_.after_epoch(epoch, step_.done());
}

// What the epochs so far decide: whether the run ends here, one decision of all ranks, and a plateau's learning rate.
void Training::follow_history() {
    step_.set_reductions(plateau_reductions(train_, run_.history));
    if (run_.history.empty()) return;
    const int64_t patience = train_.patience, epoch = run_.history.back().epoch;
    bool stop = patience > 0 && run_.best.exists() && epoch - run_.best.epoch.epoch >= patience;
    if (train_.early_stopping != "best") stop = early_stopping(train_, run_.history).stop;
    double wanted = stop ? 1 : 0;
    communicator_.all_reduce_max(&wanted, 1);
    stopped_ = wanted > 0;
}

void Training::begin() {
    if (options_.arrivals) clock_before_ = clock_offset(communicator_);
    if (options_.resume) from_ = checkpoints_.resume(run_).value_or(from_);
    follow_history();
    result_.resumed_at = result_.steps_done = step_.done();
    result_.earlier_seconds = run_.total_seconds;
    progress_.resumed_at(step_.done());
    if (options_.started && communicator_.rank() == 0) options_.started({step_.done(), run_.history});
}

TrainResult Training::run() {
    begin();
    for (int64_t epoch = from_.epoch; epoch <= config_.train.epochs && !stopped_; ++epoch) {
        EpochResult result = train_epoch(epoch, epoch == from_.epoch ? from_.batch : 0);
        result_.steps_done = step_.done();
        if (result_.interrupted) return interrupted();
        end_epoch(result);
        const bool last = epoch == config_.train.epochs || stopped_;
        const bool pause = !last && epoch == options_.pause_after_epoch;
        if (pause || (last && must_stop())) {  // no step will ask any more, and testing takes its time
            snapshot(epoch + 1);
            return interrupted();
        }
    }
    return is_probe(train_) ? finish_probe() : finish();
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

// Where an earlier process found the best epoch; its weights take the step's place. Collective.
void Training::measure_best() {
    step_.state().set_weights(run_.best.weights, "the best epoch");
    Predictions predictions = predict(Split::val);
    run_.best.val = compute_metrics(predictions, dataset_.info().class_names);
    if (communicator_.rank() == 0) best_val_ = std::move(predictions);
}

void Training::calibrate_best() {
    if (!best_val_) return;
    checkpoints_.save_calibrated("best.safetensors", run_.best.weights, *best_val_);
    best_val_.reset();
}

TrainResult Training::interrupted() {
    result_.interrupted = true;
    calibrate_best();
    sum_history();
    checkpoints_.wait();
    communicator_.barrier();
    return std::move(result_);
}

TrainResult Training::finish_probe() {
    sum_history();
    result_.times.merge(communicator_);
    result_.total_seconds = seconds_since(start_);
    return std::move(result_);
}

// Keeps the last epoch's weights, and tests the best epoch's, or these.
TrainResult Training::finish() {
    checkpoints_.wait();
    WeightSet last;
    with_average([&] { last = checkpoints_.evaluated_weights(); });
    checkpoints_.save("last.safetensors", last);
    result_.final_weights_hash = weights_hash(last);
    if (run_.best.val.count == 0) measure_best();
    calibrate_best();
    const WeightSet& kept = train_.restore_best ? run_.best.weights : last;
    step_.state().set_weights(kept, train_.restore_best ? "the best epoch" : "the last epoch");
    result_.weights_hash = weights_hash(kept);
    sum_history();
    const Metrics& known = train_.restore_best ? run_.best.val : last_val_;
    result_.val = known.count > 0 ? known : evaluate(Split::val);
    const auto test_start = Clock::now();
    if (options_.test && !dataset_.indices(Split::test).empty()) result_.test = evaluate(Split::test);
    result_.test_seconds = seconds_since(test_start);
    result_.times.merge(communicator_);
    if (options_.arrivals)
        result_.arrivals = summarise(*options_.arrivals, communicator_, clock_before_, clock_offset(communicator_));
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
        training->abandon();
        if (training->stuck()) static_cast<void>(training.release());
        throw;
    }
}

}  // namespace xbench
