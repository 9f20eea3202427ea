// Putting a training step together, and running it.
#include "parallel/train/training_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/plain_nan.h"
#include "core/virtual_ranks.h"
#include "parallel/comm/comm_staged.h"
#include "parallel/comm/composed.h"
#include "parallel/comm/lone_plane.h"
#include "parallel/comm/nccl.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/train/probe_kind.h"

namespace xbench {
namespace {

constexpr size_t scaling_doubles = scaling_elements * sizeof(float) / sizeof(double);

// What every rank's device runs: other kernels round differently.
Target common_target(const Target& mine, Communicator& communicator) {
    double least[] = {-static_cast<double>(mine.isa), -static_cast<double>(mine.compute_capability),
                      -static_cast<double>(mine.kind)};
    double kind = static_cast<double>(mine.kind);
    communicator.all_reduce_max(least, 3);
    communicator.all_reduce_max(&kind, 1);
    const Target lowest{static_cast<Isa>(static_cast<int>(-least[0])), static_cast<DeviceKind>(static_cast<int>(-least[2])),
                        static_cast<int32_t>(-least[1])};
    return least_of(lowest, {lowest.isa, static_cast<DeviceKind>(static_cast<int>(kind)), lowest.compute_capability});
}

void refuse_host_only(const TrainConfig& config, const Device& device) {
    if (device.is_host()) return;
    if (config.compression != "none")
        throw UsageError(fmt::format("the device {} sums its gradients uncompressed: {} is computed by the host in its own "
                                     "memory",
                                     device.name(), config.compression),
                         "/train/compression", "set it to none");
    if (config.overlap == "fused")
        throw UsageError(fmt::format("ranks with the device {} do not see each other's memory", device.name()),
                         "/train/overlap", "use auto, inline or none");
}

std::unique_ptr<Communicator> checked_and_staged(const TrainConfig& config, Communicator& over, Device& device) {
    refuse_host_only(config, device);
    if (device.is_host()) return nullptr;
    if (over.size() == 1) return compose(over.split(0), make_lone_plane, device, "self");
    if (why_no_nccl(over, device).empty()) return compose(over.split(0), make_nccl_plane, device, "nccl");
    return make_staged_communicator(over, device);
}

RankSums sums_for(const TrainConfig& config, Communicator& communicator) {
    check_ranks(config, communicator.size());
    return {communicator, config.reduction == "fast" ? Reduction::fast : Reduction::invariant,
            leaves_of_batch(config, communicator.size())};
}

std::optional<HybridGroups> groups_for(const TrainConfig& config, Communicator& communicator, int stage) {
    if (!config.hybrid_sharding || stage == 0) return std::nullopt;
    return std::optional<HybridGroups>(std::in_place, communicator);
}

std::string mib(size_t bytes) { return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20)); }

struct Needs {
    size_t images, state;  // bytes: what grows with the batch, and what does not
    size_t all() const { return images + state; }
};

Needs needs_of(const RankPlan& plan, const TrainConfig& config, const RankPlace& place) {
    const auto parameters = static_cast<size_t>(plan.training.parameters.parameter_elements) * sizeof(float);
    const auto copies = static_cast<size_t>(2 + moment_count(config));  // with gradients, while ZeRO splits nothing
    const size_t split = place.stage > 0 ? static_cast<size_t>(place.ranks) : 1;
    const Graph& graph = plan.training.graph;
    const auto pixels = static_cast<size_t>(graph.value(graph.input).shape.elements());
    return {plan.training.activation_bytes + plan.training.workspace_bytes +
                static_cast<size_t>(plan.training.options.max_batch) * pixels * sizeof(float),
            parameters * copies / split};
}

