// The memory of a model in training: parameters, gradients and running statistics, each in one flat buffer, or the part of
// them that this rank keeps when they are sharded.
#pragma once

#include <optional>
#include <vector>

#include "core/memory.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/comm/rank_sums.h"
#include "parallel/strategy/sharded_units.h"
#include "plan/executor.h"

namespace xbench {

struct ModelState {
    // In the device's memory; graph and device must outlive it. Everything starts as zero.
    ModelState(const Graph& model, Device& memory_of);
    // With room for so many copies of the gradients (of blocks or passes) where they are whole, in the communicator's own
    // memory. Sharded for this training plan where `sharding` has a stage. Collective; all arguments must outlive it.
    ModelState(const Graph& model, Device& memory_of, const RankSums& sums, const Plan& plan, int gradient_slots,
               const Sharding& sharding = {}, MemoryLedger* ledger = nullptr);
    void initialize(uint64_t seed);  // collective
    // Of binary cross-entropy: one for all classes, one a class, or none, which is 1. Throws UsageError where they don't
    // fit.
    void set_positive_weights(const std::vector<double>& weights);
    // Of each class in the loss, where the graph's reads any.
    void set_class_weights(const std::vector<double>& weights) { set_constant("class_weight", weights); }
    void bind_to(Executor& executor) const;                                 // parameters, gradients and state
    WeightSet weights() const;                                              // a copy, in canonical order, without metadata;
                                                                            // collective
    void set_weights(const WeightSet& weights, const std::string& origin);  // throws Error listing what does not fit;
                                                                            // collective

    // The elements of the flat buffer that this rank has here, and where.
    struct Part {
        FlatSpan span;
        float* data;
    };
    std::vector<Part> parameter_parts() const;
    std::vector<Part> gradient_parts() const;  // of the first block

    const Graph& graph;
    Device& device;  // in whose memory all of it lies
    FlatParameters flat;
    MemoryLedger* ledger = nullptr;        // counts all of it, and what is made for it
    size_t gradient_stride = 0;            // elements between the gradients of two blocks
    AlignedBuffer parameters;              // f32; none in stage 3
    Communicator* common_among = nullptr;  // the ranks whose parameters are one buffer, which rank 0 fills and counts
    AlignedBuffer gradients;               // f32; none in stages 2 and 3, but where several passes make them
    AlignedBuffer state;                   // f32
    std::optional<ShardedUnits> units;     // where there is a stage

    void set_constant(std::string_view name, const std::vector<double>& values);  // one for all elements, or one each
    bool fills_parameters() const { return !common_among || common_among->rank() == 0; }
    bool whole_parameters() const { return !units || units->whole_parameters(); }
    bool whole_gradients() const { return !units || units->whole_gradients(); }
};

}  // namespace xbench
