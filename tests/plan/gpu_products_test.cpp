// Plans for a GPU whose convolutions and linear layers multiply on its tensor cores. Compiling one needs no GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "core/error.h"
#include "kernels/products.h"
#include "kernels/registry.h"
#include "models/registry.h"
#include "plan/plan.h"

namespace xbench {
namespace {

constexpr Target gpu{Isa::portable, DeviceKind::cuda, 80};

bool has_rows_for_a_gpu() {
    return std::ranges::any_of(kernel_table(), [](const Kernel& row) { return kind_of(row) == DeviceKind::cuda; });
}

Plan plan_of(const std::string& model, DType products, const Target& target) {
    ModelConfig config;
    config.name = model;
    PlanOptions options;
    options.products = products;
    options.max_batch = 4, options.leaves = 4;
    return compile(build_model(config), target, options);
}

// All but a first layer of few channels.
TEST(GpuProducts, LayersOfTheSmallModelsMultiplyOnTensorCores) {
    if (!has_rows_for_a_gpu()) GTEST_SKIP() << "built without rows for a GPU";
    for (const char* model : {"pneumonia_cnn", "fracture_cnn", "cifar_cnn", "rsna_cnn", "nih_cnn"})
        for (const DType products : {DType::bf16, DType::f16, DType::tf32}) {
            SCOPED_TRACE(std::string(model) + " in " + name_of(products));
            const Plan plan = plan_of(model, products, gpu);
            std::set<std::string> names;
            for (size_t id = 0; id < plan.graph.values.size(); ++id) {
                const Value& value = plan.graph.values[id];
                const bool between = value.role == Role::activation || value.role == Role::gradient;
                if (!between || value.shape.rank != 4) continue;
                EXPECT_EQ(plan.value(static_cast<ValueId>(id)).layout, Layout::nhwc) << value.name;
            }
            for (const PlannedStep& step : plan.steps) EXPECT_NE(step.problem.op, OpKind::reorder);
            for (const PlannedStep& step : plan.steps)
                if (step.kernel && products_of(step.problem) == products) names.insert(step.kernel->name);
            names.erase("implicit_gemm");  // strides, and filter gradients in tf32
            EXPECT_EQ(names, (std::set<std::string>{"halo_gemm", "leaf_outer", "tensor_gemm"}));
            EXPECT_NE(explain(plan).find(std::string("products in ") + name_of(products)), std::string::npos);
        }
}

TEST(GpuProducts, ProductsOfGpusAreRefusedOnACpu) {
    for (const DType products : {DType::f16, DType::tf32}) try {
            plan_of("cifar_cnn", products, Target{});
            FAIL() << name_of(products);
        } catch (const UsageError& error) {
            EXPECT_NE(std::string(error.what()).find("needs a GPU"), std::string::npos) << error.what();
        }
}

}  // namespace
}  // namespace xbench
