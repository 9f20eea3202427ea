// The table of operators, and the graph under differentiation that their rules write to.
#include "kernels/op.h"

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

constexpr auto op_count = static_cast<size_t>(OpKind::count_);

std::array<std::optional<OpDef>, op_count> make_table() {
    std::array<std::optional<OpDef>, op_count> all;
#define XB_ADD_OPS(folder) \
    for (const OpDef& def : folder##_ops()) all[static_cast<size_t>(def.op)].emplace(def);
    XB_OPERATOR_FOLDERS(XB_ADD_OPS)
#undef XB_ADD_OPS
    return all;
}

// "[b*]"
Operand parse_operand(std::string text) {
    Operand operand;
    const auto take = [&text](char mark) {
        const bool found = text.find(mark) != std::string::npos;
        std::erase(text, mark);
        return found;
    };
    operand.optional = take('[');
    take(']');
    operand.per_image = take('*');
    operand.in_place = take('=');
    operand.name = std::move(text);
    return operand;
}

Operands parse_operands(const char* text) {
    Operands operands;
    std::istringstream words{std::string(text)};
    std::vector<Operand>* side = &operands.in;
    for (std::string word; words >> word;) {
        if (word == "->")
            side = &operands.out;
        else
            side->push_back(parse_operand(word));
    }
    return operands;
}

}  // namespace

const OpDef& op_def(OpKind op) {
    static const auto table = make_table();
    const auto& def = table[static_cast<size_t>(op)];
    if (!def) throw Error(std::string("no folder of kernels/operators.h has a row for ") + name_of(op), "operators");
    return *def;
}

const Operands& operands_of(OpKind op) {
    static const auto table = [] {
        std::array<Operands, op_count> all;
        for (size_t i = 0; i < op_count; ++i) all[i] = parse_operands(op_def(static_cast<OpKind>(i)).operands);
        return all;
    }();
    return table[static_cast<size_t>(op)];
}

bool sums_over_images(OpKind op) {
    const auto per_image = [](const Operand& operand) { return operand.per_image; };
    const Operands& operands = operands_of(op);
    return std::any_of(operands.in.begin(), operands.in.end(), per_image) &&
           !std::all_of(operands.out.begin(), operands.out.end(), per_image);
}

Support known_attributes(const Problem& problem) {
    const auto check = op_def(problem.op).attributes;
    return check ? check(problem.attrs) : supported;
}

DType products_of(const Problem& problem) {
    const auto products = op_def(problem.op).products;
    return products ? *products(problem.attrs) : DType::f32;
}

namespace {

// What `place` finds in a node's own attributes, to be changed.
template <class T>
T* part_of(Node& node, const T* (*place)(const void*)) {
    return place ? const_cast<T*>(place(plain(node.attrs))) : nullptr;
}

}  // namespace

Activation* activation_of(Node& node) { return part_of<Activation>(node, op_def(node.op).activation); }
Dropout* dropout_of(Node& node) { return part_of<Dropout>(node, op_def(node.op).dropout); }
DType* products_of(Node& node) { return part_of<DType>(node, op_def(node.op).products); }

float folded_dropout(OpKind op, const void* attrs) {
    const auto dropout = op_def(op).dropout;
    return dropout ? dropout(attrs)->p : 0.0f;
}

GradBuilder::GradBuilder(Graph& graph, std::vector<bool> needs_gradient)
    : graph_(graph), needs_gradient_(std::move(needs_gradient)), gradient_(graph.values.size(), no_value) {}

ValueId GradBuilder::new_value(Value value) {
    needs_gradient_.push_back(false);
    gradient_.push_back(no_value);
    return graph_.add(std::move(value));
}

std::vector<ValueId> GradBuilder::append(OpKind op, const Attrs& attrs, std::vector<ValueId> in, const std::string& name) {
    std::vector<const Value*> operands;
    for (const ValueId id : in) operands.push_back(&value(id));
    std::vector<ValueId> out;
    for (Value& v : op_def(op).infer(attrs, operands)) {
        v.unit = value(in[0]).unit;
        out.push_back(new_value(std::move(v)));
    }
    graph_.nodes.push_back({op, attrs, std::move(in), out, name});
    return out;
}

std::vector<ValueId> GradBuilder::append(OpKind op, const Attrs& attrs, std::vector<ValueId> in, const std::string& name,
                                         std::vector<ValueId> like) {
    std::vector<ValueId> out;
    for (const ValueId id : like) {
        if (id == no_value) continue;
        Value gradient;
        gradient.name = "d(" + value(id).name + ")";
        gradient.shape = value(id).shape;
        gradient.dtype = value(id).dtype;
        gradient.unit = value(id).unit;
        const bool of_weights = value(id).role == Role::parameter || value(id).role == Role::constant;  // learned, frozen
        gradient.role = of_weights ? Role::parameter_gradient : Role::gradient;
        out.push_back(new_value(std::move(gradient)));
    }
    graph_.nodes.push_back({op, attrs, std::move(in), out, name});
    return out;
}

void GradBuilder::contribute(ValueId id, ValueId contribution, const std::string& name) {
    ValueId& slot = gradient_[static_cast<size_t>(id)];
    if (slot == no_value) {
        slot = contribution;
        return;
    }
    const ValueId so_far = slot;
    const ValueId sum = append(OpKind::accumulate, Elementwise{Activation::none}, {so_far, contribution}, name, {id})[0];
    gradient_[static_cast<size_t>(id)] = sum;
}

void GradBuilder::set_parameter_gradient(ValueId parameter, ValueId gradient) {
    if (this->gradient(parameter) != no_value)
        throw Error("the parameter " + value(parameter).name + " is used by two layers", "autodiff",
                    "give each layer its own");
    gradient_[static_cast<size_t>(parameter)] = gradient;
}

}  // namespace xbench
