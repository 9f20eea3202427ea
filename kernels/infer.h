// Small helpers of the op.cpp files: checking operands, making output values, counting bytes.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/graph.h"
#include "kernels/kernel.h"
#include "kernels/op.h"

namespace xbench {

inline void require(bool condition, const std::string& what, const std::string& remedy = {}) {
    if (!condition) throw Error(what, "", remedy);
}

inline void require_rank(const Value& value, int rank, const char* operand) {
    require(value.shape.rank == rank, std::string(operand) + " has shape " + to_string(value.shape) + ", expected " +
                                          std::to_string(rank) + " dimensions");
}

// An activation, or whatever role fits the operator, shaped like this.
inline Value output(Shape shape, Role role = Role::activation, DType dtype = DType::f32) {
    Value value;
    value.shape = shape;
    value.role = role;
    value.dtype = dtype;
    return value;
}

// An output shaped like the first operand.
inline std::vector<Value> infer_same(const Attrs&, std::span<const Value* const> in) {
    return {output(in[0]->shape, in[0]->role == Role::input ? Role::activation : in[0]->role, in[0]->dtype)};
}

// OpDef::grad of y = f(x) whose gradient reads x again: gradient_op takes dy, x and gives dx.
template <OpKind gradient_op>
void grad_from_input(GradBuilder& g, const Node& node) {
    const ValueId x = node.in[0];
    const auto dx = g.append(gradient_op, node.attrs, {g.gradient(node.out[0]), x}, node.name, {x});
    g.contribute(x, dx[0], node.name);
}

inline double elements(const KernelTensor& t) {
    double count = t.rank ? 1 : 0;
    for (int axis = 0; axis < t.rank; ++axis) count *= static_cast<double>(t.dim[axis]);
    return count;
}

// Bytes of all operands, each counted once: the least that has to move.
inline double operand_bytes(const Problem& problem) {
    double bytes = 0;
    for (int i = 0; i < problem.n_in; ++i)
        bytes += elements(problem.in[i]) * static_cast<double>(size_of(problem.in[i].dtype));
    for (int i = 0; i < problem.n_out; ++i)
        bytes += elements(problem.out[i]) * static_cast<double>(size_of(problem.out[i].dtype));
    return bytes;
}

// Work of an operator that does `flops_per_element` operations on each element of its largest operand.
inline Work elementwise_work(const Problem& problem, double flops_per_element) {
    double largest = 0;
    for (int i = 0; i < problem.n_in; ++i) largest = std::max(largest, elements(problem.in[i]));
    for (int i = 0; i < problem.n_out; ++i) largest = std::max(largest, elements(problem.out[i]));
    return Work{flops_per_element * largest, operand_bytes(problem)};
}

// OpDef::activation and its like: a member of the attributes, or a member of that: part<&Conv2dPool::conv,
// &Conv2d::products>.
template <class A, class T>
A class_of(T A::*);

template <auto first>
const auto* part(const void* attrs) {
    return &(static_cast<const decltype(class_of(first))*>(attrs)->*first);
}
template <auto first, auto second>
const auto* part(const void* attrs) {
    return &(static_cast<const decltype(class_of(first))*>(attrs)->*first.*second);
}

// OpDef::attributes: activations and products that kernels have heard of.
inline bool known(Activation activation) { return activation == Activation::none || activation == Activation::relu; }
inline bool known(DType products) {
    return products == DType::f32 || products == DType::bf16 || products == DType::f16 || products == DType::tf32;
}
inline Support known(const BatchNorm& a) {
    if (!known(a.activation)) return refused("activation");
    return known(a.input_activation) ? supported : refused("activation of the input");
}
inline Support known(const BatchNormPool& a) { return known(a.norm); }
inline Support known(const Elementwise& a) { return known(a.activation) ? supported : refused("activation"); }
template <class Multiplies>  // Conv2d, Linear
Support known(const Multiplies& a) {
    if (!known(a.activation)) return refused("activation");
    return known(a.products) ? supported : refused("products");
}
inline Support known(const Conv2dPool& a) { return known(a.conv); }
inline Support known(const Conv2dBatchNormPool& a) { return both(known(a.conv), known(a.pool)); }

template <class A>
Support known_in(const void* attrs) {
    return attrs ? known(*static_cast<const A*>(attrs)) : supported;  // add has none where it sums two gradients
}
// Of the gradients of a convolution and a linear layer: the activation is a pass of its own.
template <class A>
Support no_activation_in(const void* attrs) {
    const auto& a = *static_cast<const A*>(attrs);
    return a.activation == Activation::none ? known(a) : refused("activation");
}

}  // namespace xbench
