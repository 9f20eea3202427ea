// Training steps of any graph on one rank of many, without the training loop: the trainer's step on this rank's share of
// random batches.
#pragma once

#include <vector>

#include "core/rng.h"
#include "parallel/train/training_step.h"

namespace xbench::test {

inline TrainConfig eight_images() {
    TrainConfig config;
    config.batch_size = config.virtual_ranks = 8;
    config.learning_rate = 0.01;
    return config;
}

class RankSteps {
public:
    RankSteps(const Graph& graph, Communicator& communicator, int stage, const TrainConfig& config = eight_images(),
              MemoryLedger* ledger = nullptr)
        : config_(config), step_(graph, config_, communicator, cpu_, {.stage = stage, .ledger = ledger}) {
        make_batch();
    }
    RankSteps(const Graph& graph, Communicator& communicator, Device& device, const TrainingStepOptions& options,
              const TrainConfig& config = eight_images())
        : config_(config), step_(graph, config_, communicator, device, options) {
        make_batch();
    }
    void step() { step_.run(batch_); }
    void compute() { step_.compute(batch_); }
    TrainingStep& training() { return step_; }
    const Plan& plan() const { return step_.plan(); }
    ModelState& state() { return step_.state(); }
    Strategy& strategy() { return step_.strategy(); }

private:
    // The same images on any number of ranks.
    void make_batch() {
        Random random(7, RandomUse::test_data);
        const Graph& graph = step_.graph();
        const int64_t pixels = graph.value(graph.input).shape.elements();
        const int64_t images = config_.batch_size, leaves = config_.virtual_ranks;
        for (int64_t i = 0; i < images * pixels; ++i) images_.push_back(random.uniform(-1, 1));
        const LeafBlock share = leaves_of_rank(leaves, step_.place().rank, step_.place().ranks);
        const int64_t first = leaf_start(share.first, images, leaves);
        for (int64_t v = 0; v <= share.count; ++v)
            batch_.leaf_begin.push_back(static_cast<int32_t>(leaf_start(share.first + v, images, leaves) - first));
        batch_.size = batch_.leaf_begin.back();
        batch_.global_size = images;
        batch_.images = images_.data() + first * pixels;
        for (int64_t i = first; i < first + batch_.size; ++i) {
            batch_.labels.push_back(static_cast<int32_t>(i % 3));
            batch_.sample_ids.push_back(i);
        }
    }

    const TrainConfig config_;
    Cpu cpu_;
    TrainingStep step_;
    std::vector<float> images_;
    Batch batch_;
};

}  // namespace xbench::test
