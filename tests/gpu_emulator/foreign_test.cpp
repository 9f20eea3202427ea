// The emulated GPU on code that nobody of this project wrote (foreign.cu: CUB; Triton; cutlass_test.cpp has CUTLASS): right
// results, and no report in any mode.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "tests/gpu_emulator/foreign_values.h"
#include "tests/gpu_emulator/test_gpu.h"

namespace {

constexpr int threads = 128, items = 4, count = threads * items;
using Values = std::vector<int>;

Values sorted_in(const Values& x, int group) {
    Values y = x;
    for (int i = 0; i < count; i += group) std::sort(y.begin() + i, y.begin() + i + group);
    return y;
}
Values prefix_sums(const Values& x) {
    Values y(count);
    std::partial_sum(x.begin(), x.end(), y.begin());
    return y;
}
Values histogram(const Values& x) {
    Values y(16);
    for (const int value : x) ++y[static_cast<size_t>(value & 15)];
    return y;
}
Values compared_with_left(const Values& x, const std::function<int(int, int)>& f, int first) {
    Values y(count, first);
    for (size_t i = 1; i < count; ++i) y[i] = f(x[i], x[i - 1]);
    return y;
}
Values moved_up(const Values& x) {
    Values y(count, -1);
    std::copy(x.begin(), x.end() - 1, y.begin() + 1);
    return y;
}
Values largest_of_warps(const Values& x) {
    Values y;
    for (int w = 0; w < threads; w += 32) y.push_back(*std::max_element(x.begin() + w, x.begin() + w + 32));
    return y;
}
Values sums_before_in_eights(const Values& x) {
    Values y(threads);
    for (size_t i = 0; i < threads; ++i) y[i] = i % 8 == 0 ? 0 : y[i - 1] + x[i - 1];
    return y;
}

struct Foreign {
    const char* name;
    std::function<Values(const Values&)> right;
};
const Foreign foreign[] = {
    {"block_reduce", [](const Values& x) { return Values{std::accumulate(x.begin(), x.end(), 0)}; }},
    {"block_reduce_raking", [](const Values& x) { return Values{std::accumulate(x.begin(), x.end(), 0)}; }},
    {"block_scan", prefix_sums},
    {"block_scan_raking", prefix_sums},
    {"block_radix_sort", [](const Values& x) { return sorted_in(x, count); }},
    {"block_merge_sort", [](const Values& x) { return sorted_in(x, count); }},
    {"warp_merge_sort", [](const Values& x) { return sorted_in(x, 32 * items); }},
    {"block_exchange", [](const Values& x) { return x; }},
    {"block_histogram", histogram},
    {"block_discontinuity",
     [](const Values& x) {
         return compared_with_left(
             x, [](int a, int b) { return a != b; }, 1);
     }},
    {"block_difference",
     [](const Values& x) {
         return compared_with_left(
             x, [](int a, int b) { return a - b; }, x[0]);
     }},
    {"block_shuffle", moved_up},
    {"warp_reduce", largest_of_warps},
    {"warp_scan", sums_before_in_eights},
};

class ForeignKernels : public GpuTest {};

TEST_F(ForeignKernels, AreRightAndClean) {
    load(XB_FOREIGN_PTX);
    Values x(count);
    for (size_t i = 0; i < count; ++i) x[i] = static_cast<int>(i * 2654435761u >> 20) % 50;
    const CUdeviceptr dx = upload(x);
    for (const Foreign& kernel : foreign)
        for (const Mode mode : {Mode::plain, Mode::race, Mode::counts}) {
            set_mode(mode);
            const CUdeviceptr dy = allocate(count * sizeof(int));
            const unsigned long long before = reports();
            ASSERT_EQ(launch(kernel.name, 1, threads, nullptr, dx, dy), CUDA_SUCCESS) << kernel.name;
            ASSERT_EQ(XB_CU(cuCtxSynchronize)(), CUDA_SUCCESS) << kernel.name << ": " << last_report();
            const Values right = kernel.right(x);
            EXPECT_EQ(download<int>(dy, right.size()), right) << kernel.name;
            EXPECT_EQ(reports(), before) << last_report();
        }
}

// Triton's code for products and softmax (triton/make_ptx.py), of sm_80 by mma.sync and of sm_90 by wgmma.
class Triton : public GpuTest {
protected:
    void load_for(int capability, const std::string& name) {
        symbol<void(int)>("emu_capability")(capability);
        const std::string file = std::string(XB_TRITON) + name + "_sm" + std::to_string(capability) + ".ptx";
        load(file.c_str());
        std::string first;
        std::ifstream text(file);
        std::getline(text, first);
        shared_bytes = std::stoi(first.substr(first.rfind(' ')));
    }
    template <class... A>
    void run(const char* name, unsigned gx, unsigned gy, A... arguments) {
        CUdeviceptr scratch = 0, profile = 0;
        void* pointers[] = {&arguments..., &scratch, &profile};
        ASSERT_EQ(XB_CU(cuFuncSetAttribute)(function(name), CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes),
                  CUDA_SUCCESS);
        const unsigned long long before = reports();
        ASSERT_EQ(XB_CU(cuLaunchKernel)(function(name), gx, gy, 1, 128, 1, 1, static_cast<unsigned>(shared_bytes), nullptr,
                                        pointers, nullptr),
                  CUDA_SUCCESS)
            << last_report();
        EXPECT_EQ(reports(), before) << last_report();
    }
    void TearDown() override {
        symbol<void(int)>("emu_capability")(80);
        symbol<void()>("emu_forgive")();
        GpuTest::TearDown();
    }
    int shared_bytes = 0;
};

TEST_F(Triton, ProductsAreRight) {
    constexpr int n = 96;  // one and a half tiles
    for (const int capability : {80, 90})
        for (const std::string type : {"bf16", "fp16", "fp32"})
            for (const Mode mode : {Mode::plain, Mode::race, Mode::counts}) {
                load_for(capability, "product_" + type);
                set_mode(mode);
                const bool full = type == "fp32";
                const auto as16 = type == "bf16" ? as_bf16 : as_f16;
                const CUdeviceptr a =
                    full ? upload(stored<float>(n, n, left, as_f32)) : upload(stored<uint16_t>(n, n, left, as16));
                const CUdeviceptr b =
                    full ? upload(stored<float>(n, n, right, as_f32)) : upload(stored<uint16_t>(n, n, right, as16));
                const CUdeviceptr c = allocate(n * n * sizeof(float));
                run("product", 2, 2, a, b, c, n);
                const std::vector<float> made = download<float>(c, n * n);
                for (int i = 0; i < n * n; ++i) {
                    float sum = 0;
                    for (int k = 0; k < n; ++k) sum += left(i / n, k) * right(k, i % n);
                    ASSERT_EQ(made[static_cast<size_t>(i)], sum) << type << " sm_" << capability << ", element " << i;
                }
            }
}

TEST_F(Triton, SoftmaxIsRight) {
    constexpr int n = 200, rows = 3;
    for (const int capability : {80, 90}) {
        load_for(capability, "softmax");
        std::vector<float> x;
        for (int i = 0; i < rows * n; ++i) x.push_back(static_cast<float>(i * 37 % 64) / 8);
        const CUdeviceptr dx = upload(x), dy = allocate(rows * n * sizeof(float));
        run("softmax", rows, 1, dx, dy, n);
        const std::vector<float> y = download<float>(dy, rows * n);
        for (int row = 0; row < rows; ++row) {
            double sum = 0;
            for (int i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[static_cast<size_t>(row * n + i)]));
            for (int i = 0; i < n; ++i) {
                const auto at = static_cast<size_t>(row * n + i);
                EXPECT_NEAR(y[at], std::exp(static_cast<double>(x[at])) / sum, 1e-6) << row << ", " << i;
            }
        }
    }
}

}  // namespace
