// What an operator means, without any device code: its operands, the shapes of its outputs, its gradient, its work, and what
// the planner may do with it. One OpDef for each OpKind, in kernels/<op>/op.cpp; kernels/operators.h lists the folders.
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

// An answer that every operator has to give: a row without it does not compile.
template <class T>
class Answer {
public:
    constexpr Answer(T value) : value_(value) {}
    constexpr operator T() const { return value_; }

private:
    T value_;
};

struct OpDef {
    OpKind op;
    // The operands in order, as in core/ops.h: "x* w [b] -> y*". A star: one row an image. Brackets: may be absent. An
    // equals sign: an output that is updated in place; an output with the name of an input lies in that input's memory.
    Answer<const char*> operands;
    // Checks the operands and returns the outputs' shape, dtype and role. Throws Error saying what does not fit. Null: the
    // planner makes the nodes, with the shapes of others.
    Answer<std::vector<Value> (*)(const Attrs& attrs, std::span<const Value* const> in)> infer;
    // Appends the nodes that turn the gradients of a node's outputs into those of its inputs; null: not differentiable.
    Answer<void (*)(GradBuilder& builder, const Node& node)> grad;
    Answer<Work (*)(const Problem& problem)> work;  // null: the planner replaces it
    // The plain loops of its folder's ref.cpp, the oracle; null: no kernel ever runs.
    Answer<void (*)(const KernelArgs& args, const Team& team) noexcept> reference;
    Answer<bool> multiplies;  // its FLOPs are those that a training step is measured by: convolutions and linear layers
    Answer<Support (*)(const void* attrs)> attributes;  // known_attributes() of kernel.h; null: there is nothing to check
    // Where in its attributes it says that it does more than its name; null: it never does.
    Answer<const Activation* (*)(const void* attrs)> activation;  // a ReLU behind it may become a part of it
    Answer<const Dropout* (*)(const void* attrs)> dropout;        // so may a dropout
    Answer<const DType* (*)(const void* attrs)> products;         // in what it multiplies
};

// The reference of each operator that has one: reference_conv2d ...
#define XB_DECLARE_REFERENCE(op) void reference_##op(const KernelArgs& args, const Team& team) noexcept;
XB_OPERATORS(XB_DECLARE_REFERENCE)
#undef XB_DECLARE_REFERENCE

const OpDef& op_def(OpKind op);  // throws Error that names an operator without a row

// OpDef::operands taken apart.
struct Operand {
    std::string name;
    bool per_image = false, optional = false, in_place = false;
};
struct Operands {
    std::vector<Operand> in, out;
};
const Operands& operands_of(OpKind op);
// Adds something up over the images, in the tree over leaves (kernel.h).
bool sums_over_images(OpKind op);

// The parts of a node's attributes that the planner sets; null where the operator has none.
Activation* activation_of(Node& node);
Dropout* dropout_of(Node& node);
DType* products_of(Node& node);
float folded_dropout(OpKind op, const void* attrs);  // p of the dropout that it does along; 0: none

// The graph being differentiated, as a rule of OpDef::grad sees it.
class GradBuilder {
public:
    GradBuilder(Graph& graph, std::vector<bool> needs_gradient);

    const Value& value(ValueId id) const { return graph_.value(id); }
    const Graph& graph() const { return graph_; }
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
