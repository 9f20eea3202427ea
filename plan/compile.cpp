// From a graph to a plan, on one screen.
#include "core/error.h"
#include "plan/passes.h"

namespace xbench {

DType products_in(const std::string& precision) {
    if (precision == "fp32") return DType::f32;
    if (precision == "bf16") return DType::bf16;
    if (precision == "fp16") return DType::f16;
    if (precision == "tf32") return DType::tf32;
    throw UsageError("unknown precision \"" + precision + "\"", "plan", "use fp32, bf16, fp16 or tf32");
}

bool needs_gpu(DType products) { return products == DType::f16 || products == DType::tf32; }

namespace {

// The references would round so on a CPU, too, but nobody wants to wait for them.
void require_products(const Target& target, const PlanOptions& options) {
    if (needs_gpu(options.products) && target.kind == DeviceKind::cpu && !options.naive)
        throw UsageError(std::string("the precision ") + (options.products == DType::f16 ? "fp16" : "tf32") +
                             " needs a GPU: a CPU has no products in it",
                         "plan", "use the precision fp32 or bf16, or the device cuda");
}

}  // namespace

Plan compile(const Graph& forward, const Target& target, const PlanOptions& options) {
    if (options.dtype != DType::f32 && !options.naive) throw Error("only a naive plan can compute in f64", "plan");
    require_products(target, options);
    Plan plan;
    plan.graph = forward;
    plan.options = options;
    plan.target = target;
    plan.parameters = flatten_parameters(forward);

    lower(plan.graph, options.training);
    choose_products(plan.graph, options.products);
    std::vector<ValueId> parameter_gradient(plan.graph.values.size(), no_value);
    if (options.training) parameter_gradient = differentiate(plan.graph);
    if (options.fuse && !options.naive) fuse(plan.graph);
    choose_layouts(plan);
    fuse_convolutions(plan);
    fuse_dropout(plan);
    checkpoint_activations(plan);
    delay_filter_gradients(plan);
    select_kernels(plan);
    find_hidden_sums(plan);
    place(plan, parameter_gradient);
    find_flat_spans(plan);
    return plan;
}

}  // namespace xbench
