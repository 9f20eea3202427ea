// The rows of the tensor cores against the double-precision reference: the problems of convolutions and linear layers whose
// products are bf16, in each type of products and each order of the filters, and others in one. In every mode of the
// emulated GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/error.h"
#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/cuda/devices.h"
#include "kernels/op.h"
#include "kernels/products.h"
#include "problems.h"

namespace xbench {
namespace {

LayerProblem in_products(LayerProblem problem, DType products) {
    if (auto* conv = std::get_if<Conv2d>(&problem.attrs)) conv->products = products;
    if (auto* pooled = std::get_if<Conv2dPool>(&problem.attrs)) pooled->conv.products = products;
    if (auto* linear = std::get_if<Linear>(&problem.attrs)) linear->products = products;
    return problem;
}

bool is_product(OpKind op) {
    switch (op) {
        case OpKind::conv2d:
        case OpKind::conv2d_dgrad:
        case OpKind::conv2d_wgrad:
        case OpKind::linear:
        case OpKind::linear_dgrad:
        case OpKind::linear_wgrad: return true;
        default: return false;
    }
}

// The emulated GPU and the oracle are slow: of the problems in f32 those of few products.
std::vector<LayerProblem> tensor_core_problems() {
    std::vector<LayerProblem> all;
    for (const LayerProblem& problem : all_problems()) {
        if (!is_product(problem.op) || problem.in[0].layout != Layout::plain || problem.in[1].layout == Layout::nchw16c ||
            problem.out[0].layout == Layout::nchw16c)
            continue;
        const LayerProblem nhwc = in_nhwc(problem);
        const double flops = op_def(problem.op).work(problem.problem()).flops;
        if (products_of(problem.problem()) != DType::bf16) {
            const LayerProblem rounded = in_products(nhwc, all.size() % 2 ? DType::bf16 : DType::tf32);
            if (flops < 4e6) all.push_back(all.size() / 2 % 2 ? with_plain_filters(rounded) : rounded);
            continue;
        }
        for (const DType products : {DType::bf16, DType::f16, DType::tf32})
            if (flops < 8e6 || products == DType::bf16)
                all.push_back(products == DType::bf16 && flops > 1e6 ? in_products(nhwc, products)
                                                                     : with_plain_filters(in_products(nhwc, products)));
    }
    return all;
}

class GpuKernelsOfTensorCores : public testing::Test {
protected:
    void SetUp() override {
        system_ = query_gpus();
        if (!system_.why_not.empty()) GTEST_SKIP() << system_.why_not;
        device_ = make_cuda_device(0);
        reports_ = test::reports_of_emulator();
    }
    void TearDown() override { expect_no_reports(); }
    void expect_no_reports() {
        const auto now = test::reports_of_emulator();
        if (now != reports_) ADD_FAILURE() << now - reports_ << " reports, the last: " << test::last_report_of_emulator();
        reports_ = now;
    }
    std::vector<const Kernel*> rows_for(const LayerProblem& problem) const {
        std::vector<const Kernel*> rows;
        for (const Kernel& kernel : kernel_table())
            if (kernel.op == problem.op && runs_on(kernel, device_->target()) && supports(kernel, problem.problem()) &&
                !kernel.why_missing)
                rows.push_back(&kernel);
        return rows;
    }
    void compare(const LayerProblem& problem, DataKind kind) {
        const auto rows = rows_for(problem);
        if (rows.empty()) return;
        const ProblemData data(problem, kind, 1);
        const Oracle oracle(data, kind != DataKind::exact);
        for (const Kernel* const kernel : rows) {
            SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
            const double k = kind == DataKind::exact ? 0 : tolerance_of(problem, *kernel);
            try {
                const Comparison result = check_kernel_on(*device_, *kernel, data, oracle, k, !system_.emulated);
                EXPECT_TRUE(result.ok) << result.message;
            } catch (const Error& error) {
                ADD_FAILURE() << error.what();
                test::forgive_emulator();
            }
            ++compared_;
            expect_no_reports();
        }
    }
    std::vector<float> result_of(const Kernel& kernel, ProblemData& data, int output) {
        data.reset_outputs();
        DeviceData there(data, kernel, *device_, false);
        there.launch();
        there.fetch();
        const auto* const values = static_cast<const float*>(data.args().out[output].data);
        return {values, values + elements_of(data.args().out[output])};
    }
    // Of output 0, with all operands 4 bytes past an address that is a multiple of 16.
    std::vector<float> shifted_result_of(const Kernel& kernel, ProblemData& data) {
        std::vector<AlignedBuffer> there;
        const auto send = [&](const void* from, size_t bytes, size_t shift) {
            there.push_back(device_->allocate_undefined(bytes + shift));
            device_->copy(there.back().as<std::byte>() + shift, from, bytes);
            return there.back().as<std::byte>() + shift;
        };
        KernelArgs args = data.args();
        StepContext step = data.step();
        const size_t leaves = static_cast<size_t>(step.leaves) + 1;
        step.leaf_begin = reinterpret_cast<const int32_t*>(send(step.leaf_begin, leaves * sizeof(int32_t), 0));
        step.on_device = reinterpret_cast<const StepContext*>(send(&step, sizeof step, 0));
        args.step = &step;
        for (KernelTensor& t : args.in)
            if (t.rank > 0) t.data = send(t.data, static_cast<size_t>(stored_bytes_of(t)), sizeof(float));
        for (KernelTensor& t : args.out)
            if (t.rank > 0) t.data = send(t.data, static_cast<size_t>(stored_bytes_of(t)), sizeof(float));
        there.push_back(device_->allocate_undefined(kernel.workspace ? kernel.workspace(args, 1) + 4 : 4));
        args.workspace = there.back().data();
        device_->run([&](const Team& team) { device_->launch(kernel, args, team); });
        std::vector<float> result(static_cast<size_t>(elements_of(args.out[0])));
        device_->copy(result.data(), args.out[0].data, result.size() * sizeof(float));
        device_->wait();
        return result;
    }
    // The bits of the whole batch and of its halves, whose images are those of the whole.
    void compare_halves(const LayerProblem& whole, const LayerProblem& half) {
        const auto rows = rows_for(whole);
        ASSERT_FALSE(rows.empty()) << whole.text();
        for (const Kernel* const kernel : rows) compare_halves(*kernel, whole, half);
    }
    void compare_halves(const Kernel& kernel, const LayerProblem& whole, const LayerProblem& half) {
        SCOPED_TRACE(row_name(kernel) + "\n  " + whole.text());
        ProblemData all(whole, DataKind::random, 5);
        const Operands& names = operands_of(whole.op);
        for (size_t output = 0; output < whole.out.size(); ++output) {
            const std::vector<float> together = result_of(kernel, all, static_cast<int>(output));
            std::vector<std::vector<float>> parts;
            for (const int64_t part : {0, 1}) {
                ProblemData data(half, DataKind::random, 6);
                for (size_t i = 0; i < half.in.size(); ++i)
                    take_images(all.args().in[i], data.args().in[i], names.in[i].per_image ? part : 0);
                parts.push_back(result_of(kernel, data, static_cast<int>(output)));
            }
            std::vector<float> joined = parts[0];
            if (names.out[output].per_image) {
                joined.insert(joined.end(), parts[1].begin(), parts[1].end());
            } else {
                for (size_t i = 0; i < joined.size(); ++i) joined[i] += parts[1][i];  // the root of the tree over leaves
            }
            ASSERT_EQ(joined.size(), together.size());
            EXPECT_EQ(std::memcmp(joined.data(), together.data(), joined.size() * sizeof(float)), 0) << "output " << output;
        }
    }
    static void take_images(const KernelTensor& from, const KernelTensor& to, int64_t part) {
        const int64_t count = elements_of(to);
        for (int64_t i = 0; i < count; ++i) set_element(to, i, element(from, part * count + i));
    }

