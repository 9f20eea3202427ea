// The emulated GPU through the driver API alone, as the product uses it: right results, faults that are reported with their
// clean twins that are not, late streams, graphs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/gpu_emulator/test_gpu.h"

namespace {

class Emulator : public GpuTest {
protected:
    void SetUp() override {
        GpuTest::SetUp();
        load(XB_PTX);
    }
    static void mode(bool races) { set_mode(races ? Mode::race : Mode::plain); }
};

TEST_F(Emulator, RunsWhatNvccEmits) {
    constexpr int n = 1000;
    std::vector<float> x(n), y(n);
    for (int i = 0; i < n; ++i) x[static_cast<size_t>(i)] = static_cast<float>(i), y[static_cast<size_t>(i)] = 1;
    const CUdeviceptr dx = upload(x), dy = upload(y), sums = allocate(4 * sizeof(float));
    ASSERT_EQ(launch("saxpy", 4, 256, nullptr, n, 2.0f, dx, dy), CUDA_SUCCESS);
    ASSERT_EQ(launch("block_sums", 4, 256, nullptr, n, dy, sums), CUDA_SUCCESS);
    EXPECT_EQ(download<float>(dy, n)[999], 1999);
    float total = 0;
    for (const float sum : download<float>(sums, 4)) total += sum;
    EXPECT_EQ(total, 1000.0f * 1000.0f);  // of 2 i + 1
}

TEST_F(Emulator, BlocksMayRunOnThreads) {
    const CUdeviceptr sum = upload(std::vector<float>(1)), y = upload(std::vector<float>(1 << 16, 1)),
                      x = upload(std::vector<float>(1 << 16, 3));
    symbol<void(int)>("emu_threads")(4);
    EXPECT_EQ(launch("blocks_add_atomically", 500, 32, nullptr, sum), CUDA_SUCCESS);
    EXPECT_EQ(launch("saxpy", 256, 256, nullptr, 1 << 16, 2.0f, x, y), CUDA_SUCCESS);
    EXPECT_GT(reports_of("unbounded", 1024, 256, 1 << 16, x), 0u);
    symbol<void(int)>("emu_threads")(1);
    EXPECT_EQ(download<float>(sum, 1)[0], 500);
    EXPECT_EQ(download<float>(y, 1 << 16), std::vector<float>(1 << 16, 7));
}

TEST_F(Emulator, LanesThatPartMeetAgain) {
    const CUdeviceptr steps = allocate(200 * sizeof(int));
    ASSERT_EQ(launch("collatz", 2, 128, nullptr, 200, steps), CUDA_SUCCESS);
    const std::vector<int> counted = download<int>(steps, 200);
    for (unsigned start = 1; start <= 200; ++start) {
        int count = 0;
        for (unsigned x = start; x != 1; x = x % 2 ? 3 * x + 1 : x / 2) ++count;
        EXPECT_EQ(counted[start - 1], count) << start;
    }
}

TEST_F(Emulator, FunctionsAreCalled) {
    constexpr size_t n = 64;
    std::vector<double> x(n), y(n);
    for (size_t i = 0; i < n; ++i) x[i] = 0.37 * static_cast<double>(i + 1), y[i] = static_cast<double>(i % 9) - 3.5;
    const CUdeviceptr dz = allocate(n * sizeof(double));
    const auto halvings = [](double value, int limit) {
        int count = 0;
        while (value > 1 && count < limit) value /= 2, ++count;
        return count;
    };
    ASSERT_EQ(launch("calls_functions", 1, n, nullptr, upload(x), upload(y), dz), CUDA_SUCCESS);
    const std::vector<double> z = download<double>(dz, n);
    for (size_t i = 0; i < n; ++i) {
        const double right =
            i % 3 == 0 ? std::pow(x[i], y[i]) : halvings(x[i], 7) + (i % 3 == 1 ? halvings(x[i] * y[i], 50) : 0);
        EXPECT_NEAR(z[i], right, 1e-14 * std::fabs(right)) << i;
    }
}

// y = called(x): a function that is defined behind the kernel and, for odd numbers, called under a guard.
constexpr const char* calling = R"(.version 8.0
.target sm_80
.address_size 64
.func (.param .b32 result) FUNCTION (.param .b32 number);
.visible .entry calls(.param .u64 x, .param .u64 y)
{
    .reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd3, %r1, 4;
    add.s64 %rd1, %rd1, %rd3;
    add.s64 %rd2, %rd2, %rd3;
    ld.global.u32 %r2, [%rd1];
    and.b32 %r3, %r2, 1;
    setp.eq.u32 %p1, %r3, 1;
    {
        .param .b32 given;
        .param .b32 back;
        st.param.b32 [given], %r2;
        st.param.b32 [back], 7;
        @%p1 call (back), CALLED, (given);
        ld.param.b32 %r2, [back];
    }
    st.global.u32 [%rd2], %r2;
    ret;
}
.func (.param .b32 result) FUNCTION (.param .b32 number)
{
    .reg .b32 %r<3>;
    ld.param.b32 %r1, [number];
    BODY
    st.param.b32 [result], %r1;
    ret;
}
)";

