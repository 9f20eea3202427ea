// The driver's errors and orders that a product must be ready for.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/gpu_emulator/test_gpu.h"

namespace {

class Driver : public GpuTest {
protected:
    static CUstream stream() {
        CUstream made = nullptr;
        EXPECT_EQ(XB_CU(cuStreamCreate)(&made, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
        return made;
    }
    static CUevent event() {
        CUevent made = nullptr;
        EXPECT_EQ(XB_CU(cuEventCreate)(&made, CU_EVENT_DEFAULT), CUDA_SUCCESS);
        return made;
    }
};

TEST_F(Driver, EventsOrderStreamsAndNothingElseDoes) {
    const CUstream first = stream(), second = stream();
    const CUevent filled = event();
    const CUdeviceptr x = upload(std::vector<int>(1, 1)), y = upload(std::vector<int>(1, 0));
    XB_CU(cuMemsetD32Async)(x, 2, 1, first);
    XB_CU(cuEventRecord)(filled, first);
    // Without a wait the second stream sees what was there before: the first has no reason to run.
    XB_CU(cuMemcpyDtoDAsync)(y, x, 4, second);
    EXPECT_EQ(XB_CU(cuStreamSynchronize)(second), CUDA_SUCCESS);
    EXPECT_EQ(download<int>(y, 1)[0], 1);
    XB_CU(cuStreamWaitEvent)(second, filled, 0);
    XB_CU(cuMemcpyDtoDAsync)(y, x, 4, second);
    EXPECT_EQ(XB_CU(cuStreamSynchronize)(second), CUDA_SUCCESS);
    EXPECT_EQ(download<int>(y, 1)[0], 2);
}

TEST_F(Driver, GraphsKeepDependenciesAndNoMore) {
    const CUstream first = stream(), second = stream();
    const CUevent forked = event(), joined = event();
    const CUdeviceptr x = upload(std::vector<int>(1, 1)), y = upload(std::vector<int>(1, 0));
    ASSERT_EQ(XB_CU(cuStreamBeginCapture)(first, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    XB_CU(cuEventRecord)(forked, first);
    XB_CU(cuStreamWaitEvent)(second, forked, 0);
    XB_CU(cuMemsetD32Async)(x, 2, 1, first);
    XB_CU(cuMemcpyDtoDAsync)(y, x, 4, second);  // nothing says that this comes behind the fill
    XB_CU(cuEventRecord)(joined, second);
    XB_CU(cuStreamWaitEvent)(first, joined, 0);
    CUdeviceptr no_memory = 0;
    CUgraph graph = nullptr;
    CUgraphExec exec = nullptr;
    ASSERT_EQ(XB_CU(cuStreamEndCapture)(first, &graph), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuGraphInstantiate)(&exec, graph, 0), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuGraphLaunch)(exec, first), CUDA_SUCCESS);
    EXPECT_EQ(XB_CU(cuStreamSynchronize)(first), CUDA_SUCCESS);
    EXPECT_EQ(download<int>(y, 1)[0], 1) << "what was captured last runs first where it may";
    EXPECT_EQ(download<int>(x, 1)[0], 2);

    ASSERT_EQ(XB_CU(cuStreamBeginCapture)(first, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    EXPECT_EQ(XB_CU(cuMemAlloc)(&no_memory, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    EXPECT_EQ(XB_CU(cuStreamEndCapture)(first, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    ASSERT_EQ(XB_CU(cuStreamBeginCapture)(first, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    XB_CU(cuEventRecord)(forked, first);
    XB_CU(cuStreamWaitEvent)(second, forked, 0);
    XB_CU(cuMemsetD32Async)(x, 3, 1, second);
    EXPECT_EQ(XB_CU(cuStreamEndCapture)(first, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
}

TEST_F(Driver, HostFunctionsRunInOrder) {
    const CUstream one = stream();
    static std::vector<int> order;
    const auto note = [](void* number) { order.push_back(static_cast<int>(reinterpret_cast<intptr_t>(number))); };
    for (intptr_t n = 0; n < 3; ++n) XB_CU(cuLaunchHostFunc)(one, note, reinterpret_cast<void*>(n));
    EXPECT_TRUE(order.empty());
    EXPECT_EQ(XB_CU(cuStreamQuery)(one), CUDA_ERROR_NOT_READY);
    EXPECT_EQ(XB_CU(cuStreamQuery)(one), CUDA_SUCCESS);
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST_F(Driver, MemoryEnds) {
    size_t free = 0, total = 0;
    ASSERT_EQ(XB_CU(cuMemGetInfo)(&free, &total), CUDA_SUCCESS);
    CUdeviceptr at = 0;
    EXPECT_EQ(XB_CU(cuMemAlloc)(&at, free + 1), CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT_EQ(XB_CU(cuMemAlloc)(&at, 1 << 20), CUDA_SUCCESS);
    unsigned type = 0;
    EXPECT_EQ(XB_CU(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at), CUDA_SUCCESS);
    EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_DEVICE});
    EXPECT_EQ(XB_CU(cuMemFree)(at), CUDA_SUCCESS);
    EXPECT_EQ(XB_CU(cuMemFree)(at), CUDA_ERROR_INVALID_VALUE);
    EXPECT_EQ(XB_CU(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Driver, ThreadWithoutContextIsTold) {
    XB_CU(cuCtxSetCurrent)(nullptr);
    CUdeviceptr at = 0;
    EXPECT_EQ(XB_CU(cuMemAlloc)(&at, 4), CUDA_ERROR_INVALID_CONTEXT);
}

// What the environment asks for holds for a whole process.
// The library reads it once: a fresh copy of this program does the work.
void in_a_process(const char* name, const char* value, const char* work) {
    const pid_t child = fork();
    if (child == 0) {
        setenv(name, value, 1);
        setenv("XB_DRIVER_TEST_WORK", work, 1);
        setenv("XBENCH_GPU_QUIET", "1", 1);
        execl("/proc/self/exe", "test", "--gtest_filter=DriverInAProcess.DoesItsWork", nullptr);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << name << "=" << value << ": " << work;
}

CUresult load_text(const char* target, const char* version) {
    CUcontext context = nullptr;
    CUmodule module = nullptr;
    const std::string text = std::string(".version ") + version + "\n.target " + target +
                             "\n.address_size 64\n.visible .entry nothing()\n{\nret;\n}\n";
    XB_CU(cuInit)(0);
    XB_CU(cuDevicePrimaryCtxRetain)(&context, 0);
    XB_CU(cuCtxSetCurrent)(context);
    const CUresult loaded = XB_CU(cuModuleLoadData)(&module, text.c_str());
    if (loaded != CUDA_SUCCESS) return loaded;
    CUfunction function = nullptr;
    XB_CU(cuModuleGetFunction)(&function, module, "nothing");
    XB_CU(cuLaunchKernel)(function, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr);
    return XB_CU(cuLaunchKernel)(function, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr);
}

// What a kernel on device 0 does wrong is the end of device 0 alone, and of nobody who waits for it.
void fail_on_one_of_two() {
    constexpr const char* text =
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry stores_nowhere()\n{\n.reg .b64 %rd<2>;\n"
        "mov.b64 %rd1, 16;\nst.global.b32 [%rd1], 1;\nret;\n}\n";
    CUcontext contexts[2] = {};
    CUstream streams[2] = {};
    CUdeviceptr memory[2] = {};
    ASSERT_EQ(XB_CU(cuInit)(0), CUDA_SUCCESS);
    for (int device : {0, 1}) {
        ASSERT_EQ(XB_CU(cuDevicePrimaryCtxRetain)(&contexts[device], device), CUDA_SUCCESS);
        XB_CU(cuCtxSetCurrent)(contexts[device]);
        ASSERT_EQ(XB_CU(cuStreamCreate)(&streams[device], CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
        ASSERT_EQ(XB_CU(cuMemAlloc)(&memory[device], 64), CUDA_SUCCESS);
    }
    XB_CU(cuCtxSetCurrent)(contexts[0]);
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    CUevent event = nullptr;
    ASSERT_EQ(XB_CU(cuModuleLoadData)(&module, text), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuModuleGetFunction)(&function, module, "stores_nowhere"), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuEventCreate)(&event, CU_EVENT_DEFAULT), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuLaunchKernel)(function, 1, 1, 1, 32, 1, 1, 0, streams[0], nullptr, nullptr), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuEventRecord)(event, streams[0]), CUDA_SUCCESS);
    ASSERT_EQ(XB_CU(cuStreamWaitEvent)(streams[1], event, 0), CUDA_SUCCESS);
    EXPECT_EQ(XB_CU(cuStreamSynchronize)(streams[0]), CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT_EQ(XB_CU(cuMemsetD32)(memory[0], 5, 16), CUDA_ERROR_ILLEGAL_ADDRESS);

    XB_CU(cuCtxSetCurrent)(contexts[1]);
    EXPECT_EQ(XB_CU(cuMemsetD32Async)(memory[1], 5, 16, streams[1]), CUDA_SUCCESS);
    EXPECT_EQ(XB_CU(cuStreamSynchronize)(streams[1]), CUDA_SUCCESS);
    EXPECT_EQ(XB_CU(cuCtxSynchronize)(), CUDA_SUCCESS);
    int value = 0;
    EXPECT_EQ(XB_CU(cuMemcpyDtoH)(&value, memory[1], sizeof value), CUDA_SUCCESS);
    EXPECT_EQ(value, 5);
    XB_CU(cuCtxSetCurrent)(contexts[0]);
    EXPECT_EQ(XB_CU(cuCtxSynchronize)(), CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT_EQ(XB_CU(cuEventQuery)(event), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(DriverInAProcess, DoesItsWork) {
    const char* const work = std::getenv("XB_DRIVER_TEST_WORK");
    if (!work) GTEST_SKIP() << "the part of another test";
    if (std::string(work) == "fail on one of two") return fail_on_one_of_two();
    char target[16], version[16];
    int wanted = -1;
    if (std::sscanf(work, "%15s %15s %d", target, version, &wanted) == 3)
        EXPECT_EQ(int{load_text(target, version)}, wanted);
    else
        EXPECT_EQ(XB_CU(cuInit)(0), CUDA_ERROR_NO_DEVICE);
}

TEST(DriverOfEnvironment, AFaultIsOfItsDeviceAlone) { in_a_process("XBENCH_EMULATED_GPUS", "2", "fail on one of two"); }

TEST(DriverOfEnvironment, OldDriversLostDevicesNoDevices) {
    in_a_process("XBENCH_EMULATED_DRIVER", "12040", "sm_80 9.0 222");  // CUDA_ERROR_UNSUPPORTED_PTX_VERSION
    in_a_process("XBENCH_EMULATED_DRIVER", "12040", "sm_80 8.4 0");
    in_a_process("XBENCH_EMULATED_SM", "80", "sm_90a 8.0 209");  // CUDA_ERROR_NO_BINARY_FOR_GPU
    in_a_process("XBENCH_EMULATED_SM", "75", "sm_80 8.0 209");
    in_a_process("XBENCH_EMULATED_SM", "90", "sm_90a 8.0 0");
    in_a_process("XBENCH_EMULATED_GPU_LOST", "0:1", "sm_80 8.0 214");  // CUDA_ERROR_ECC_UNCORRECTABLE
    in_a_process("XBENCH_EMULATED_GPU_LOST", "0:2", "sm_80 8.0 0");
    in_a_process("XBENCH_EMULATED_GPUS", "0", "none");
    in_a_process("CUDA_VISIBLE_DEVICES", "", "none");
}

}  // namespace
