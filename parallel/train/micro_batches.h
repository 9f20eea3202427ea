// Computes a rank's share of a batch in several passes, each over an aligned block of its leaves: gradient accumulation, and
// batch normalisation over each virtual rank.
//
// Each pass leaves its gradients in a slot of its own. Two neighbouring slots that cover equally many leaves are added, as
// in the tree of kernels/leaf_tree.h. In the end slot b holds the sum of the rank's block b (core/communicator.h), with the
// bits of one pass over all leaves, so that a strategy sees no difference. The memory for activations is that of the
// largest pass.
//
// Local batch normalisation makes one pass per leaf: statistics never leave it. Each leaf updates a copy of the running
// statistics. The new ones are the mean of the copies over all ranks' leaves that hold images, summed in the same tree.
#pragma once

#include <vector>

#include "data/load/loader.h"
#include "parallel/comm/rank_sums.h"
#include "parallel/strategy/exposed_time.h"
#include "parallel/strategy/model_state.h"
#include "parallel/strategy/strategy.h"
#include "parallel/train/device_batch.h"

namespace xbench {

struct Pass {
    int32_t first_leaf, leaves;  // among the rank's own
    int slot;                    // where its sums go first
    int merges;                  // additions of the two newest slots that follow it
};

// How a rank goes through its leaves.
struct PassPlan {
    bool several() const { return !passes.empty(); }  // else the executor takes all leaves at once
    std::vector<Pass> passes;
    size_t most_passes = 0;   // of any rank
    int32_t most_leaves = 0;  // of a pass
    int slots = 1;            // of gradients, on the rank that needs the most
    bool local = false;       // batch normalisation over each leaf
};

// As config.train asks, of this rank of so many. Throws UsageError where batch normalisation over the whole batch excludes
// several passes.
PassPlan plan_passes(const TrainConfig& config, const Graph& graph, int rank, int ranks);

class MicroBatches {
public:
    // Everything outlives it. The state has plan.slots slots of gradients; the observer may be null.
    MicroBatches(const PassPlan& plan, ModelState& state, const RankSums& sums, PassObserver* observer);

    // Gradients, and running statistics where they are local, of this rank's share of the batch. Each pass' loss is copied
    // to losses[pass], in staging memory. Collective.
    void run(const Batch& batch, DeviceBatch& memory, Executor& executor, const StepContext& context, double* losses);
    // The sum of each block's losses from those of the passes.
    const std::vector<double>& losses_of_blocks(const double* of_pass);
    int64_t take_exposed_ns() { return exposed_.take(); }

private:
    void run_pass(const Pass& pass, const Batch& batch, DeviceBatch& memory, Executor& executor, const StepContext& context,
                  double* loss);
    void merge(int slot);
    void add(float* to, const float* from, size_t count);
    float* statistics(int slot) const { return statistics_.as<float>() + static_cast<size_t>(slot) * statistics_stride_; }
    void average_statistics(const Batch& batch);
    void find_frozen();

    const PassPlan& plan_;
    ModelState& state_;
    const RankSums& sums_;
    PassObserver* const observer_;
    Device& device_;
    size_t statistics_count_ = 0, statistics_stride_ = 0;  // of the running statistics; elements of a slot
    std::vector<FlatRange> frozen_;                        // statistics that stay as they are
    AlignedBuffer statistics_;                             // {slot}: state, of which the first part is statistics
    std::vector<double> losses_;                           // {slot}
    std::vector<int32_t> leaf_begin_;                      // of a pass
    ExposedTime exposed_;
};

}  // namespace xbench
