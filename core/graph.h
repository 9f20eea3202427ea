// A model as data: values (tensors) and nodes (operators on them). models/graph_builder.h makes one, plan/ compiles it.
// Shapes hold one image batch: dim 0 of an activation is the batch, written here as 1 and set when a plan is made.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/ops.h"
#include "core/tensor.h"

namespace xbench {

using ValueId = int;
using NodeId = int;
inline constexpr ValueId no_value = -1;

enum class Role : int32_t {
    input,       // images {1,c,h,w}
    label,       // class index i32 {1}, or targets {1,k}
    parameter,   // learned
    buffer,      // kept, not learned: running statistics
    constant,    // set once: by the configuration (pos_weight), or a parameter that is frozen
    activation,  // {1,...}: one row an image
    gradient,    // of an activation
    parameter_gradient,
    statistic  // without a batch dimension: sums, mean_rstd, loss
};

// How a parameter or buffer starts.
struct Init {
    enum class Rule : int32_t { none, constant, uniform } rule = Rule::none;
    double value = 0;  // constant: the value; uniform: the bound, numbers lie in [-value, value)
};

struct Value {
    std::string name;  // of a parameter or buffer: PyTorch's name, "f.0.weight"
    Shape shape;
    DType dtype = DType::f32;
    Role role = Role::activation;
    int unit = 0;  // shard, bucket and checkpoint unit
    Init init;
    bool trainable = true;
    bool batched() const {  // has the batch as dim 0
        return role == Role::input || role == Role::label || role == Role::activation || role == Role::gradient;
    }
};

using Attrs = std::variant<std::monostate, XB_ATTRIBUTES>;
const void* plain(const Attrs& attrs);  // pointer to the struct inside, null for none

struct Node {
    OpKind op;
    Attrs attrs;
    std::vector<ValueId> in, out;  // no_value for an absent optional operand
    std::string name;              // "f.0"
    bool recomputed = false;       // a copy of a forward node in the backward pass (activation checkpointing)
};

// A value that is read after a step: it keeps its memory to the step's end, and no pass of the planner does away with it.
struct Output {
    std::string name;  // "logits", "loss", "probabilities"; of a pinned value the name that pin() got
    ValueId value = no_value;
    bool is_loss = false;         // the backward pass starts here; losses are added up
    bool wants_gradient = false;  // of a pinned value: a training plan has the output "d(name)" as well
    ValueId seed = no_value;      // its gradient, given with each batch: the backward pass starts here without a loss
};

struct Graph {
    std::string name;
    std::vector<Node> nodes;  // in an order of execution
    std::vector<Value> values;
    ValueId input = no_value, label = no_value;
    std::vector<Output> outputs;
    std::vector<std::string> units;
    std::vector<ValueId> parameters;  // in forward order: parameters, then see buffers
    std::vector<ValueId> state;       // parameters and buffers in forward order: the canonical order of weights

    Value& value(ValueId id) { return values[static_cast<size_t>(id)]; }
    const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
    Node& node(NodeId id) { return nodes[static_cast<size_t>(id)]; }
    const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
    ValueId add(Value value);  // appends it

    ValueId output(std::string_view name) const;  // Throws Error where there is none of this name.
    bool is_output(ValueId id) const;
    bool is_loss(ValueId id) const;
    // Keeps an activation to the end of each step, and its gradient where asked for: what Grad-CAM reads.
    void pin(ValueId id, std::string name, bool with_gradient = false);
};

// The constant of zeros that a frozen batch normalisation's gradient reads.
inline std::string zeros_of_frozen(const std::string& layer) { return layer + ".zeros"; }

const char* name_of(OpKind op);  // "conv2d"
const char* name_of(Role role);

}  // namespace xbench
