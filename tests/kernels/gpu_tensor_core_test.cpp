// The rows of the tensor cores against the double-precision reference: the problems of convolutions and linear layers whose
// products are bf16, in each type of products and each order of the filters, and others in one. In every mode of the
// emulated GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "gpu_rows.h"

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

class GpuKernelsOfTensorCores : public GpuRows {
protected:
    std::vector<float> result_of(const Kernel& kernel, ProblemData& data, int output) {
        compute_on(*device_, kernel, data);
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
    void compare_halves(const LayerProblem& whole) {
        const auto rows = rows_for(whole);
        ASSERT_FALSE(rows.empty()) << whole.text();
        for (const Kernel* const kernel : rows)
            EXPECT_EQ(difference_when_split(*device_, *kernel, whole), "") << row_name(*kernel) << "\n  " << whole.text();
    }
};

TEST_F(GpuKernelsOfTensorCores, AgreeWithTheReference) {
    for (const LayerProblem& problem : tensor_core_problems()) compare_rows(problem, DataKind::random);
    EXPECT_GT(compared_, 200);
}

TEST_F(GpuKernelsOfTensorCores, AreExactOnSmallIntegers) {
    for (const LayerProblem& problem : tensor_core_problems())
        if (products_of(problem.problem()) == DType::f16) compare_rows(problem, DataKind::exact);
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
        compare_rows(nhwc, DataKind::random);
        if (problem.op != OpKind::conv2d_statistics && problem.op != OpKind::conv2d_pool) continue;
        for (const DType products : {DType::bf16, DType::f16, DType::tf32})
            compare_rows(with_plain_filters(in_products(nhwc, products)), DataKind::random);
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
            compare_rows(first, DataKind::random);
    }
    EXPECT_GT(compared_, 20);
}

// Partial sums of parts of images, of leaves, and of splits of K; halves of a batch are what two ranks have.
TEST_F(GpuKernelsOfTensorCores, HaveTheSameBitsForAnySplitOfTheBatch) {
    for (const char* line : {"c16 h9 w11 k20 r3 pad1", "c8 h24 w23 k12 r3 pad1 stride2", "c20 h6 k36 r3 pad1",
                             "c232 h5 k20 r3 pad1", "c5 h9 w11 k7 r3", "c40 h19 w7 k72 r3 pad2"})
        for (const LayerProblem& whole : parse_problem(std::string("conv2d n8 leaves8 bf16 ") + line, "test"))
            if (whole.in[0].layout == Layout::plain && whole.out[0].layout == Layout::plain)
                compare_halves(with_plain_filters(in_nhwc(whole)));
    for (const char* line : {"f72 k20", "f2100 k8"})
        for (const LayerProblem& whole : parse_problem(std::string("linear n8 leaves8 tf32 ") + line, "test"))
            compare_halves(whole);
}

// Plain images are those of nhwc after a copy; few pixels and a long sum are split.
TEST_F(GpuKernelsOfTensorCores, TakePlainImagesAndSplitLongSums) {
    for (const char* line :
         {"conv2d n3 c20 h7 w9 k36 r3 pad1 relu leaves2 bf16", "conv2d n2 c232 h5 k20 r3 pad1 relu leaves2 bf16"})
        for (const LayerProblem& problem : parse_problem(line, "test"))
            if (problem.in[0].layout == Layout::plain && problem.out[0].layout == Layout::plain)
                compare_rows(problem, DataKind::random);
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