CUresult load_calling(const std::string& called, const std::string& body, CUmodule* module) {
    std::string text = calling;
    const auto replace = [&](const std::string& word, const std::string& by) {
        for (size_t at; (at = text.find(word)) != std::string::npos;) text.replace(at, word.size(), by);
    };
    replace("CALLED", called);
    replace("BODY", body);
    replace("FUNCTION", "triple");
    return XB_CU(cuModuleLoadData)(module, text.c_str());
}

TEST_F(Emulator, FunctionsThatItCannotCallAreRefusedByName) {
    struct Case {
        const char *called, *body, *words;
    };
    const Case cases[] = {{"from_elsewhere", "", "function from_elsewhere, which the module does not define"},
                          {"%rd3", "", "a call through the pointer %rd3"},
                          {"triple", "{ .param .b32 a; .param .b32 b; call (b), triple, (a); }", "triple calls itself"},
                          {"triple", "{ .param .b32 b; call (b), triple; }", "other parameters"},
                          {"triple", "call (%r2), triple, (%r1);", "not in .param space"}};
    set_mode(Mode::plain);
    for (const Case& one : cases) {
        const unsigned long long before = reports();
        EXPECT_EQ(load_calling(one.called, one.body, &module), CUDA_ERROR_INVALID_PTX) << one.words;
        EXPECT_EQ(reports(), before + 1);
        EXPECT_NE(last_report().find(one.words), std::string::npos) << last_report();
    }
    const unsigned long long before = reports();
    ASSERT_EQ(load_calling("triple", "mul.lo.u32 %r1, %r1, 3;", &module), CUDA_SUCCESS) << last_report();
    std::vector<int> x(32);
    for (int i = 0; i < 32; ++i) x[static_cast<size_t>(i)] = i;
    const CUdeviceptr dy = allocate(32 * sizeof(int));
    ASSERT_EQ(launch("calls", 1, 32, nullptr, upload(x), dy), CUDA_SUCCESS);
    const std::vector<int> y = download<int>(dy, 32);
    for (int i = 0; i < 32; ++i) EXPECT_EQ(y[static_cast<size_t>(i)], i % 2 ? 3 * i : 7) << i;
    EXPECT_EQ(reports(), before) << last_report();
}

uint32_t bf16_pair(float low, float high) {
    uint32_t a, b;
    std::memcpy(&a, &low, 4);
    std::memcpy(&b, &high, 4);
    return a >> 16 | (b & 0xffff0000u);
}

TEST_F(Emulator, TensorCoresMultiplyTiles) {
    const auto a = [](int row, int k) { return static_cast<float>((row * 3 + k) % 7 - 3); };
    const auto b = [](int k, int column) { return static_cast<float>((k + 5 * column) % 9 - 4); };
    std::vector<uint32_t> as(16 * 8), bs(8 * 8);
    for (int row = 0; row < 16; ++row)
        for (int k = 0; k < 16; k += 2) as[static_cast<size_t>(row * 8 + k / 2)] = bf16_pair(a(row, k), a(row, k + 1));
    for (int column = 0; column < 8; ++column)
        for (int k = 0; k < 16; k += 2)
            bs[static_cast<size_t>(column * 8 + k / 2)] = bf16_pair(b(k, column), b(k + 1, column));
    const CUdeviceptr da = upload(as), db = upload(bs), dc = allocate(16 * 8 * sizeof(float));
    ASSERT_EQ(launch("mma_tile", 1, 32, nullptr, da, db, dc), CUDA_SUCCESS);
    const std::vector<float> c = download<float>(dc, 16 * 8);
    for (int row = 0; row < 16; ++row)
        for (int column = 0; column < 8; ++column) {
            float sum = 0;
            for (int k = 0; k < 16; ++k) sum += a(row, k) * b(k, column);
            EXPECT_EQ(c[static_cast<size_t>(row * 8 + column)], sum) << row << ", " << column;
        }
}

