// The declarations of cuDNN and cuBLASLt against their own headers, where they are installed; and that forcing a row whose
// library does not do for this machine is refused in a line.
#include <gtest/gtest.h>

#include "core/error.h"
#include "kernels/cases/problem_list.h"
#include "kernels/cuda/cublaslt_library.h"
#include "kernels/cuda/cudnn_library.h"
#include "kernels/cuda/devices.h"
#include "kernels/registry.h"

#if __has_include(<cudnn.h>)
#include <cudnn.h>
#endif
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif

namespace xbench {
namespace {

// Same numbers of parameters, each of the same kind: pointers are pointers, enumerations are int.
template <class T>
constexpr char kind_of_type() {
    if constexpr (std::is_void_v<T>) return 'v';
    if constexpr (std::is_pointer_v<T>) return 'p';
    if constexpr (std::is_enum_v<T>) return 'i';
    if constexpr (std::is_same_v<T, int>) return 'i';
    if constexpr (std::is_floating_point_v<T>) return 'd';
    return sizeof(T) == 8 ? 'l' : '?';
}
template <class R, class... A>
std::string signature(R (*)(A...)) {
    return std::string{kind_of_type<R>(), kind_of_type<A>()...};
}
#define XB_SAME(library, name) EXPECT_EQ(signature(decltype(library::name){}), signature(decltype(&::name){})) << #name

TEST(LibraryAbi, IsThatOfCudnn) {
#if __has_include(<cudnn.h>)
    XB_SAME(Cudnn, cudnnGetVersion);
    XB_SAME(Cudnn, cudnnGetErrorString);
    XB_SAME(Cudnn, cudnnCreate);
    XB_SAME(Cudnn, cudnnSetStream);
    XB_SAME(Cudnn, cudnnSetTensor4dDescriptor);
    XB_SAME(Cudnn, cudnnSetFilter4dDescriptor);
    XB_SAME(Cudnn, cudnnSetConvolution2dDescriptor);
    XB_SAME(Cudnn, cudnnSetConvolutionGroupCount);
    XB_SAME(Cudnn, cudnnSetConvolutionMathType);
    XB_SAME(Cudnn, cudnnSetActivationDescriptor);
    XB_SAME(Cudnn, cudnnGetConvolutionForwardWorkspaceSize);
    XB_SAME(Cudnn, cudnnGetConvolutionBackwardDataWorkspaceSize);
    XB_SAME(Cudnn, cudnnGetConvolutionBackwardFilterWorkspaceSize);
    XB_SAME(Cudnn, cudnnConvolutionForward);
    XB_SAME(Cudnn, cudnnConvolutionBackwardData);
    XB_SAME(Cudnn, cudnnConvolutionBackwardFilter);
    XB_SAME(Cudnn, cudnnConvolutionBackwardBias);
    XB_SAME(Cudnn, cudnnAddTensor);
    XB_SAME(Cudnn, cudnnActivationForward);
    EXPECT_EQ(int{CUDNN_DATA_FLOAT}, cudnn_f32);
    EXPECT_EQ(int{CUDNN_TENSOR_NCHW}, cudnn_nchw);
    EXPECT_EQ(int{CUDNN_TENSOR_NHWC}, cudnn_nhwc);
    EXPECT_EQ(int{CUDNN_CROSS_CORRELATION}, cudnn_cross_correlation);
    EXPECT_EQ(int{CUDNN_DEFAULT_MATH}, cudnn_default_math);
    EXPECT_EQ(int{CUDNN_FMA_MATH}, cudnn_fma_math);
    EXPECT_EQ(int{CUDNN_ACTIVATION_RELU}, cudnn_relu);
    EXPECT_EQ(int{CUDNN_PROPAGATE_NAN}, cudnn_propagate_nan);
    EXPECT_EQ(int{CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM}, cudnn_forward_precomputed_gemm);
    EXPECT_EQ(int{CUDNN_CONVOLUTION_BWD_DATA_ALGO_1}, cudnn_backward_data_1);
    EXPECT_EQ(int{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1}, cudnn_backward_filter_1);
#else
    GTEST_SKIP() << "no cudnn.h here";
#endif
}

TEST(LibraryAbi, IsThatOfCublasLt) {
#if __has_include(<cublasLt.h>)
    XB_SAME(CublasLt, cublasLtGetVersion);
    XB_SAME(CublasLt, cublasLtGetStatusString);
    XB_SAME(CublasLt, cublasLtCreate);
    XB_SAME(CublasLt, cublasLtMatmulDescCreate);
    XB_SAME(CublasLt, cublasLtMatmulDescDestroy);
    XB_SAME(CublasLt, cublasLtMatmulDescSetAttribute);
    XB_SAME(CublasLt, cublasLtMatrixLayoutCreate);
    XB_SAME(CublasLt, cublasLtMatrixLayoutDestroy);
    XB_SAME(CublasLt, cublasLtMatmul);
    EXPECT_EQ(int{CUDA_R_32F}, cublaslt_f32);
    EXPECT_EQ(int{CUBLAS_COMPUTE_32F}, cublaslt_compute_f32);
    EXPECT_EQ(int{CUBLAS_COMPUTE_32F_FAST_16F}, cublaslt_compute_f16);
    EXPECT_EQ(int{CUBLAS_COMPUTE_32F_FAST_16BF}, cublaslt_compute_bf16);
    EXPECT_EQ(int{CUBLAS_COMPUTE_32F_FAST_TF32}, cublaslt_compute_tf32);
    EXPECT_EQ(int{CUBLASLT_MATMUL_DESC_TRANSA}, cublaslt_transpose_a);
    EXPECT_EQ(int{CUBLASLT_MATMUL_DESC_TRANSB}, cublaslt_transpose_b);
    EXPECT_EQ(int{CUBLASLT_MATMUL_DESC_EPILOGUE}, cublaslt_epilogue);
    EXPECT_EQ(int{CUBLASLT_MATMUL_DESC_BIAS_POINTER}, cublaslt_bias_pointer);
    EXPECT_EQ(int{CUBLASLT_EPILOGUE_DEFAULT}, 1);
    EXPECT_EQ(int{CUBLASLT_EPILOGUE_RELU}, cublaslt_epilogue_relu);
    EXPECT_EQ(int{CUBLASLT_EPILOGUE_BIAS}, cublaslt_epilogue_bias);
#else
    GTEST_SKIP() << "no cublasLt.h here";
#endif
}

struct Forced {
    const char* line;
    const char* kernel;
    const char* (*why)();
};
const Forced forced[] = {{"conv2d n2 c8 h8 k8 r3 pad1", "cudnn", why_no_cudnn},
                         {"linear n4 f16 k8", "cublaslt", why_no_cublaslt}};

// Under CTest without a driver: what the libraries themselves say, or that they are not there. Never chosen by themselves.
void expect_refusals(const Target& target) {
    for (const Forced& one : forced) {
        if (!one.why()) continue;
        testing::Test::RecordProperty(one.kernel, one.why());
        EXPECT_EQ(std::string(one.why()).find('\n'), std::string::npos) << one.why();
        for (const LayerProblem& problem : parse_problem(one.line, "test")) {
            if (problem.in[0].layout != Layout::plain) continue;
            const Choice choice{name_of(problem.op), one.kernel};
            EXPECT_STRNE(select(problem.problem(), target).name, one.kernel);
            try {
                select(problem.problem(), target, std::span(&choice, 1));
                ADD_FAILURE() << problem.text() << " was given " << one.kernel;
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ExitCode::usage);
                EXPECT_NE(std::string(error.what()).find(one.why()), std::string::npos) << error.what();
            }
        }
    }
}

TEST(LibraryRows, AreRefusedWithTheReasonWhereTheirLibraryFindsNoDevice) {
    expect_refusals({Isa::portable, DeviceKind::cuda, 80});
}

TEST(GpuLibraryRows, AreRefusedWithTheReasonOnAnEmulatedGpu) {
    if (!query_gpus().emulated) GTEST_SKIP() << "no emulated GPU";
    EXPECT_NE(std::string(why_no_cudnn()).find("knows no emulated GPU"), std::string::npos);
    EXPECT_NE(std::string(why_no_cublaslt()).find("knows no emulated GPU"), std::string::npos);
    expect_refusals({Isa::portable, DeviceKind::cuda, 80});
}

}  // namespace
}  // namespace xbench
