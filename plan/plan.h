// A plan: what an executor does, decided before the first step. One list of kernel calls with every address fixed.
// compile() makes it from a graph in passes (compile.cpp is the whole story on one screen); explain() prints it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/graph.h"
#include "kernels/registry.h"
#include "plan/flat_parameters.h"

namespace xbench {

struct PlanOptions {
    bool training = true;  // forward, loss, backward; else forward and loss with the running statistics
    bool naive = false;    // the oracle: references only, plain layout, no fusion, no memory shared
    bool fuse = true;
    DType dtype = DType::f32;  // of everything that is f32 in the graph; f64 needs naive
    // In what convolutions and linear layers compute their products: f32, bf16 or, on a GPU, f16 and tf32. Their operands,
    // results and everything else stay in dtype. A first layer of few channels stays f32 (keeps_f32).
    DType products = DType::f32;
    bool activation_checkpointing =
        false;  // forget what only a unit itself reads, and compute it again for the backward pass
    // Filter gradients are computed while the backward pass' statistics are summed over ranks, not before.
    bool hide_sums = false;
    int64_t max_batch = 1;  // the most images of one call, on this rank
    int leaves = 8;         // the most leaves of one call, on this rank
    int threads = 1;
    std::vector<Choice> forced;  // implementations asked for by name
};

// Where a value lies. Each arena is one block of memory.
enum class Arena : int32_t {
    none,         // unused value
    activations,  // placed by lifetime; the executor's own
    parameters,   // flat, see flat_parameters.h; bound by the trainer
    gradients,    // of the parameters, laid out like them; bound by the trainer
    state,        // running statistics, then constants; bound by the trainer
    input,
    label  // bound for each batch
};

struct PlannedValue {
    Arena arena = Arena::none;
    size_t offset_bytes = 0, bytes = 0;  // at max_batch
    Layout layout = Layout::plain;
    DType dtype = DType::f32;
    Shape shape;                          // at max_batch
    int first_step = -1, last_step = -1;  // lifetime, in steps
};

enum class StepKind : int32_t {
    kernel,
    all_reduce,  // sums a statistic over ranks, through the observer
    alias        // nothing to do: the output is the input's memory
};

// A contiguous part of the flat buffer of parameters or of their gradients, in elements.
struct FlatSpan {
    int64_t begin = 0, end = 0;
    bool empty() const { return begin == end; }
};

struct PlannedStep {
    StepKind kind = StepKind::kernel;
    NodeId node = -1;
    const Kernel* kernel = nullptr;
    Problem problem{};  // without addresses
    size_t workspace_bytes = 0;
    // Of an all_reduce: other steps lie between it and the first that reads the total, which needs_sum.
    bool goes_on = false, needs_sum = false;
    FlatSpan parameters;  // from the first to the last parameter that it reads
    // The gradients that are final once it has run, and were not before. The spans of the steps follow each other from the
    // buffer's begin to its end: where a gradient is ready before its predecessors in the buffer, it waits for them.
    FlatSpan gradients;
};

struct Plan {
    Graph graph;  // after all passes: gradients included, fused, with reorders
    PlanOptions options;
    Target target;
    std::vector<PlannedValue> values;  // one for each value of the graph
    std::vector<PlannedStep> steps;
    FlatParameters parameters;
    size_t activation_bytes = 0;           // the arena, with memory shared by lifetime
    size_t activation_bytes_unshared = 0;  // what it would be without sharing
    size_t workspace_bytes = 0;

    PlannedValue& value(ValueId id) { return values[static_cast<size_t>(id)]; }
    const PlannedValue& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
};

// Throws Error naming the layer when a shape does not fit or no kernel supports it.
Plan compile(const Graph& forward, const Target& target, const PlanOptions& options);

// PlanOptions::products of the configuration's train.precision: "fp32", "bf16", "fp16" or "tf32".
DType products_in(const std::string& precision);
bool needs_gpu(DType products);  // no row for a CPU computes them, but the references do

// Whether a layer computes in f32 even where the plan asks for bf16: a convolution that reads images of at most 4 channels.
// It is bound by writing its output, so that bf16 would cost accuracy and gain nothing.
bool keeps_f32(const Graph& graph, const Node& node);

// The plan as text: a line a step with kernel, shapes, place and work; totals. One format for reading and golden tests.
std::string explain(const Plan& plan);

// The highest instruction set among the kernels of the plan: what its bits depend on.
Isa isa_of(const Plan& plan);

// Multiply-adds of convolutions and linear layers, forward and backward, counted twice: the FLOPs of a step. What activation
// checkpointing computes again is no more work.
double flops_per_step(const Plan& plan);

}  // namespace xbench
