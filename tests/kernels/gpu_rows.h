// What the tests of rows for CUDA share: a device, the emulated GPU's reports, calls of rows that support a problem against
// the double-precision reference, and calls of a batch and of its halves.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/cuda/devices.h"
#include "kernels/leaf_tree.h"
#include "kernels/op.h"
#include "kernels/products.h"
#include "problems.h"

namespace xbench {

// Of layouts that hold image after image: the images of leaves first_leaf .. last_leaf - 1 of a call, what one of several
// GPUs would be given.
inline ProblemData part_of(const ProblemData& whole, int32_t first_leaf, int32_t last_leaf) {
    LayerProblem problem = whole.problem();
    const int32_t first = problem.leaf_begin[static_cast<size_t>(first_leaf)];
    problem.leaf_begin.assign(problem.leaf_begin.begin() + first_leaf, problem.leaf_begin.begin() + last_leaf + 1);
    for (int32_t& begin : problem.leaf_begin) begin -= first;
    const Operands& operands = operands_of(problem.op);
    for (size_t i = 0; i < problem.in.size(); ++i)
        if (operands.in[i].per_image && problem.in[i].rank > 0) problem.in[i].dim[0] = problem.leaf_begin.back();
    for (size_t i = 0; i < problem.out.size(); ++i)
        if (operands.out[i].per_image && problem.out[i].rank > 0) problem.out[i].dim[0] = problem.leaf_begin.back();
    ProblemData part(problem, DataKind::random, 1);
    for (size_t i = 0; i < problem.in.size(); ++i) {
        const KernelTensor &from = whole.args().in[i], &to = part.args().in[i];
        if (to.rank == 0) continue;
        const int64_t image = stored_bytes_of(to) / to.dim[0];
        std::memcpy(to.data, static_cast<const char*>(from.data) + (operands.in[i].per_image ? first * image : 0),
                    static_cast<size_t>(stored_bytes_of(to)));
    }
    part.step().sample_ids = whole.args().step->sample_ids + first;
    part.step().global_batch = whole.args().step->global_batch;
    part.step().inverse_batch = whole.args().step->inverse_batch;
    return part;
}

// The same call of a rank whose leaves are all empty.
inline LayerProblem without_images(LayerProblem problem) {
    const Operands& operands = operands_of(problem.op);
    std::fill(problem.leaf_begin.begin(), problem.leaf_begin.end(), 0);
    for (size_t i = 0; i < problem.in.size(); ++i)
        if (operands.in[i].per_image && problem.in[i].rank > 0) problem.in[i].dim[0] = 0;
    for (size_t i = 0; i < problem.out.size(); ++i)
        if (operands.out[i].per_image && problem.out[i].rank > 0) problem.out[i].dim[0] = 0;
    return problem;
}

// Output o of a batch against that of its halves: their images one after the other, or the sum of both, which is the root of
// the tree over leaves. "" or what differs.
inline std::string difference_of_output(const ProblemData& whole, const ProblemData& left, const ProblemData& right,
                                        size_t o) {
    const KernelTensor &all = whole.args().out[o], &a = left.args().out[o], &b = right.args().out[o];
    const bool per_image = operands_of(whole.problem().op).out[o].per_image;
    for (int64_t i = 0; i < elements_of(all); ++i) {
        const int64_t of_left = elements_of(a);
        const double sum = per_image ? i < of_left ? element(a, i) : element(b, i - of_left) : element(a, i) + element(b, i);
        const double expected = all.dtype == DType::f32 ? static_cast<double>(static_cast<float>(sum)) : sum;
        if (element(all, i) != expected)
            return "output " + std::to_string(o) + ", element " + std::to_string(i) + " of the batch is " +
                   std::to_string(element(all, i)) + ", of its halves " + std::to_string(expected);
    }
    return "";
}

inline void compute_on(Device& device, const Kernel& kernel, ProblemData& data) {
    data.reset_outputs();
    DeviceData there(data, kernel, device, false);
    there.launch();
    there.fetch();
}

// Whether two GPUs with half of the leaves each make the bits of one with all of them. "" or what differs.
inline std::string difference_when_split(Device& device, const Kernel& kernel, const LayerProblem& problem) {
    const auto leaves = static_cast<int32_t>(problem.leaf_begin.size()) - 1;
    ProblemData whole(problem, DataKind::random, 9);
    ProblemData left = part_of(whole, 0, leaves / 2), right = part_of(whole, leaves / 2, leaves);
    for (ProblemData* const data : {&whole, &left, &right}) compute_on(device, kernel, *data);
    for (size_t o = 0; o < problem.out.size(); ++o)
        if (problem.out[o].rank > 0)
            if (const std::string what = difference_of_output(whole, left, right, o); !what.empty()) return what;
    return "";
}

// A sum of `count` addends over ranks against that of the CPU, bit by bit. "" or what differs.
inline std::string difference_of_sum(Device& device, int count) {
    constexpr size_t elements = 1003, bytes = elements * sizeof(float);
    std::vector<std::vector<float>> here;
    std::vector<AlignedBuffer> there;
    std::vector<const float*> from_here, from_there;
    std::vector<uint8_t> merges;
    Random random(7, RandomUse::test_data, static_cast<uint32_t>(count));
    for (int k = 0; k < count; ++k) {
        here.emplace_back();
        for (size_t i = 0; i < elements; ++i) here.back().push_back(random.uniform(-1, 1));
        there.push_back(device.allocate(bytes));
        device.copy(there.back().data(), here.back().data(), bytes);
        merges.push_back(static_cast<uint8_t>(leaf_tree_merges(k)));
    }
    for (int k = 0; k < count; ++k) from_here.push_back(here[static_cast<size_t>(k)].data());
    for (const AlignedBuffer& buffer : there) from_there.push_back(buffer.as<float>());
    std::vector<float> expected(elements), actual(elements);
    Cpu().sum({from_here.data(), count, merges.data()}, expected.data(), elements);
    device.sum({from_there.data(), count, merges.data()}, there[0].as<float>(), elements);
    device.copy(actual.data(), there[0].data(), bytes);
    device.wait();
    for (size_t i = 0; i < elements; ++i)
        if (std::memcmp(&actual[i], &expected[i], sizeof(float)) != 0)
            return std::to_string(count) + " addends, element " + std::to_string(i) + " is " + std::to_string(actual[i]) +
                   ", not " + std::to_string(expected[i]);
    return "";
}

// Whether the leaves can be halved, with images in both halves.
inline bool splits(const LayerProblem& problem) {
    const auto leaves = static_cast<int32_t>(problem.leaf_begin.size()) - 1;
    if (leaves < 2 || (leaves & (leaves - 1))) return false;
    const int32_t half = problem.leaf_begin[static_cast<size_t>(leaves / 2)];
    return half > 0 && half < problem.images();
}

class GpuRows : public testing::Test {
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

    // A library rounds operands as it sees fit: its rows are compared where products are in f32.
    std::vector<const Kernel*> rows_for(const LayerProblem& problem) const {
        std::vector<const Kernel*> rows;
        for (const Kernel& kernel : kernel_table())
            if (kernel.op == problem.op && runs_on(kernel, device_->target()) && supports(kernel, problem.problem()) &&
                !(kernel.why_missing && products_of(problem.problem()) != DType::f32))
                rows.push_back(&kernel);
        return rows;
    }
    void compare_rows(const LayerProblem& problem, DataKind kind) {
        const auto rows = rows_for(problem);
        if (rows.empty()) return;
        const ProblemData data(problem, kind, 1);
        const Oracle oracle(data, kind != DataKind::exact);
        for (const Kernel* const kernel : rows) {
            if (kind == DataKind::exact && kernel->error_growth != 1) continue;
            const double k = kind == DataKind::exact ? 0 : tolerance_of(problem, *kernel);
            SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
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

    GpuSystem system_;
    std::unique_ptr<Device> device_;
    unsigned long long reports_ = 0;
    int compared_ = 0;
};

}  // namespace xbench