// The plan of a rank whose device has the memory for it. Throws Error that says what is needed and which batch would fit.
RankPlan plan_that_fits(const Graph& graph, const TrainConfig& config, const RankPlace& place, Device& device) {
    RankPlan plan = rank_plan(graph, config, place);
    const size_t free_bytes = device.free_bytes();
    const Needs needs = needs_of(plan, config, place);
    if (needs.all() <= free_bytes) return plan;
    const double images = free_bytes > needs.state ? static_cast<double>(free_bytes - needs.state) : 0;
    const auto fits =
        static_cast<int64_t>(static_cast<double>(config.batch_size) * images / static_cast<double>(needs.images));
    throw Error(
        fmt::format("a step needs {} for images and {} for parameters, gradients and optimizer, and {} of the device "
                    "are free",
                    mib(needs.images), mib(needs.state), mib(free_bytes)),
        fmt::format("rank {}, batch {}", place.rank, config.batch_size),
        fits > 0
            ? fmt::format("a batch of {} would fit; train.activation_checkpointing and train.accumulate need less", fits)
            : "no batch would fit: take a smaller model, or --trainer sharded");
}

RankPlace place_for(const TrainConfig& config, Communicator& communicator, const HybridGroups* groups, Device& device,
                    const TrainingStepOptions& options) {
    RankPlace place = place_on(communicator, config, options.stage, groups ? groups->ranks() : 0);
    place.target = common_target(device.target(), communicator);
    place.threads = device.threads();
    device.restrict_to(place.target);
    place.most_images = options.most_images;
    place.forced = options.forced;
    return place;
}

}  // namespace

TrainingStep::TrainingStep(Graph graph, const TrainConfig& config, Communicator& communicator, Device& device,
                           const TrainingStepOptions& options)
    : config_(config),
      arrivals_(options.arrivals),
      device_(device),
      staged_(checked_and_staged(config, communicator, device)),
      communicator_(staged_ ? *staged_ : communicator),
      graph_(std::move(graph)),
      sums_(sums_for(config, communicator_)),
      groups_(groups_for(config, communicator_, options.stage)),
      place_(place_for(config, communicator_, groups_ ? &*groups_ : nullptr, device, options)),
      rank_plan_(plan_that_fits(graph_, config, place_, device)),
      state_(graph_, device, sums_, plan(), rank_plan_.passes.slots, sharding(), options.ledger),
      executor_(plan(), device, options.ledger),
      batch_(plan(), device, options.ledger),
      strategy_((place_.stage == 0 ? make_replicated : make_sharded)(config, state_, sums_)),
      loss_numbers_(std::max(rank_plan_.passes.passes.size(), static_cast<size_t>(sums_.blocks()))),
      losses_(device, loss_numbers_ + (loss_scaler() ? scaling_doubles : 0)) {
    state_.initialize(config.seed);
    state_.set_positive_weights(config.pos_weight);
    if (!config.class_weights.empty()) state_.set_class_weights(config.class_weights);
    schedule_.batches = options.batches;
    state_.bind_to(executor_);
    if (rank_plan_.passes.several())
        micro_batches_.emplace(rank_plan_.passes, state_, sums_, strategy_->pass_observer());
    else
        executor_.set_blocks(sums_.leaves_of_block, state_.gradient_stride * sizeof(float));
    strategy_->attach(plan());
    strategy_->start_average();
    context_.seed = config.seed;
    context_.later_rank = communicator.rank() > 0;
    if (loss_scaler()) context_.loss_scale = loss_scaler()->scale();
}

Sharding TrainingStep::sharding() const {
    Sharding how = groups_ ? groups_->sharding(place_.stage, place_.overlapped)
                           : Sharding{place_.stage, nullptr, nullptr, place_.overlapped};
    how.common_parameters = place_.shares_update;
    how.several_passes = rank_plan_.passes.several();
    return how;
}

void TrainingStep::begin(const Batch& batch) {
    describe_batch(batch, context_);
    context_.learning_rate = static_cast<float>(learning_rate_at(config_, context_.step, schedule_));
    context_.update = context_.step + 1;
    communicator_.wait_limit()->step = context_.update;
}

void TrainingStep::compute(const Batch& batch, std::vector<int64_t>* plan_step_ns) {
    begin(batch);
    if (micro_batches_) {
        micro_batches_->run(batch, batch_, executor_, context_, losses_.next());
    } else {
        batch_.bind(batch, executor_, context_);
        executor_.run(context_, strategy_.get(), plan_step_ns);
    }
    send_losses(batch);
}

