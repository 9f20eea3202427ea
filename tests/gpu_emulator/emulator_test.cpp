// The emulated GPU through the driver API alone, as the product uses it: right results, faults that are reported with their
// clean twins that are not, late streams, graphs.
#include <cuda.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

template <class F>
F* symbol(const char* name) {
    static void* const library = dlopen(XB_EMULATOR, RTLD_NOW | RTLD_GLOBAL);
    if (!library) throw std::runtime_error(dlerror());
    void* const found = dlsym(library, name);
    if (!found) throw std::runtime_error(std::string("no ") + name);
    return reinterpret_cast<F*>(found);
}
#define XB_TEXT_OF(name) #name
#define XB_TEXT(name)    XB_TEXT_OF(name)
#define XB_CU(function)  (*symbol<decltype(function)>(XB_TEXT(function)))

class Emulator : public testing::Test {
protected:
    static void SetUpTestSuite() {
        ASSERT_EQ(XB_CU(cuInit)(0), CUDA_SUCCESS);
        CUcontext context;
        ASSERT_EQ(XB_CU(cuDevicePrimaryCtxRetain)(&context, 0), CUDA_SUCCESS);
        ASSERT_EQ(XB_CU(cuCtxSetCurrent)(context), CUDA_SUCCESS);
        std::stringstream text;
        text << std::ifstream(XB_PTX).rdbuf();
        ASSERT_EQ(XB_CU(cuModuleLoadData)(&module, text.str().c_str()), CUDA_SUCCESS);
    }
    void TearDown() override { mode(false); }
    static void mode(bool races) { symbol<void(int, int, int)>("emu_mode")(races, 0, 1); }
    static unsigned long long reports() { return symbol<unsigned long long()>("emu_reports")(); }

    static CUdeviceptr allocate(size_t bytes) {
        CUdeviceptr address = 0;
        EXPECT_EQ(XB_CU(cuMemAlloc)(&address, bytes), CUDA_SUCCESS);
        return address;
    }
    template <class T>
    static CUdeviceptr upload(const std::vector<T>& values) {
        const CUdeviceptr address = allocate(values.size() * sizeof(T));
        EXPECT_EQ(XB_CU(cuMemcpyHtoD)(address, values.data(), values.size() * sizeof(T)), CUDA_SUCCESS);
        return address;
    }
    template <class T>
    static std::vector<T> download(CUdeviceptr address, size_t count) {
        std::vector<T> values(count);
        EXPECT_EQ(XB_CU(cuMemcpyDtoH)(values.data(), address, count * sizeof(T)), CUDA_SUCCESS);
        return values;
    }
    template <class... A>
    static CUresult launch(const char* name, unsigned blocks, unsigned threads, CUstream stream, A... arguments) {
        CUfunction function;
        EXPECT_EQ(XB_CU(cuModuleGetFunction)(&function, module, name), CUDA_SUCCESS) << name;
        void* pointers[] = {&arguments..., nullptr};
        return XB_CU(cuLaunchKernel)(function, blocks, 1, 1, threads, 1, 1, 0, stream, pointers, nullptr);
    }
    // Reports of one launch; a fault that ended it is forgiven.
    template <class... A>
    static unsigned long long reports_of(const char* name, unsigned blocks, unsigned threads, A... arguments) {
        const unsigned long long before = reports();
        launch(name, blocks, threads, nullptr, arguments...);
        XB_CU(cuCtxSynchronize)();
        symbol<void()>("emu_forgive")();
        return reports() - before;
    }

    static CUmodule module;
};
CUmodule Emulator::module = nullptr;

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

TEST_F(Emulator, ReportsSeededFaultsAndNotTheirTwins) {
    const CUdeviceptr x = upload(std::vector<float>(4096)), y = upload(std::vector<float>(4096)),
                      small = upload(std::vector<float>(1000));
    mode(false);
    EXPECT_GT(reports_of("unbounded", 4, 256, 1000, small), 0u);
    EXPECT_EQ(reports_of("bounded", 4, 256, 1000, small), 0u);
    EXPECT_GT(reports_of("partly_written", 1, 64, x), 0u);
    EXPECT_EQ(reports_of("fully_written", 1, 64, x), 0u);
    EXPECT_GT(reports_of("divergent_barrier", 1, 64, x), 0u);
    EXPECT_GT(reports_of("absent_lanes", 1, 32, x), 0u);
    EXPECT_EQ(reports_of("present_lanes", 1, 32, x), 0u);
    EXPECT_GT(reports_of("unawaited", 1, 64, x, y), 0u);
    EXPECT_EQ(reports_of("awaited", 1, 64, x, y), 0u);
    EXPECT_GT(reports_of("misaligned", 1, 64, x), 0u);
    EXPECT_EQ(reports_of("aligned", 1, 64, x), 0u);
    EXPECT_GT(reports_of("bounded", 4, 256, 1000, allocate(64)), 0u) << "an allocation that is too small";
}

TEST_F(Emulator, FindsRacesInSharedMemory) {
    const CUdeviceptr x = upload(std::vector<float>(4096));
    mode(true);
    EXPECT_GT(reports_of("without_barrier", 1, 128, x), 0u);
    EXPECT_EQ(reports_of("with_barrier", 1, 128, x), 0u);
    EXPECT_EQ(reports_of("block_sums", 4, 256, 1000, x, x + 8192), 0u);
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
