// The training loop.
#include "parallel/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "core/hardware.h"
#include "models/registry.h"
#include "parallel/checkpoint/training_state.h"
#include "parallel/strategy/exposed_time.h"
#include "parallel/strategy/gradient_buckets.h"
#include "parallel/strategy/hybrid_groups.h"
#include "parallel/strategy/memory_prediction.h"
#include "parallel/strategy/strategy.h"
#include "parallel/train/health.h"
#include "parallel/train/inference.h"
#include "parallel/train/learning_rate.h"
#include "parallel/train/micro_batches.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The instruction set that every rank has: other kernels round differently.
Isa common_isa(Communicator& communicator) {
    double lowest = -static_cast<double>(usable_isa());
    communicator.all_reduce_max(&lowest, 1);
    return static_cast<Isa>(static_cast<int>(-lowest));
}

ModelConfig model_for(const Config& config, const DatasetInfo& info) {
    ModelConfig model = config.model;
    if (info.height != info.width)
        throw Error(fmt::format("images are {}x{}; the models take square ones", info.height, info.width), info.source,
                    "import them with --size");
    model.channels = info.channels;
    model.size = info.height;
    model.classes = info.classes();
    model.multilabel = info.multilabel;
    return resolve_model(model);
}

// How many leaves a batch is cut into. The fast reduction needs no common tree: one leaf a rank and pass, in a power of two
// of passes, which make one sum.
int64_t virtual_ranks(const TrainConfig& config, int ranks) {
    if (config.reduction == "invariant") return config.virtual_ranks;
    return ranks * static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(config.accumulate)));
}

void check(const Config& config, const Communicator& communicator, int stage) {
    const TrainConfig& train = config.train;
    const int ranks = communicator.size();
    if (train.reduction == "invariant" && ranks > train.virtual_ranks)
        throw UsageError(fmt::format("{} ranks but only {} virtual ranks", ranks, train.virtual_ranks),
                         "/train/virtual_ranks", "raise it to at least the number of ranks, or start fewer ranks");
    if (stage > 0 && train.compression != "none")
        throw UsageError("sharded sums its gradients uncompressed", "/train/compression", "set it to none");
    if (stage > 0 && train.overlap == "fused")
        throw UsageError("sharded updates its shards between a reduction and a gathering of their own", "/train/overlap",
                         "use auto, thread, inline or none");
    if (train.batch_size < virtual_ranks(train, ranks))
        throw UsageError(fmt::format("a batch of {} images cannot be cut into {} virtual ranks", train.batch_size,
                                     virtual_ranks(train, ranks)),
                         "/train/virtual_ranks", "lower virtual_ranks or raise batch_size");
}

// One run: everything that lives as long as it.
class Training {
public:
    Training(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options);
    TrainResult run();
    bool stuck() const { return strategy_->stuck(); }

private:
    LoaderOptions loader_options(Split split);
    PlanOptions plan_options(const Loader& loader) const;
    EpochResult train_epoch(int64_t epoch, int64_t first_batch);
    void step(const Batch& batch);
    double loss_here(int64_t batch) const;
    void validate(EpochResult& epoch);
    bool better(const EpochResult& epoch) const;
    void keep(const EpochResult& epoch);
    void report(const Batch& batch, int64_t epoch, const EpochResult* finished);
    Metrics evaluate(Split split);
    void set_positive_weights();
    WeightSet described_weights() const;
    void save(const char* name, const WeightSet& weights) const;
    std::optional<TrainingState> resume();
    bool must_stop();
    TrainingState snapshot(int64_t epoch);
    void save_state(int64_t epoch);
    const Json& identity();
    MemoryQuestion memory_question() const;
    Sharding sharding() const;
    // Whether the ranks are replicas that share the update (parallel/strategy/fused_update.h).
    bool share_update() const {
        return options_.stage == 0 && overlap_of_replicas(config_.train, communicator_) == Overlap::fused;
    }
    void slowest_of_all_ranks(std::vector<int64_t>& times) const;
    std::vector<int64_t> over_least_of_all_ranks(std::vector<int64_t>& times) const;

    const Config& config_;
    const Dataset& dataset_;
    Communicator& communicator_;
    const TrainOptions& options_;
    MemoryLedger ledger_;  // outlives what it counts
    const Isa isa_;
    const RankSums sums_;
    std::optional<HybridGroups> groups_;  // with hybrid sharding
    const ModelConfig model_;
    const Graph graph_;
    const PassPlan passes_;
    ExposedTime between_steps_;  // counted in the next step
    Loader loader_;
    const Plan plan_;
    ModelState state_;
    Executor executor_;
    std::optional<MicroBatches> micro_batches_;  // where there are several passes
    Evaluator evaluator_;
    std::unique_ptr<Strategy> strategy_;
    StepContext context_{};

