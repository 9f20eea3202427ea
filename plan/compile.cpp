// From a graph to a plan, on one screen.
#include "core/error.h"
#include "plan/passes.h"

namespace xbench {

Plan compile(const Graph& forward, const Target& target, const PlanOptions& options) {
    if (options.dtype != DType::f32 && !options.naive) throw Error("only a naive plan can compute in f64", "plan");
    Plan plan;
    plan.graph = forward;
    plan.options = options;
    plan.target = target;
    plan.parameters = flatten_parameters(forward);

    lower(plan.graph, options.training);
    Differentiated gradients;
    gradients.parameter_gradient.assign(plan.graph.values.size(), no_value);
    gradients.forward_nodes = plan.graph.nodes.size();
    if (options.training) gradients = differentiate(plan.graph);

    std::vector<bool> backward(plan.graph.nodes.size(), false);
    for (size_t node = gradients.forward_nodes; node < backward.size(); ++node) backward[node] = true;
    if (options.fuse && !options.naive) fuse(plan.graph, backward);
    choose_layouts(plan, backward);
    select_kernels(plan, backward);
    place(plan, gradients.parameter_gradient);
    return plan;
}

}  // namespace xbench
