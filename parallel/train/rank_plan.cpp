// The plan of a rank.
#include "parallel/train/rank_plan.h"

#include "core/error.h"
#include "core/virtual_ranks.h"
#include "data/load/loader.h"
#include "parallel/strategy/gradient_buckets.h"

namespace xbench {
namespace {

void check_stage(const TrainConfig& config, int stage) {
    if (stage > 0 && config.compression != "none")
        throw UsageError("sharded sums its gradients uncompressed", "/train/compression", "set it to none");
    if (stage > 0 && config.overlap == "fused")
        throw UsageError("sharded updates its shards between a reduction and a gathering of their own", "/train/overlap",
                         "use auto, thread, inline or none");
}

int64_t own_leaves(const TrainConfig& config, const RankPlace& place) {
    return leaves_of_rank(leaves_of_batch(config, place.ranks), place.rank, place.ranks).count;
}

PlanOptions common_options(const TrainConfig& config, const RankPlace& place) {
    PlanOptions options;
    options.leaves = static_cast<int>(own_leaves(config, place));
    options.threads = place.threads;
    options.products = products_in(config.precision);
    options.forced = place.forced;
    return options;
}

PlanOptions training_options(const PassPlan& passes, const TrainConfig& config, const RankPlace& place) {
    PlanOptions options = common_options(config, place);
    const int64_t leaves = leaves_of_batch(config, place.ranks);
    if (passes.several()) options.leaves = passes.most_leaves;
    options.max_batch = most_images(options.leaves, config.batch_size, leaves);
    if (!passes.several() && place.most_images > 0) options.max_batch = place.most_images;
    options.activation_checkpointing = config.activation_checkpointing;
    options.hide_sums = place.shares_update && hides_sums(config);
    return options;
}

}  // namespace

RankPlace place_on(Communicator& communicator, const TrainConfig& config, int stage, int group_ranks) {
    check_stage(config, stage);
    RankPlace place;
    place.rank = communicator.rank();
    place.ranks = communicator.size();
    place.stage = stage;
    place.group_ranks = group_ranks;
    if (stage == 0)
        place.shares_update = overlap_of_replicas(config, communicator) == Overlap::fused;
    else
        place.overlapped = overlap_of_shards(config, communicator) == Overlap::thread;
    return place;
}

RankPlan rank_plan(const Graph& graph, const TrainConfig& config, const RankPlace& place) {
    check_ranks(config, place.ranks);
    check_stage(config, place.stage);
    RankPlan plan;
    plan.passes = plan_passes(config, graph, place.rank, place.ranks);
    plan.training = compile(graph, place.target, training_options(plan.passes, config, place));
    return plan;
}

Plan evaluation_plan(const Graph& graph, const TrainConfig& config, const RankPlace& place, int64_t batch) {
    PlanOptions options = common_options(config, place);
    options.training = false;
    options.max_batch = most_images(options.leaves, batch, leaves_of_batch(config, place.ranks));
    return compile(graph, place.target, options);
}

MemoryQuestion memory_question(const RankPlan& plan, const Plan& evaluation, const TrainConfig& config,
                               const RankPlace& place, int batches) {
    MemoryQuestion question{plan.training, evaluation, config};
    question.stage = place.stage;
    question.rank = place.rank;
    question.ranks = place.ranks;
    question.group_ranks = place.group_ranks;
    question.common_parameters = place.shares_update;
    question.overlapped = place.overlapped;
    question.batches = batches;
    question.images = place.most_images > 0
                          ? place.most_images
                          : most_images(own_leaves(config, place), config.batch_size, leaves_of_batch(config, place.ranks));
    question.gradient_slots = plan.passes.slots;
    question.several_passes = plan.passes.several();
    question.local_statistics = plan.passes.local;
    return question;
}

}  // namespace xbench