    TrainResult result_;
    std::vector<double> losses_;  // {block}{batch} of this epoch, this rank's share
    WeightSet best_;
    EpochResult best_epoch_;
    Metrics last_val_;
    std::optional<CheckpointWriter> writer_;  // on rank 0
    Json identity_;                           // once it was asked for: the data set's digest takes its time
    Clock::time_point start_ = Clock::now();
};

PlanOptions Training::plan_options(const Loader& loader) const {
    PlanOptions options;
    options.max_batch = loader.max_local_batch();
    options.leaves = sums_.leaves();
    if (passes_.several()) {
        options.leaves = passes_.most_leaves;
        const int64_t all = sums_.leaves_of_all;
        options.max_batch = (passes_.most_leaves * config_.train.batch_size + all - 1) / all;
    }
    options.threads = options_.threads;
    options.products = products_in(config_.train.precision);
    options.activation_checkpointing = config_.train.activation_checkpointing;
    options.hide_sums = share_update() && hides_sums(config_.train);
    return options;
}

MemoryQuestion Training::memory_question() const {
    MemoryQuestion question{plan_, evaluator_.plan(), config_.train};
    question.stage = options_.stage;
    question.rank = communicator_.rank();
    question.ranks = communicator_.size();
    question.group_ranks = state_.units ? state_.units->group().size() : 0;
    question.common_parameters = state_.common_among != nullptr;
    question.overlapped = state_.units && state_.units->overlapped();
    question.images = loader_.max_local_batch();
    question.gradient_slots = passes_.slots;
    question.several_passes = passes_.several();
    question.local_statistics = passes_.local;
    question.batches = batches_in_memory(static_cast<int>(config_.data.workers), LoaderOptions{}.prefetch);
    return question;
}

Sharding Training::sharding() const {
    const bool overlapped = options_.stage > 0 && overlap_of_shards(config_.train, communicator_) == Overlap::thread;
    Sharding how =
        groups_ ? groups_->sharding(options_.stage, overlapped) : Sharding{options_.stage, nullptr, nullptr, overlapped};
    how.common_parameters = share_update();
    how.several_passes = passes_.several();
    return how;
}

LoaderOptions Training::loader_options(Split split) {
    LoaderOptions options;
    options.split = split;
    options.batch_size = config_.train.batch_size;
    options.virtual_ranks = virtual_ranks(config_.train, communicator_.size());
    options.rank = communicator_.rank();
    options.ranks = communicator_.size();
    options.seed = config_.train.seed;
    options.mean = config_.data.mean;
    options.std = config_.data.std;
    options.workers = static_cast<int>(config_.data.workers);
    options.ledger = &ledger_;
    if (split != Split::train) {
        options.shuffle = false;
        options.batch_size = evaluation_batch(options.batch_size);
    }
    return options;
}

Training::Training(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options)
    : config_(config),
      dataset_(dataset),
      communicator_(communicator),
      options_(options),
      isa_(common_isa(communicator)),
      sums_(communicator, config.train.reduction == "fast" ? Reduction::fast : Reduction::invariant,
            virtual_ranks(config.train, communicator.size())),
      groups_(config.train.hybrid_sharding && options.stage > 0 ? std::optional<HybridGroups>(std::in_place, communicator)
                                                                : std::nullopt),
      model_(model_for(config, dataset.info())),
      graph_(build_model(model_)),
      passes_(plan_passes(config.train, graph_, sums_)),
      loader_(dataset, loader_options(Split::train)),
      plan_(compile(graph_, Target{isa_}, plan_options(loader_))),
      state_(graph_, sums_, plan_, passes_.slots, sharding(), &ledger_),
      executor_(plan_, &ledger_),
      evaluator_(graph_, isa_, options.threads, loader_options(Split::val).batch_size, sums_,
                 products_in(config.train.precision), &ledger_),
      strategy_((options.stage == 0 ? make_replicated : make_sharded)(config.train, state_, sums_, isa_, options.threads)) {
    state_.initialize(config.train.seed);
    set_positive_weights();
    state_.bind_to(executor_);
    if (passes_.several())
        micro_batches_.emplace(passes_, state_, sums_, strategy_->pass_observer(), isa_, options.threads);
    else
        executor_.set_blocks(sums_.leaves_of_block, state_.gradient_stride * sizeof(float));
    strategy_->attach(plan_);
    result_.overlap = strategy_->overlap();
    context_.seed = config.train.seed;
    context_.later_rank = communicator.rank() > 0;
    losses_.resize(static_cast<size_t>(loader_.batches() * sums_.blocks()));
    result_.isa = isa_name(isa_of(plan_));
    result_.optimizer_bytes = strategy_->state_bytes();
    result_.activation_bytes = plan_.activation_bytes;
    result_.memory_predicted = predict_memory(memory_question());
    for (const ValueId id : graph_.parameters) result_.parameters += graph_.value(id).shape.elements();
    const auto steps = static_cast<size_t>(loader_.batches() * config.train.epochs);
    for (auto* times : {&result_.step_ns, &result_.step_images, &result_.comm_ns}) times->reserve(steps);
}

