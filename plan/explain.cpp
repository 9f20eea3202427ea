// A plan as text.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/op.h"
#include "kernels/products.h"
#include "plan/plan.h"

namespace xbench {
namespace {

const char* name_of(Arena arena) {
    switch (arena) {
        case Arena::none: return "-";
        case Arena::activations: return "act";
        case Arena::parameters: return "par";
        case Arena::gradients: return "grad";
        case Arena::state: return "state";
        case Arena::input: return "input";
        case Arena::label: return "label";
    }
    return "?";
}

std::string operands(const Plan& plan, const std::vector<ValueId>& ids) {
    std::string text;
    for (const ValueId id : ids) {
        if (id == no_value) continue;
        const PlannedValue& value = plan.value(id);
        if (!text.empty()) text += ' ';
        text += to_string(value.shape);
        if (value.layout == Layout::nchw16c) text += "/16c";
        if (value.layout == Layout::nhwc) text += "/nhwc";
        text += fmt::format("@{}+{}", name_of(value.arena), value.offset_bytes);
    }
    return text;
}

std::string implementation(const PlannedStep& step) {
    if (step.kind == StepKind::alias) return "(same memory)";
    if (step.kind == StepKind::all_reduce) return "(over ranks)";
    const bool drops = folded_dropout(step.problem.op, step.problem.attrs) > 0;  // a part of a pooling or its gradient
    return fmt::format("{}.{}{}", step.kernel->name, place_of(*step.kernel), drops ? "+dropout" : "");
}

std::string products_text(const Plan& plan) {
    const DType products = plan.options.products;
    return products == DType::f32 ? "" : std::string(", products in ") + name_of(products);
}

// Which layers a type of products leaves out, and how the others get their products.
std::string explain_products(const Plan& plan) {
    std::string text;
    bool emulated = false;  // some products in f32, of rounded operands
    for (const PlannedStep& step : plan.steps) {
        const Node& node = plan.graph.node(step.node);
        if (keeps_f32(plan.graph, node))
            text += fmt::format("{}: {} computes in f32, as it is bound by writing its output, not by its products\n",
                                name_of(plan.options.products), node.name);
        emulated = emulated || (step.kernel && products_of(step.problem) == DType::bf16 &&
                                kind_of(*step.kernel) == DeviceKind::cpu && step.kernel->isa != Isa::avx512_bf16);
    }
    if (emulated)
        text += "bf16: kernels named *_rounded round their operands to bf16 and multiply them in f32: no faster than fp32\n";
    return text;
}

}  // namespace

Isa isa_of(const Plan& plan) {
    Isa isa = Isa::portable;
    for (const PlannedStep& step : plan.steps)
        if (step.kernel) isa = std::max(isa, step.kernel->isa);
    return isa;
}

double flops_per_step(const Plan& plan) {
    double flops = 0;
    for (const PlannedStep& step : plan.steps) {
        if (plan.graph.node(step.node).recomputed) continue;
        const OpDef& def = op_def(step.problem.op);
        if (def.multiplies) flops += def.work(step.problem).flops;
    }
    return flops;
}

std::string explain(const Plan& plan) {
    std::string text = fmt::format("plan {}: {}, batch {}, {} leaves, {}{}{}, {}\n", plan.graph.name,
                                   plan.options.training ? "training" : "inference", plan.options.max_batch,
                                   plan.options.leaves, name_of(plan.options.dtype), products_text(plan),
                                   plan.options.activation_checkpointing ? ", activation checkpointing" : "",
                                   plan.options.naive ? "naive" : name_of(plan.target.isa));
    text += fmt::format("{:>4}  {:<26} {:<8} {:<22} {:>9}  {}\n", "step", "operator", "layer", "kernel", "MFLOP",
                        "operands (shape@arena+offset in bytes)");
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const PlannedStep& step = plan.steps[i];
        const Node& node = plan.graph.node(step.node);
        const auto work = op_def(node.op).work;
        const std::string operation = std::string(name_of(node.op)) + (node.recomputed ? " (again)" : "");
        text += fmt::format("{:>4}  {:<26} {:<8} {:<22} {:>9.3f}  {} -> {}\n", i, operation, node.name, implementation(step),
                            work ? work(step.problem).flops * 1e-6 : 0.0, operands(plan, node.in), operands(plan, node.out));
    }
    text += fmt::format(
        "parameters {} elements, state {}; activations {:.3f} MiB ({:.3f} without sharing), workspace {:.3f} MiB\n",
        plan.parameters.parameter_elements, plan.parameters.state_elements,
        static_cast<double>(plan.activation_bytes) / 1048576.0,
        static_cast<double>(plan.activation_bytes_unshared) / 1048576.0,
        static_cast<double>(plan.workspace_bytes) / 1048576.0);
    text += fmt::format("convolutions and linear layers: {:.3f} MFLOP a step\n", flops_per_step(plan) * 1e-6);
    if (plan.options.products != DType::f32) text += explain_products(plan);
    return text;
}

}  // namespace xbench
