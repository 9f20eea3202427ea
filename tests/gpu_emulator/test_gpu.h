// What tests of the emulated GPU share: the driver API by name, a module, buffers, launches, and the emulator's own
// functions.
#pragma once

#include <cuda.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#define XB_TEXT_OF(name) #name
#define XB_TEXT(name)    XB_TEXT_OF(name)
#define XB_CU(function)  (*GpuTest::symbol<decltype(function)>(XB_TEXT(function)))

class GpuTest : public testing::Test {
public:
    enum class Mode { plain, race, counts };

    // Of the best library for this processor where LD_LIBRARY_PATH names its folder, as a program finds it; else the
    // portable one.
    template <class F>
    static F* symbol(const char* name) {
        static void* const library = [] {
            void* const found = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
            return found && dlsym(found, "emu_reports") ? found : dlopen(XB_EMULATOR, RTLD_NOW | RTLD_GLOBAL);
        }();
        if (!library) throw std::runtime_error(dlerror());
        void* const found = dlsym(library, name);
        if (!found) throw std::runtime_error(std::string("no ") + name);
        return reinterpret_cast<F*>(found);
    }

protected:
    void SetUp() override {
        ASSERT_EQ(XB_CU(cuInit)(0), CUDA_SUCCESS);
        CUcontext context;
        ASSERT_EQ(XB_CU(cuDevicePrimaryCtxRetain)(&context, 0), CUDA_SUCCESS);
        ASSERT_EQ(XB_CU(cuCtxSetCurrent)(context), CUDA_SUCCESS);
    }
    void TearDown() override { set_mode(Mode::plain); }

    void load(const char* file) {
        std::stringstream text;
        text << std::ifstream(file).rdbuf();
        ASSERT_EQ(XB_CU(cuModuleLoadData)(&module, text.str().c_str()), CUDA_SUCCESS) << file;
    }
    static void set_mode(Mode mode) { symbol<void(int, int, int)>("emu_mode")(mode == Mode::race, mode == Mode::counts, 1); }
    static unsigned long long reports() { return symbol<unsigned long long()>("emu_reports")(); }
    static std::string last_report() { return symbol<const char*()>("emu_last_report")(); }

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
    CUfunction function(const char* name) const {
        CUfunction found = nullptr;
        EXPECT_EQ(XB_CU(cuModuleGetFunction)(&found, module, name), CUDA_SUCCESS) << name;
        return found;
    }
    // Kernels may have fewer parameters than there are arguments.
    template <class... A>
    CUresult launch(const char* name, unsigned blocks, unsigned threads, CUstream stream, A... arguments) const {
        void* pointers[] = {&arguments..., nullptr};
        return XB_CU(cuLaunchKernel)(function(name), blocks, 1, 1, threads, 1, 1, 0, stream, pointers, nullptr);
    }
    // Reports of one launch; a fault that ended it is forgiven.
    template <class... A>
    unsigned long long reports_of(const char* name, unsigned blocks, unsigned threads, A... arguments) const {
        const unsigned long long before = reports();
        launch(name, blocks, threads, nullptr, arguments...);
        XB_CU(cuCtxSynchronize)();
        symbol<void()>("emu_forgive")();
        return reports() - before;
    }

    CUmodule module = nullptr;
};
