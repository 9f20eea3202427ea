// Runs a model over images without training it: validation, testing, eval and predict.
#pragma once

#include <functional>
#include <span>

#include "core/communicator.h"
#include "data/load/loader.h"
#include "eval/metrics.h"
#include "parallel/strategy/model_state.h"
#include "parallel/train/device_batch.h"

namespace xbench {

// Told after every batch: images that are done, of how many.
using ImagesDone = std::function<void(int64_t done, int64_t total)>;

// An inference plan with its executor, for as many evaluations as wanted.
class Evaluator {
public:
    // Of an evaluation_plan (parallel/train/rank_plan.h) for this rank of `sums`.
    Evaluator(Plan plan, Device& device, const RankSums& sums, MemoryLedger* ledger = nullptr);
    const Plan& plan() const { return plan_; }

    // Predictions for the images that the loader's options name, each once, gathered over all ranks in the order of their
    // index. Collective. Throws Error, on every rank, that names the tensor or the image where a number is not finite.
    // `options` gives split or indices, mean and std, ranks, batch_size and virtual_ranks.
    Predictions run(const ModelState& state, const Dataset& dataset, LoaderOptions options, const RankSums& sums,
                    const ImagesDone& done = {});

private:
    Plan plan_;
    Executor executor_;
    DeviceBatch batch_;
};

// All in one process: the predictions of these weights for these images. With all that the checkpoint says about itself,
// the loss is that of the training run's own evaluation, to the last bit as long as that took at most so many images at
// once. Throws Error when the weights do not fit the graph, or give what is not finite.
Predictions predict(const Graph& graph, const WeightSet& weights, const ModelDescription& about, const Dataset& dataset,
                    std::span<const int64_t> indices, Device& device, const ImagesDone& done = {});
constexpr int64_t most_evaluated_at_once = 512;

// Images of a batch of the evaluations of a training run: without gradients a larger one costs nothing and is faster.
constexpr int64_t evaluation_batch(int64_t training_batch) { return training_batch > 64 ? training_batch : 64; }

}  // namespace xbench
