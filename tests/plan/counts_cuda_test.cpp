// What the kernels of a training step move, counted on the emulated GPU: each step of the five models' plans at the models'
// own sizes, alone, with random operands, and the optimizer. Traffic is told in three ways: the operands, each once; the
// different sectors of each launch, which is what reaches memory where caches hold what a launch reads again; and the
// sectors of every access by itself. XBENCH_COUNTS_FOLDER=results/gpu_counts writes the tables of that folder.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "core/error.h"
#include "kernels/cuda/devices.h"
#include "kernels/products.h"
#include "models/registry.h"
#include "plan/plan.h"
#include "tests/kernels/counted_calls.h"

namespace xbench {
namespace {

struct Case {
    const char* model;
    DType products;
    int64_t batch;
};

std::string name_of_case(const Case& one) { return std::string(one.model) + "_" + name_of(one.products); }

// One call of a row: its problem, what it moved, and what it had to.
struct CountedStep {
    LayerProblem problem;
    const Kernel* kernel = nullptr;
    double operands = 0;  // sectors
    test::CallCounts counts;
};

LayerProblem problem_of(const Plan& plan, const PlannedStep& step) {
    const Node& node = plan.graph.node(step.node);
    LayerProblem problem;
    problem.name = node.name;
    problem.op = node.op, problem.attrs = node.attrs;
    problem.in.assign(step.problem.in, step.problem.in + step.problem.n_in);
    problem.out.assign(step.problem.out, step.problem.out + step.problem.n_out);
    for (int64_t v = 0; v <= plan.options.leaves; ++v)
        problem.leaf_begin.push_back(static_cast<int32_t>(v * plan.options.max_batch / plan.options.leaves));
    return problem;
}

LayerProblem optimizer_of(const Plan& plan) {
    LayerProblem problem;
    problem.name = "all";
    problem.op = OpKind::adam;
    Optimizer adam{};
    adam.beta1 = 0.9f, adam.beta2 = 0.999f, adam.eps = 1e-8f;
    problem.attrs = adam;
    const KernelTensor flat = kernel_tensor(Shape{plan.parameters.parameter_elements});
    problem.in = {flat}, problem.out = {flat, flat, flat};
    problem.leaf_begin = {0, static_cast<int32_t>(plan.options.max_batch)};
    return problem;
}

// Bytes of the values that steps read, each once, and of those that they write, each once, and the optimizer's.
double tensors_once(const Plan& plan) {
    std::set<ValueId> read, written;
    for (const PlannedStep& step : plan.steps) {
        if (step.kind != StepKind::kernel) continue;
        const Node& node = plan.graph.node(step.node);
        read.insert(node.in.begin(), node.in.end());
        written.insert(node.out.begin(), node.out.end());
    }
    read.erase(no_value), written.erase(no_value);
    double bytes = 0;
    for (const ValueId id : read) bytes += static_cast<double>(plan.value(id).bytes);
    for (const ValueId id : written) bytes += static_cast<double>(plan.value(id).bytes);
    // Of parameters, gradients and both moments; the gradient and the parameters were read above already or written.
    return bytes + 4.0 * static_cast<double>(plan.parameters.parameter_elements) * (1 + 1 + 2 + 2);
}

class GpuStepCounts : public testing::TestWithParam<Case> {
protected:
    void SetUp() override {
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        if (!system.emulated) GTEST_SKIP() << "a real GPU counts nothing here";
        device_ = make_cuda_device(0);
    }
    Plan plan() const {
        ModelConfig config;
        config.name = GetParam().model;
        PlanOptions options;
        options.products = GetParam().products;
        options.max_batch = GetParam().batch, options.leaves = static_cast<int>(std::min<int64_t>(8, GetParam().batch));
        return compile(build_model(config), device_->target(), options);
    }
    std::vector<CountedStep> count(const Plan& plan) {
        test::CountedCalls calls(*device_);
        std::vector<CountedStep> steps;
        const auto add = [&](LayerProblem problem, const Kernel& kernel) {
            CountedStep step{std::move(problem), &kernel, 0, {}};
            step.operands = test::sectors_of_operands(step.problem);
            step.counts = calls.of(kernel, step.problem);
            steps.push_back(std::move(step));
        };
        for (const PlannedStep& step : plan.steps)
            if (step.kind == StepKind::kernel) add(problem_of(plan, step), *step.kernel);
        const LayerProblem optimizer = optimizer_of(plan);
        add(optimizer, select(optimizer.problem(), device_->target()));
        return steps;
    }
    std::unique_ptr<Device> device_;
};

double ratio(double of, double to) { return to > 0 ? of / to : 1; }

// Accessed sectors by those of the operands, and passes over the banks of shared memory by the fewest: 1.15 and 1.1, but for
// the rows that do not meet this, each with its reason and what it needs today, so that none gets worse unnoticed.
struct Bound {
    double sectors = 1.15, wavefronts = 1.1;
    const char* why = "";
};
struct Exemption {
    const char* model;  // "": all
    OpKind op;
    const char* kernel;
    Bound bound;
};
constexpr const char* rim =
    "the rim around each tile and a block's filters are read again; a small batch has few tiles a block";
constexpr const char* partial =
    "partial sums of filters are written and read again, and a rim; they are many beside few images";
constexpr const char* small = "tiles are larger than the images, and filters are larger than what they are applied to";
constexpr const char* gathers = "an image is gathered once for each filter position, and for each tile of filters";
constexpr const char* rows_of_sectors = "rows of the images are no whole sectors";
constexpr const char* again = "one operand is read again by each block of the other's";
constexpr const char* banks = "tiles of so few channels or pixels meet in a bank";
constexpr Exemption exemptions[] = {
    {"fracture_cnn", OpKind::conv2d_pool, "halo_gemm", {3.9, 1.15, small}},
    {"fracture_cnn", OpKind::conv2d_dgrad, "halo_gemm", {3.15, 1.25, small}},
    {"fracture_cnn", OpKind::conv2d_wgrad, "halo_gemm", {11.5, 1.15, partial}},
    {"", OpKind::conv2d_statistics, "halo_gemm", {1.7, 1.1, rim}},
    {"", OpKind::conv2d_pool, "halo_gemm", {1.8, 1.1, rim}},
    {"", OpKind::conv2d_dgrad, "halo_gemm", {1.6, 1.1, rim}},
    {"", OpKind::conv2d_wgrad, "halo_gemm", {2.8, 1.35, partial}},
    {"", OpKind::conv2d, "implicit_gemm", {3.4, 1.1, gathers}},
    {"", OpKind::conv2d_dgrad, "implicit_gemm", {4.9, 1.1, gathers}},
    {"", OpKind::conv2d_wgrad, "implicit_gemm", {5.4, 1.1, gathers}},
    {"", OpKind::conv2d_statistics, "stem", {1.2, 1.1, rim}},
    {"", OpKind::conv2d_pool, "stem", {1.2, 1.1, rim}},
    {"", OpKind::conv2d_wgrad, "stem", {2, 1.1, partial}},
    {"", OpKind::conv2d_pool_wgrad, "stem", {1.5, 1.1, partial}},
    {"fracture_cnn", OpKind::conv2d_pool, "direct", {6, 1.1, small}},
    {"fracture_cnn", OpKind::conv2d_dgrad, "direct", {7.4, 1.35, small}},
    {"fracture_cnn", OpKind::conv2d_wgrad, "direct", {12.3, 1.1, partial}},
    {"", OpKind::conv2d_statistics, "direct", {2.6, 1.1, rim}},
    {"", OpKind::conv2d_pool, "direct", {1.7, 1.1, rim}},
    {"", OpKind::conv2d_dgrad, "direct", {3.7, 1.1, rim}},
    {"", OpKind::conv2d_wgrad, "direct", {5, 1.15, partial}},
    {"", OpKind::conv2d_pool_wgrad, "direct", {1.9, 1.25, partial}},
    {"", OpKind::conv2d_batchnorm_pool_wgrad, "direct", {1.2, 1.2, partial}},
    {"", OpKind::conv2d, "gemm", {14.2, 1.1, gathers}},
    {"", OpKind::conv2d_dgrad, "gemm", {30.3, 1.1, gathers}},
    {"", OpKind::conv2d_wgrad, "gemm", {11.4, 1.1, gathers}},
    {"", OpKind::batchnorm_pool_grad_input, "simt", {1.2, 1.1, rows_of_sectors}},
    {"", OpKind::max_pool2d, "simt", {1.4, 1.1, rows_of_sectors}},
    {"", OpKind::max_pool2d_grad, "simt", {1.5, 1.1, rows_of_sectors}},
    {"", OpKind::linear, "simt", {1.4, 1.1, again}},
    {"", OpKind::linear_dgrad, "simt", {1.45, 1.1, again}},
    {"", OpKind::linear_wgrad, "simt", {1.25, 1.1, again}},
    {"", OpKind::linear_wgrad, "leaf_outer", {1.25, 1.1, again}},
    {"", OpKind::flatten, "transpose", {1.15, 1.55, banks}},
};
constexpr double least_sectors = 3000;  // of operands, beside which a kernel's own tables do not count

Bound bound_of(const Case& one, const CountedStep& step) {
    if (step.operands < least_sectors) return {1e9, 1e9, "too small to be judged"};
    for (const Exemption& exemption : exemptions)
        if ((*exemption.model == 0 || std::string(exemption.model) == one.model) && exemption.op == step.problem.op &&
            std::string(exemption.kernel) == step.kernel->name)
            return exemption.bound;
    return {};
}

// Why a row is not within the bounds of all; "" where it is.
const char* why(const Case& one, const CountedStep& step) {
    const Bound all, bound = bound_of(one, step);
    const bool meets = ratio(step.counts.accessed, step.operands) <= all.sectors &&
                       ratio(step.counts.wavefronts, step.counts.ideal_wavefronts) <= all.wavefronts;
    return meets ? "" : bound.why;
}

void write_rows(std::FILE* file, const Case& one, const std::vector<CountedStep>& steps) {
    for (const CountedStep& step : steps) {
        const auto work = op_def(step.problem.op).work;
        const double flops = work ? work(step.problem.problem()).flops : 0;
        fmt::print(file, "{},{},{},{},{},{},\"{}\",{:.0f},{:.3f},{:.3f},{:.3f},{:.3f},{},{:.0f},\"{}\"\n", one.model,
                   name_of(one.products), one.batch, step.problem.name, name_of(step.problem.op), step.kernel->name,
                   to_string(step.problem.problem()), step.operands, ratio(step.counts.distinct, step.operands),
                   ratio(step.counts.accessed, step.operands), ratio(step.counts.accessed, step.counts.side_by_side),
                   ratio(step.counts.wavefronts, step.counts.ideal_wavefronts),
                   step.counts.matrix_flops > 0 ? fmt::format("{:.3f}", ratio(step.counts.matrix_flops, flops)) : "",
                   step.counts.local, why(one, step));
    }
}

TEST_P(GpuStepCounts, OfATrainingStep) {
    const Plan plan = this->plan();
    const std::vector<CountedStep> steps = count(plan);
    double operands = 0, distinct = 0, accessed = 0;
    for (const CountedStep& step : steps) {
        operands += 32 * step.operands, distinct += 32 * step.counts.distinct, accessed += 32 * step.counts.accessed;
        SCOPED_TRACE(step.kernel->name + (" " + step.problem.text()));
        const Bound bound = bound_of(GetParam(), step);
        EXPECT_EQ(step.counts.local, 0);
        EXPECT_LE(ratio(step.counts.accessed, step.operands), bound.sectors);
        EXPECT_LE(ratio(step.counts.wavefronts, step.counts.ideal_wavefronts), bound.wavefronts);
    }
    const double once = tensors_once(plan);
    EXPECT_LE(distinct, 1.3 * operands) << "each kernel's operands once";
    if (const char* const folder = std::getenv("XBENCH_COUNTS_FOLDER")) {
        const std::string path = std::string(folder) + "/" + name_of_case(GetParam());
        std::FILE* const rows = std::fopen((path + ".rows.csv").c_str(), "w");
        ASSERT_TRUE(rows) << path;
        write_rows(rows, GetParam(), steps);
        std::fclose(rows);
        std::FILE* const step = std::fopen((path + ".step.csv").c_str(), "w");
        fmt::print(step, "{},{},{},{:.0f},{:.0f},{:.0f},{:.0f}\n", GetParam().model, name_of(GetParam().products),
                   GetParam().batch, once, operands, distinct, accessed);
        std::fclose(step);
    }
    fmt::print("{}: tensors once {:.3f} MB, operands of steps {:.3f}, distinct {:.3f}, accessed {:.3f}\n",
               name_of_case(GetParam()), once / 1e6, operands / 1e6, distinct / 1e6, accessed / 1e6);
}

constexpr Case cases[] = {
    {"pneumonia_cnn", DType::f32, 16}, {"fracture_cnn", DType::f32, 8}, {"rsna_cnn", DType::f32, 8},
    {"cifar_cnn", DType::f32, 16},     {"nih_cnn", DType::f32, 2},      {"pneumonia_cnn", DType::bf16, 16},
    {"fracture_cnn", DType::bf16, 8},  {"rsna_cnn", DType::bf16, 8},    {"cifar_cnn", DType::bf16, 16},
    {"nih_cnn", DType::bf16, 2},
};
INSTANTIATE_TEST_SUITE_P(Models, GpuStepCounts, testing::ValuesIn(cases),
                         [](const auto& one) { return name_of_case(one.param); });

}  // namespace
}  // namespace xbench
