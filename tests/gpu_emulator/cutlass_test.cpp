// The emulated GPU on CUTLASS (cutlass.cu): products and a convolution as an HPC library has them, with multistage cp.async,
// ldmatrix, mma.sync and swizzled shared memory; right results, and no report in any mode. Skipped where the headers are
// not.
#include <gtest/gtest.h>

#include "tests/gpu_emulator/foreign_values.h"
#include "tests/gpu_emulator/test_gpu.h"

namespace {

class Cutlass : public GpuTest {
protected:
    void SetUp() override {
#ifdef XB_CUTLASS_PTX
        GpuTest::SetUp();
        load(XB_CUTLASS_PTX);
#else
        GTEST_SKIP() << "no headers of CUTLASS when this was built: scripts/install_deps.sh --cutlass fetches them";
#endif
    }
    void TearDown() override {
        if (module) GpuTest::TearDown();
    }
    // Blocks of 64 x 64 of the result, in all modes.
    template <class... A>
    void run(const std::string& name, int rows, int columns, A... arguments) {
        CUdeviceptr needs = 0;
        ASSERT_EQ(XB_CU(cuModuleGetGlobal)(&needs, nullptr, module, (name + "_needs").c_str()), CUDA_SUCCESS);
        const std::vector<int> of_block = download<int>(needs, 2);
        const CUfunction kernel = function(name.c_str());
        ASSERT_EQ(XB_CU(cuFuncSetAttribute)(kernel, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, of_block[1]),
                  CUDA_SUCCESS);
        void* pointers[] = {&arguments...};
        const auto blocks = [](int count) { return static_cast<unsigned>((count + 63) / 64); };
        for (const Mode mode : {Mode::plain, Mode::race, Mode::counts}) {
            set_mode(mode);
            const unsigned long long before = reports();
            ASSERT_EQ(XB_CU(cuLaunchKernel)(kernel, blocks(rows), blocks(columns), 1, static_cast<unsigned>(of_block[0]), 1,
                                            1, static_cast<unsigned>(of_block[1]), nullptr, pointers, nullptr),
                      CUDA_SUCCESS)
                << name << ": " << last_report();
            EXPECT_EQ(reports(), before) << name << ": " << last_report();
        }
    }
};

float right_turned(int column, int k) { return right(k, column); }

TEST_F(Cutlass, ProductsAreRight) {
    constexpr int m = 100, n = 72, k = 104;  // no whole tiles
    struct Case {
        const char* name;
        uint16_t (*as)(float);  // null: f32
        bool by_columns;        // b
    };
    for (const Case& one : {Case{"cutlass_fp16", as_f16, true}, Case{"cutlass_bf16", as_bf16, false},
                            Case{"cutlass_tf32", nullptr, true}, Case{"cutlass_simt", nullptr, false}}) {
        const int rows_of_b = one.by_columns ? n : k, columns_of_b = one.by_columns ? k : n;
        const auto values_of_b = one.by_columns ? right_turned : right;
        const CUdeviceptr a =
            one.as ? upload(stored<uint16_t>(m, k, left, one.as)) : upload(stored<float>(m, k, left, as_f32));
        const CUdeviceptr b = one.as ? upload(stored<uint16_t>(rows_of_b, columns_of_b, values_of_b, one.as))
                                     : upload(stored<float>(rows_of_b, columns_of_b, values_of_b, as_f32));
        const CUdeviceptr c = allocate(m * n * sizeof(float));
        run(one.name, m, n, a, b, c, m, n, k);
        const std::vector<float> made = download<float>(c, m * n);
        for (int i = 0; i < m * n; ++i) {
            float sum = 0;
            for (int d = 0; d < k; ++d) sum += left(i / n, d) * right(d, i % n);
            ASSERT_EQ(made[static_cast<size_t>(i)], sum) << one.name << ", element " << i;
        }
    }
}

TEST_F(Cutlass, AConvolutionIsRight) {
    constexpr int images = 2, h = 11, channels = 16, filters = 24, p = (h + 1) / 2, taps = 9;
    const auto x = stored<uint16_t>(images * h * h, channels, left, as_f16);
    const auto w = stored<uint16_t>(filters, taps * channels, right, as_f16);
    const CUdeviceptr y = allocate(images * p * p * filters * sizeof(float));
    run("cutlass_conv", images * p * p, filters, upload(x), upload(w), y, images, h, channels, filters);
    const std::vector<float> made = download<float>(y, images * p * p * filters);
    for (int at = 0; at < images * p * p * filters; ++at) {
        const int filter = at % filters, q = at / filters % p, row = at / filters / p % p, image = at / filters / p / p;
        float sum = 0;
        for (int tap = 0; tap < taps; ++tap) {
            const int i = 2 * row + tap / 3 - 1, j = 2 * q + tap % 3 - 1;
            if (i < 0 || j < 0 || i >= h || j >= h) continue;
            for (int c = 0; c < channels; ++c) sum += left((image * h + i) * h + j, c) * right(filter, tap * channels + c);
        }
        ASSERT_EQ(made[static_cast<size_t>(at)], sum) << "element " << at;
    }
}

}  // namespace