// With the update, so that a device that replays steps replays both as one.
void TrainingStep::compute_whole(const Batch& batch) {
    begin(batch);
    batch_.bind(batch, executor_, context_);
    strategy_->begin_update(context_);
    executor_.run(context_, strategy_.get(), nullptr, [this] { strategy_->order_update(); });
    strategy_->end_update(context_);
    send_losses(batch);
    ++context_.step;
}

// Behind the step. Several passes have put theirs there already.
void TrainingStep::send_losses(const Batch& batch) {
    double* const losses = losses_.next();
    if (!micro_batches_)
        for (int block = 0; block < sums_.blocks(); ++block)
            device_.copy(losses + block, executor_.view_block(plan().graph.output("loss"), block).data, sizeof(double));
    if (const LossScaler* const scaler = loss_scaler())
        device_.copy(losses + loss_numbers_, scaler->operand().data, scaling_doubles * sizeof(double));
    losses_.send(batch.index, batch.size, context_.update);
}

std::span<const double> TrainingStep::of_blocks(const double* sent) {
    const double* const sums = micro_batches_ ? micro_batches_->losses_of_blocks(sent).data() : sent;
    return {sums, static_cast<size_t>(sums_.blocks())};
}

double TrainingStep::loss(int block) { return of_blocks(losses_.newest())[static_cast<size_t>(block)]; }

void TrainingStep::update() {
    strategy_->update(context_);
    strategy_->end_update(context_);
    ++context_.step;
}

// Of all steps but the newest so many.
void TrainingStep::read_losses(size_t but) {
    while (losses_.waiting() > but) {
        const LateLosses::Sent sent = losses_.read();
        const std::span<const double> of_block = of_blocks(sent.numbers);
        for (const double loss : of_block) check_loss(loss, sent.step);
        if (strategy_->loss_scaler()) check_loss_scale(sent.numbers + loss_numbers_, sent.step);
        if (heard_) heard_({sent.batch, sent.images, of_block});
    }
}

void TrainingStep::check_loss(double loss, uint32_t step) const {
    if (std::isfinite(loss)) return;
    check_finite(state_, step, communicator_.rank(), checked());  // names the layer where one shows it
    throw Error(fmt::format("the loss is {} on rank {}", plain_nan(loss), communicator_.rank()),
                fmt::format("training step {}", step),
                context_.loss_scale ? "lower the learning rate, or train with the precision bf16: fp16 ends at 65504"
                                    : "lower the learning rate");
}

// Gradients of a scaled loss may overflow: their update is skipped then.
Checked TrainingStep::checked() const { return context_.loss_scale ? Checked::no_gradients : Checked::all; }

void TrainingStep::check_loss_scale(const double* sent, uint32_t step) const {
    float scaling[scaling_elements];
    std::memcpy(scaling, sent, sizeof scaling);
    if (scaling[scaling_scale] >= 1) return;
    throw Error(fmt::format("gradients overflow fp16 with a loss scale of 1, too; {:.0f} updates were skipped",
                            static_cast<double>(scaling[scaling_skipped])),
                fmt::format("training step {}", step), "train with the precision bf16 or fp32, or lower the learning rate");
}

void TrainingStep::run(const Batch& batch, std::vector<int64_t>* plan_step_ns) {
    // One thread tells the device of all of it.
    const bool whole = !plan_step_ns && !micro_batches_ && device_.threads() == 1 && strategy_->update_goes_into_order();
    if (whole)
        compute_whole(batch);
    else
        compute(batch, plan_step_ns);
    read_losses(device_.is_host() ? 0 : 1);
    if (arrivals_) arrivals_->computed();
    const DeviceEvent before_update = plan_step_ns ? device_.record() : DeviceEvent{};
    if (!whole) update();
    batch_.wait();
    if (plan_step_ns) plan_step_ns->push_back(device_.elapsed_ns(before_update, device_.record()));
    const int64_t every = config_.check_steps;
    if (every > 0 && context_.step % static_cast<uint32_t>(every) == 0) {
        check_finite(state_, context_.step, communicator_.rank(), checked());
        if (!moves_no_data(config_)) check_replicas(state_, context_.step, communicator_);
    }
}

int64_t TrainingStep::take_exposed_ns() {
    return strategy_->take_exposed_ns() + (micro_batches_ ? micro_batches_->take_exposed_ns() : 0);
}

}  // namespace xbench
