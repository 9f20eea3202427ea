// What an operator means, without any device code: the shapes of its outputs, its gradient, its work.
// One OpDef for each OpKind, in kernels/<op>/op.cpp; kernels/op.cpp gathers them. Implementations are rows of registry.cpp.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/graph.h"
#include "kernels/kernel.h"

namespace xbench {

// Floating point operations (a multiply-add is two) and the bytes that must be moved at least once, for this problem.
struct Work {
    double flops = 0, bytes = 0;
};

class GradBuilder;

struct OpDef {
    OpKind op;
    // Checks the operands and returns the outputs' shape, dtype and role. Throws Error saying what does not fit.
    std::vector<Value> (*infer)(const Attrs& attrs, std::span<const Value* const> in);
    // Appends the nodes that turn the gradients of a node's outputs into those of its inputs; null: not differentiable.
    void (*grad)(GradBuilder& builder, const Node& node);
    Work (*work)(const Problem& problem);
    Support (*attributes)(const void* attrs) = nullptr;  // known_attributes() of kernel.h; null: any will do
};

const OpDef& op_def(OpKind op);

// The graph being differentiated, as a rule of OpDef::grad sees it.
class GradBuilder {
public:
    GradBuilder(Graph& graph, std::vector<bool> needs_gradient);

    const Value& value(ValueId id) const { return graph_.value(id); }
    // Whether anything that is learned depends on it, or it is learned itself.
    bool needed(ValueId id) const { return id != no_value && needs_gradient_[static_cast<size_t>(id)]; }
    // The gradient of an output so far; no_value where nothing depends on it.
    ValueId gradient(ValueId id) const { return gradient_[static_cast<size_t>(id)]; }
    // Appends a node whose outputs' shapes are inferred. Returns their ids.
    std::vector<ValueId> append(OpKind op, const Attrs& attrs, std::vector<ValueId> in, const std::string& name);
    // Appends a node whose outputs are the gradients of `like`: shaped like them, in their order, absent ones left out.
    std::vector<ValueId> append(OpKind op, const Attrs& attrs, std::vector<ValueId> in, const std::string& name,
                                std::vector<ValueId> like);
    // Adds `contribution` to the gradient of `id` (emits accumulate when there is one already).
    void contribute(ValueId id, ValueId contribution, const std::string& name);
    // Makes `gradient` the (single) gradient of a parameter.
    void set_parameter_gradient(ValueId parameter, ValueId gradient);

private:
    ValueId new_value(Value value);
    Graph& graph_;
    std::vector<bool> needs_gradient_;
    std::vector<ValueId> gradient_;
};

}  // namespace xbench
