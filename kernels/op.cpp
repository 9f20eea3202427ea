// The table of operators, and the graph under differentiation that their rules write to.
#include "kernels/op.h"

#include <array>

#include "core/error.h"
#include "kernels/ops_table.h"

namespace xbench {

const OpDef& op_def(OpKind op) {
    static const auto table = [] {
        std::array<OpDef, static_cast<size_t>(OpKind::count_)> all{};
        for (const auto& ops : {conv2d_ops(), batchnorm_ops(), elementwise_ops(), pool2d_ops(), linear_ops(), dropout_ops(),
                                loss_ops(), optimizer_ops()})
            for (const OpDef& def : ops) all[static_cast<size_t>(def.op)] = def;
        return all;
    }();
    return table[static_cast<size_t>(op)];
}

Support known_attributes(const Problem& problem) {
    const auto check = op_def(problem.op).attributes;
    return check ? check(problem.attrs) : supported;
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
        gradient.role = value(id).role == Role::parameter ? Role::parameter_gradient : Role::gradient;
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