// A kernel with a fault, and its twin without; both get (x) or (x, y).
struct Seeded {
    const char *fault, *twin;
    unsigned blocks, threads;
    bool races;         // it is found in race mode only
    const char* words;  // of the report
};
constexpr Seeded seeded[] = {
    {"partly_written", "fully_written", 1, 64, false, "never written"},
    {"divergent_barrier", "uniform_barrier", 1, 64, false, "barrier in divergent code"},
    {"one_warp_waits", "both_warps_wait", 1, 64, false, "deadlock at a barrier"},
    {"absent_lanes", "present_lanes", 1, 32, false, "wrong mask"},
    {"strange_mask", "right_mask", 1, 32, false, "wrong mask"},
    {"unawaited", "awaited", 1, 64, false, "asynchronous copy not waited for"},
    {"awaits_one_too_few", "awaits_enough", 1, 64, false, "asynchronous copy not waited for"},
    {"misaligned", "aligned", 1, 64, false, "misaligned"},
    {"asserts_too_much", "asserts_what_is", 1, 64, false, "trap"},
    {"past_shared_memory", "inside_shared_memory", 1, 64, false, "out of bounds: shared write"},
    {"without_barrier", "with_barrier", 1, 128, true, "race in shared memory"},
    {"written_too_early", "written_in_time", 1, 128, true, "race in shared memory"},
    {"without_syncwarp", "with_syncwarp", 1, 32, true, "race in shared memory"},
    {"copy_without_barrier", "copy_with_barrier", 1, 64, true, "race in shared memory"},
    {"takes_without_waiting", "hands_over", 1, 64, true, "race in shared memory"},
    {"blocks_write_one_place", "blocks_add_atomically", 2, 32, true, "race in global memory"},
};

TEST_F(Emulator, ReportsSeededFaultsAndNotTheirTwins) {
    const CUdeviceptr x = upload(std::vector<float>(4096)), y = upload(std::vector<float>(4096));
    for (const Seeded& pair : seeded) {
        mode(pair.races);
        EXPECT_GT(reports_of(pair.fault, pair.blocks, pair.threads, x, y), 0u) << pair.fault;
        const std::string text = last_report();
        for (const char* const part : {pair.fault, pair.words, "block (", ", thread ", "PTX line ", "kernels.cu:"})
            EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
        EXPECT_EQ(reports_of(pair.twin, pair.blocks, pair.threads, x, y), 0u) << pair.twin;
    }
    mode(true);
    EXPECT_EQ(reports_of("block_sums", 4, 256, 1000, x, x + 8192), 0u);
}

TEST_F(Emulator, ReportsAccessesOutsideOfAllocations) {
    const CUdeviceptr small = upload(std::vector<float>(1000));
    mode(false);
    EXPECT_GT(reports_of("unbounded", 4, 256, 1000, small), 0u);
    EXPECT_EQ(reports_of("bounded", 4, 256, 1000, small), 0u);
    EXPECT_GT(reports_of("bounded", 4, 256, 1000, allocate(64)), 0u) << "an allocation that is too small";
}

TEST_F(Emulator, ReportsWhatNobodyWrote) {
    const CUdeviceptr fresh = allocate(256), y = upload(std::vector<float>(64));
    mode(false);
    EXPECT_GT(reports_of("copies_its_argument", 1, 64, fresh, y), 0u);
    EXPECT_GT(reports_of("branches_on_its_argument", 1, 64, fresh, y), 0u);
    ASSERT_EQ(XB_CU(cuMemsetD32)(fresh, 5, 64), CUDA_SUCCESS);
    EXPECT_EQ(reports_of("copies_its_argument", 1, 64, fresh, y), 0u);
    EXPECT_EQ(reports_of("branches_on_its_argument", 1, 64, fresh, y), 0u);
}

TEST_F(Emulator, FreedMemoryIsGone) {
    const CUdeviceptr x = upload(std::vector<float>(1000));
    ASSERT_EQ(XB_CU(cuMemFree)(x), CUDA_SUCCESS);
    mode(false);
    EXPECT_GT(reports_of("bounded", 4, 256, 1000, x), 0u);
}

TEST_F(Emulator, StreamsRunLateAndGraphsRunAgain) {
    mode(false);
    const CUdeviceptr x = upload(std::vector<float>(256, 1)), y = upload(std::vector<float>(256, 1));
    CUstream stream;
    ASSERT_EQ(XB_CU(cuStreamCreate)(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuStreamBeginCapture)(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    ASSERT_EQ(launch("saxpy", 1, 256, stream, 256, 1.0f, x, y), CUDA_SUCCESS);
    std::vector<float> result(256, -1);
    ASSERT_EQ(XB_CU(cuMemcpyDtoHAsync)(result.data(), y, 256 * sizeof(float), stream), CUDA_SUCCESS);
    CUgraph graph;
    CUgraphExec exec;
    ASSERT_EQ(XB_CU(cuStreamEndCapture)(stream, &graph), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuGraphInstantiateWithFlags)(&exec, graph, 0), CUDA_SUCCESS);
    for (int run = 0; run < 3; ++run) ASSERT_EQ(XB_CU(cuGraphLaunch)(exec, stream), CUDA_SUCCESS);
    EXPECT_EQ(result[0], -1) << "nothing has waited for the stream";
    ASSERT_EQ(XB_CU(cuStreamSynchronize)(stream), CUDA_SUCCESS);
    EXPECT_EQ(result[0], 4);
}

}  // namespace