    GpuSystem system_;
    std::unique_ptr<Device> device_;
    unsigned long long reports_ = 0;
    int compared_ = 0;
};

TEST_F(GpuKernelsOfTensorCores, AgreeWithTheReference) {
    for (const LayerProblem& problem : tensor_core_problems()) compare(problem, DataKind::random);
    EXPECT_GT(compared_, 200);
}

TEST_F(GpuKernelsOfTensorCores, AreExactOnSmallIntegers) {
    for (const LayerProblem& problem : tensor_core_problems())
        if (products_of(problem.problem()) == DType::f16) compare(problem, DataKind::exact);
    EXPECT_GT(compared_, 40);
}

// What lies between convolutions in a plan of nhwc: everything but them, and first layers from plain images.
TEST_F(GpuKernelsOfTensorCores, RowsBesideThemAgreeInNhwc) {
    for (const LayerProblem& problem : all_problems()) {
        const LayerProblem nhwc = in_nhwc(problem);
        const auto blocked = [](const KernelTensor& t) { return t.layout == Layout::nchw16c; };
        const auto images = [](const KernelTensor& t) { return t.layout == Layout::nhwc; };
        if (is_product(problem.op) || std::ranges::any_of(nhwc.in, blocked) || std::ranges::any_of(nhwc.out, blocked) ||
            !(std::ranges::any_of(nhwc.in, images) || std::ranges::any_of(nhwc.out, images)))
            continue;
        compare(nhwc, DataKind::random);
        if (problem.op != OpKind::conv2d_statistics && problem.op != OpKind::conv2d_pool) continue;
        for (const DType products : {DType::bf16, DType::f16, DType::tf32})
            compare(with_plain_filters(in_products(nhwc, products)), DataKind::random);
    }
    EXPECT_GT(compared_, 60);
}

TEST_F(GpuKernelsOfTensorCores, FirstLayersReadPlainImages) {
    for (const LayerProblem& problem : all_problems()) {
        if (problem.in[0].rank != 4 || problem.in[0].layout != Layout::plain || problem.in[0].dim[1] > 4) continue;
        const LayerProblem first = as_first_layer(problem);
        const auto blocked = [](const KernelTensor& t) { return t.layout == Layout::nchw16c; };
        const auto images = [](const KernelTensor& t) { return t.layout == Layout::nhwc; };
        if (std::ranges::any_of(first.in, blocked) || std::ranges::any_of(first.out, blocked)) continue;
        const bool turned = std::ranges::any_of(first.in, images) || std::ranges::any_of(first.out, images);
        if (turned && products_of(problem.problem()) == DType::f32 && op_def(problem.op).work(problem.problem()).flops < 2e7)
            compare(first, DataKind::random);
    }
    EXPECT_GT(compared_, 20);
}

// Partial sums of parts of images, of leaves, and of splits of K; halves of a batch are what two ranks have.
TEST_F(GpuKernelsOfTensorCores, HaveTheSameBitsForAnySplitOfTheBatch) {
    for (const char* line : {"c16 h9 w11 k20 r3 pad1", "c8 h24 w23 k12 r3 pad1 stride2", "c20 h6 k36 r3 pad1",
                             "c232 h5 k20 r3 pad1", "c5 h9 w11 k7 r3", "c40 h19 w7 k72 r3 pad2"}) {
        const auto whole = parse_problem(std::string("conv2d n8 leaves8 bf16 ") + line, "test");
        const auto half = parse_problem(std::string("conv2d n4 leaves4 bf16 ") + line, "test");
        for (size_t i = 0; i < whole.size(); ++i)
            if (whole[i].in[0].layout == Layout::plain && whole[i].out[0].layout == Layout::plain)
                compare_halves(with_plain_filters(in_nhwc(whole[i])), with_plain_filters(in_nhwc(half[i])));
    }
    for (const char* line : {"f72 k20", "f2100 k8"}) {
        const auto whole = parse_problem(std::string("linear n8 leaves8 tf32 ") + line, "test");
        const auto half = parse_problem(std::string("linear n4 leaves4 tf32 ") + line, "test");
        for (size_t i = 0; i < whole.size(); ++i) compare_halves(whole[i], half[i]);
    }
}

// Plain images are those of nhwc after a copy; few pixels and a long sum are split.
TEST_F(GpuKernelsOfTensorCores, TakePlainImagesAndSplitLongSums) {
    for (const char* line :
         {"conv2d n3 c20 h7 w9 k36 r3 pad1 relu leaves2 bf16", "conv2d n2 c232 h5 k20 r3 pad1 relu leaves2 bf16"})
        for (const LayerProblem& problem : parse_problem(line, "test"))
            if (problem.in[0].layout == Layout::plain && problem.out[0].layout == Layout::plain)
                compare(problem, DataKind::random);
    EXPECT_EQ(compared_, 6);
}

// Parameters and their gradients lie in flat buffers, where an address need not be a multiple of 16 bytes: other kernels,
// the same bits.
TEST_F(GpuKernelsOfTensorCores, HaveTheSameBitsAtAnyAddress) {
    for (const char* line : {"linear n5 f72 k20 leaves2 bf16", "conv2d n2 c16 h5 w7 k20 r1 leaves2 bf16"})
        for (const LayerProblem& plain : parse_problem(line, "test")) {
            const LayerProblem problem = in_nhwc(plain);
            if (problem.in[0].layout == Layout::nchw16c || problem.out[0].layout == Layout::nchw16c) continue;
            for (const Kernel* const kernel : rows_for(problem)) {
                SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
                ProblemData data(problem, DataKind::random, 7);
                const std::vector<float> aligned = result_of(*kernel, data, 0);
                EXPECT_EQ(
                    std::memcmp(shifted_result_of(*kernel, data).data(), aligned.data(), aligned.size() * sizeof(float)), 0);
            }
        }
}

}  // namespace
}  // namespace xbench