// What a missed positive costs in binary cross-entropy: one number for all classes, or one a class.
void Training::set_positive_weights() {
    const std::vector<double>& weights = config_.train.pos_weight;
    if (weights.empty()) return;
    if (!model_.multilabel)
        throw UsageError("the images have one label each, which no positive weights apply to", "/train/pos_weight",
                         "leave it out");
    if (weights.size() != 1 && static_cast<int64_t>(weights.size()) != model_.classes)
        throw UsageError(fmt::format("{} numbers for {} classes", weights.size(), model_.classes), "/train/pos_weight",
                         "give one number, or one a class");
    for (const FlatRange& range : state_.flat.state) {
        if (graph_.value(range.value).role != Role::constant) continue;
        float* data = state_.state.as<float>() + range.begin;
        for (int64_t k = 0; k < range.count; ++k)
            data[k] = static_cast<float>(weights.size() == 1 ? weights[0] : weights[static_cast<size_t>(k)]);
    }
}

void Training::step(const Batch& batch) {
    bind_batch(batch, executor_, context_);
    context_.learning_rate = static_cast<float>(learning_rate_at(config_.train, context_.step));
    context_.update = context_.step + 1;
    communicator_.wait_limit()->step = context_.update;
    const std::vector<double>* losses = nullptr;
    if (micro_batches_)
        losses = &micro_batches_->run(batch, executor_, context_);
    else
        executor_.run(context_, strategy_.get());
    for (int block = 0; block < sums_.blocks(); ++block) {
        const double loss = losses ? (*losses)[static_cast<size_t>(block)]
                                   : *executor_.view_block(plan_.graph.output("loss"), block).as<double>();
        if (!std::isfinite(loss)) {
            check_finite(state_, context_.step + 1, communicator_.rank());  // names the layer where one shows it
            throw Error(fmt::format("the loss is {} on rank {}", loss, communicator_.rank()),
                        fmt::format("training step {}", context_.step + 1), "lower the learning rate");
        }
        losses_[static_cast<size_t>(block * loader_.batches() + batch.index)] = loss;
    }
    strategy_->update(context_);
    ++context_.step;
    const int64_t every = config_.train.check_steps;
    if (every > 0 && context_.step % static_cast<uint32_t>(every) == 0) {
        check_finite(state_, context_.step, communicator_.rank());
        check_replicas(state_, context_.step, communicator_);
    }
}

EpochResult Training::train_epoch(int64_t epoch, int64_t first_batch) {
    EpochResult result;
    result.epoch = epoch;
    if (first_batch == 0) std::fill(losses_.begin(), losses_.end(), 0.0);
    result.images = std::min(first_batch * config_.train.batch_size, loader_.samples());
    communicator_.barrier();
    const auto start = Clock::now();
    loader_.start_epoch(epoch, first_batch);
    for (auto before = Clock::now();;) {
        const Batch* batch = loader_.next();
        if (!batch) break;
        step(*batch);
        const auto after = Clock::now();
        result_.step_ns.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(after - before).count());
        result_.step_images.push_back(batch->global_size);
        result_.comm_ns.push_back(strategy_->take_exposed_ns() + between_steps_.take() +
                                  (micro_batches_ ? micro_batches_->take_exposed_ns() : 0));
        result_.gradient_bytes = strategy_->summed_bytes();
        result.images += batch->global_size;
        before = after;
        result_.memory_in_steps = ledger_.now();
        report(*batch, epoch, nullptr);
        const int64_t every = config_.train.checkpoint_steps;
        if (must_stop()) {
            save_state(epoch);
            result_.interrupted = true;
            return result;
        }
        if (every > 0 && context_.step % static_cast<uint32_t>(every) == 0) save_state(epoch);
    }
    result.train_seconds = seconds_since(start);
    result.learning_rate = learning_rate_at(config_.train, static_cast<int64_t>(context_.step) - 1);
    const auto batches = static_cast<size_t>(loader_.batches());
    sums_.sum(losses_.data(), batches, batches);
    result.train_loss = std::accumulate(losses_.data(), losses_.data() + batches, 0.0) / static_cast<double>(result.images);
    return result;
}

