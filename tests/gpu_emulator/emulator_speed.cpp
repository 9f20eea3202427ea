// emulator_speed PTX: how fast the emulated GPU runs what training spends its time in. Times of one core of this machine,
// for whoever works on the emulator; of a GPU they say nothing.
#include <cuda.h>
#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

template <class F>
F* symbol(const char* name) {
    static void* const library = dlopen("libcuda.so.1", RTLD_NOW);
    return library ? reinterpret_cast<F*>(dlsym(library, name)) : nullptr;
}
#define XB_TEXT_OF(name) #name
#define XB_TEXT(name)    XB_TEXT_OF(name)
#define XB_CU(function)  (*symbol<decltype(function)>(XB_TEXT(function)))

double cpu_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

CUdeviceptr filled(size_t bytes, unsigned value) {
    CUdeviceptr at = 0;
    XB_CU(cuMemAlloc)(&at, bytes);
    XB_CU(cuMemsetD32)(at, value, bytes / 4);
    return at;
}

template <class... A>
void measure(CUmodule module, const char* name, unsigned gx, unsigned gy, unsigned threads, double flops, A... arguments) {
    CUfunction function = nullptr;
    XB_CU(cuModuleGetFunction)(&function, module, name);
    void* pointers[] = {&arguments...};
    double best = 1e30;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const double begin = cpu_seconds();
        XB_CU(cuLaunchKernel)(function, gx, gy, 1, threads, 1, 1, 0, nullptr, pointers, nullptr);
        XB_CU(cuCtxSynchronize)();
        best = std::min(best, cpu_seconds() - begin);
    }
    std::printf("%-10s %8.2f ms  %7.2f GFLOP/s\n", name, best * 1e3, flops / best * 1e-9);
}

}  // namespace

int main(int count, char** words) {
    if (count != 2 || !symbol<decltype(cuInit)>("cuInit")) return 2;
    CUcontext context = nullptr;
    CUmodule module = nullptr;
    XB_CU(cuInit)(0);
    XB_CU(cuDevicePrimaryCtxRetain)(&context, 0);
    XB_CU(cuCtxSetCurrent)(context);
    std::stringstream text;
    text << std::ifstream(words[1]).rdbuf();
    if (XB_CU(cuModuleLoadData)(&module, text.str().c_str()) != CUDA_SUCCESS) return 1;
    constexpr unsigned one = 0x3f800000, ones = 0x3f803f80;
    constexpr int n = 256, channels = 16, size = 32, elements = 1 << 18;
    const CUdeviceptr a = filled(size_t{n} * n * 4, one), b = filled(size_t{n} * n * 4, one), c = filled(1 << 20, 0);
    const CUdeviceptr halves = filled(size_t{n} * n * 2, ones);
    measure(module, "sgemm", n / 64, n / 64, 64, 2.0 * n * n * n, n, a, b, c);
    measure(module, "mma_gemm", n / 64, n / 64, 128, 2.0 * n * n * n, n, halves, halves, c);
    measure(module, "conv3x3", size, 16, size, 2.0 * 9 * channels * 16 * size * size, channels, size, a, b, c);
    measure(module, "axpy", elements / 256, 1, 256, 2.0 * elements, elements, 1.0f, c, c);
}
