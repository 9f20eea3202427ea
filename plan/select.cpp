// Nodes become steps: shapes at the plan's batch, and the kernel that the registry chooses for them.
#include "core/error.h"
#include "plan/passes.h"

namespace xbench {
namespace {

KernelTensor tensor_of(const PlannedValue& value) { return kernel_tensor(value.shape, value.dtype, value.layout); }

StepKind kind_of(const Plan& plan, const Node& node) {
    if (node.op == OpKind::all_reduce) return StepKind::all_reduce;
    const auto is_plain = [&](ValueId id) { return plan.value(id).layout == Layout::plain; };
    if (node.op == OpKind::flatten && is_plain(node.in[0]) && is_plain(node.out[0])) return StepKind::alias;
    return StepKind::kernel;
}

}  // namespace

Problem problem_of(const Plan& plan, const Node& node) {
    Problem problem{};
    problem.op = node.op;
    problem.attrs = plain(node.attrs);
    problem.leaves = plan.options.leaves;
    if (node.in.size() > std::size(problem.in) || node.out.size() > std::size(problem.out))
        throw Error("too many operands", "layer " + node.name);
    problem.n_in = static_cast<int32_t>(node.in.size());
    problem.n_out = static_cast<int32_t>(node.out.size());
    for (size_t i = 0; i < node.in.size(); ++i)
        if (node.in[i] != no_value) problem.in[i] = tensor_of(plan.value(node.in[i]));
    for (size_t i = 0; i < node.out.size(); ++i) problem.out[i] = tensor_of(plan.value(node.out[i]));
    return problem;
}

const Kernel* chosen(const Plan& plan, const Node& node) {
    try {
        return &select(problem_of(plan, node), plan.target, plan.options.forced);
    } catch (const Error&) {
        return nullptr;  // select_kernels will say so, with the layer
    }
}

void select_kernels(Plan& plan) {
    for (size_t i = 0; i < plan.graph.nodes.size(); ++i) {
        const Node& node = plan.graph.nodes[i];
        PlannedStep step;
        step.kind = kind_of(plan, node);
        step.node = static_cast<NodeId>(i);
        step.problem = problem_of(plan, node);
        if (step.kind == StepKind::kernel) {
            try {
                const Choice naive{name_of(node.op), "reference"};
                const auto forced = plan.options.naive ? std::span(&naive, 1) : std::span(plan.options.forced);
                step.kernel = &select(step.problem, plan.target, forced);
            } catch (const Error& error) {
                throw Error(error.what(), "model " + plan.graph.name + ", layer " + node.name, "", error.code());
            }
            if (step.kernel->workspace) step.workspace_bytes = step.kernel->workspace(step.problem, plan.options.threads);
        }
        plan.workspace_bytes = std::max(plan.workspace_bytes, step.workspace_bytes);
        plan.steps.push_back(step);
    }
}

}  // namespace xbench