// Of this rank's images.
double Training::loss_here(int64_t batch) const {
    double loss = 0;
    for (int block = 0; block < sums_.blocks(); ++block)
        loss += losses_[static_cast<size_t>(block * loader_.batches() + batch)];
    return loss;
}

void Training::report(const Batch& batch, int64_t epoch, const EpochResult* finished) {
    if (!options_.progress || communicator_.rank() != 0) return;
    TrainProgress progress{};
    progress.epoch = epoch;
    progress.epochs = config_.train.epochs;
    progress.step = context_.step;
    progress.steps = loader_.batches() * config_.train.epochs;
    const double elapsed = seconds_since(start_), done = static_cast<double>(context_.step - result_.resumed_at);
    progress.loss = finished         ? finished->train_loss
                    : batch.size > 0 ? loss_here(batch.index) / static_cast<double>(batch.size)
                                     : 0;
    if (!result_.step_ns.empty())
        progress.images_per_second =
            static_cast<double>(result_.step_images.back()) / (static_cast<double>(result_.step_ns.back()) * 1e-9);
    progress.seconds_left = done > 0 ? elapsed / done * static_cast<double>(progress.steps - progress.step) : 0;
    progress.finished_epoch = finished;
    options_.progress(progress);
}

Metrics Training::evaluate(Split split) {
    const Predictions predictions = evaluator_.run(state_, dataset_, loader_options(split), sums_);
    return compute_metrics(predictions, dataset_.info().class_names);
}

void Training::validate(EpochResult& epoch) {
    const auto start = Clock::now();
    last_val_ = evaluate(Split::val);
    epoch.val_loss = last_val_.loss;
    epoch.val_accuracy = last_val_.accuracy;
    epoch.val_balanced_accuracy = last_val_.balanced_accuracy;
    epoch.val_seconds = seconds_since(start);
}

// By the monitored figure; of equal ones the lower loss wins.
bool Training::better(const EpochResult& epoch) const {
    if (result_.best_epoch == 0) return true;
    const auto score = [&](const EpochResult& e) {
        if (config_.train.monitor == "val_loss") return -e.val_loss;
        return config_.train.monitor == "val_balanced_accuracy" ? e.val_balanced_accuracy : e.val_accuracy;
    };
    if (score(epoch) != score(best_epoch_)) return score(epoch) > score(best_epoch_);
    return epoch.val_loss < best_epoch_.val_loss;
}

// Collective.
WeightSet Training::described_weights() const {
    WeightSet weights = state_.weights();
    describe({model_, dataset_.info().class_names, config_.data.mean, config_.data.std}, weights);
    return weights;
}

void Training::save(const char* name, const WeightSet& weights) const {
    if (!options_.checkpoint_dir.empty() && communicator_.rank() == 0) save_weights(options_.checkpoint_dir / name, weights);
}

void Training::keep(const EpochResult& epoch) {
    best_epoch_ = epoch;
    best_ = described_weights();
    result_.best_epoch = epoch.epoch;
    result_.val = last_val_;
    save("best.safetensors", best_);
}

void Training::slowest_of_all_ranks(std::vector<int64_t>& times) const {
    std::vector<double> slowest(times.begin(), times.end());
    communicator_.all_reduce_max(slowest.data(), slowest.size());
    std::transform(slowest.begin(), slowest.end(), times.begin(), [](double ns) { return static_cast<int64_t>(ns); });
}

// Turns times into the longest of all ranks, and returns by how much these are longer than the shortest.
std::vector<int64_t> Training::over_least_of_all_ranks(std::vector<int64_t>& times) const {
    std::vector<int64_t> spread(times.size());
    std::transform(times.begin(), times.end(), spread.begin(), std::negate<>());
    slowest_of_all_ranks(spread);
    slowest_of_all_ranks(times);
    std::transform(times.begin(), times.end(), spread.begin(), spread.begin(), std::plus<>());
    return spread;
}

bool Training::must_stop() {
    if (!options_.stop) return false;
    double wanted = options_.stop() ? 1 : 0;
    between_steps_.time([&] { communicator_.all_reduce_max(&wanted, 1); });
    return wanted > 0;
}

const Json& Training::identity() {
    if (identity_.is_null()) identity_ = identity_of(config_, dataset_.digest());
    return identity_;
}

// Collective.
TrainingState Training::snapshot(int64_t epoch) {
    TrainingState state;
    state.steps = context_.step;
    state.epoch = epoch;
    state.next_batch = static_cast<int64_t>(context_.step) - (epoch - 1) * loader_.batches();
    std::vector<double> losses = losses_;
    const auto batches = static_cast<size_t>(loader_.batches());
    sums_.sum(losses.data(), batches, batches);
    state.losses.assign(losses.begin(), losses.begin() + state.next_batch);
    state.history = result_.history;
    if (result_.best_epoch > 0) {
        state.best_epoch = best_epoch_;
        state.best = best_;
    }
    state.model = described_weights();
    state.moments = strategy_->save();
    state.identity = identity();
    return state;
}

void Training::save_state(int64_t epoch) {
    check_finite(state_, context_.step, communicator_.rank());
    TrainingState state = snapshot(epoch);
    if (writer_) writer_->write(std::move(state));
}

// Sets everything to where the checkpoint was taken; nothing where there is none. Every rank reads the same files.
std::optional<TrainingState> Training::resume() {
    if (!options_.resume) return std::nullopt;
    auto state = read_newest_checkpoint(options_.checkpoint_dir);
    double steps = state ? static_cast<double>(state->steps) : -1, most = steps;
    communicator_.all_reduce_max(&most, 1);
    if (steps != most)
        throw Error(fmt::format("rank {} finds the checkpoint of another step than other ranks", communicator_.rank()),
                    options_.checkpoint_dir.string(), "give all nodes the same folder");
    if (!state) return std::nullopt;
    check_same_run(*state, identity());
    if (config_.train.compression == "powersgd")
        throw UsageError("checkpoints do not hold PowerSGD's error feedback", "--resume",
                         "begin anew with another --out, or train with another compression");
    const std::string origin = options_.checkpoint_dir.string();
    state_.set_weights(state->model, origin);
    strategy_->load(state->moments, origin);
    context_.step = result_.resumed_at = state->steps;
    if (state->losses.size() > static_cast<size_t>(loader_.batches()) ||
        state->steps != (state->epoch - 1) * loader_.batches() + state->next_batch)
        throw Error("the checkpoint was taken on a data set of another size", origin,
                    "give the data set that it was begun with");
    // The sums are of all ranks: rank 0 carries them, zeros from the others leave them as they are.
    if (communicator_.rank() == 0) std::copy(state->losses.begin(), state->losses.end(), losses_.begin());
    result_.history = state->history;
    if (state->best_epoch) {
        best_epoch_ = *state->best_epoch;
        best_ = state->best;
        result_.best_epoch = best_epoch_.epoch;
    }
    return state;
}

TrainResult Training::run() {
    if (!options_.checkpoint_dir.empty() && communicator_.rank() == 0)
        writer_.emplace(options_.checkpoint_dir, config_.train.checkpoint_keep);
    int64_t first_epoch = 1, first_batch = 0;
    if (const auto state = resume()) {
        first_epoch = state->epoch;
        first_batch = state->next_batch;  // behind the last one: only the validation is left of that epoch
    }
    for (int64_t epoch = first_epoch; epoch <= config_.train.epochs; ++epoch) {
        EpochResult result = train_epoch(epoch, epoch == first_epoch ? first_batch : 0);
        result_.steps_done = context_.step;
        if (result_.interrupted) {
            if (writer_) writer_->wait();
            communicator_.barrier();
            return std::move(result_);
        }
        validate(result);
        result.best = better(result);
        if (result.best) keep(result);
        result_.history.push_back(result);
        result_.train_seconds += result.train_seconds;
        result_.val_seconds += result.val_seconds;
        report({}, epoch, &result_.history.back());
        if (config_.train.patience > 0 && epoch - result_.best_epoch >= config_.train.patience) break;
    }
    if (writer_) writer_->wait();
    const WeightSet last = described_weights();
    save("last.safetensors", last);
    result_.final_weights_hash = weights_hash(last);
    state_.set_weights(best_, "the best epoch");
    result_.weights_hash = weights_hash(best_);
    if (result_.val.count == 0) result_.val = evaluate(Split::val);  // the best epoch was an earlier process'
    const auto test_start = Clock::now();
    result_.test = evaluate(Split::test);
    result_.test_seconds = seconds_since(test_start);
    slowest_of_all_ranks(result_.step_ns);
    result_.skew_ns = over_least_of_all_ranks(result_.comm_ns);
    result_.total_seconds = seconds_since(start_);
    result_.memory_highest = ledger_.highest();
    return std::move(result_);
}

}  // namespace

TrainResult train(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options) {
    check(config, communicator, options.stage);
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
