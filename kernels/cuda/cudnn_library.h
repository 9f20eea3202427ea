// cuDNN 9's library, opened at run time: the part of its C interface that convolutions need, declared here so that nothing
// of it is needed to build (tests/kernels/library_abi_cuda_test.cpp compares with cudnn.h where there is one). Its only user
// is kernels/conv2d/cudnn.cuda.cpp.
#pragma once

#include <cstddef>

namespace xbench {

using CudnnHandle = void*;
using CudnnDescriptor = void*;  // of a tensor, of filters, of a convolution, of an activation
enum CudnnValue : int {
    cudnn_success = 0,
    cudnn_f32 = 0,
    cudnn_nchw = 0,
    cudnn_nhwc = 1,
    cudnn_cross_correlation = 1,
    cudnn_default_math = 0,  // of f32 numbers: tf32 on tensor cores
    cudnn_fma_math = 3,
    cudnn_relu = 1,
    cudnn_propagate_nan = 1,
    // Those that give the same bits every time.
    cudnn_forward_precomputed_gemm = 1,
    cudnn_backward_data_1 = 1,
    cudnn_backward_filter_1 = 1
};

struct Cudnn {
    size_t (*cudnnGetVersion)();
    const char* (*cudnnGetErrorString)(int);
    int (*cudnnCreate)(CudnnHandle*);
    int (*cudnnSetStream)(CudnnHandle, void*);
    int (*cudnnCreateTensorDescriptor)(CudnnDescriptor*);
    int (*cudnnDestroyTensorDescriptor)(CudnnDescriptor);
    int (*cudnnSetTensor4dDescriptor)(CudnnDescriptor, int, int, int, int, int, int);
    int (*cudnnCreateFilterDescriptor)(CudnnDescriptor*);
    int (*cudnnDestroyFilterDescriptor)(CudnnDescriptor);
    int (*cudnnSetFilter4dDescriptor)(CudnnDescriptor, int, int, int, int, int, int);
    int (*cudnnCreateConvolutionDescriptor)(CudnnDescriptor*);
    int (*cudnnDestroyConvolutionDescriptor)(CudnnDescriptor);
    int (*cudnnSetConvolution2dDescriptor)(CudnnDescriptor, int, int, int, int, int, int, int, int);
    int (*cudnnSetConvolutionGroupCount)(CudnnDescriptor, int);
    int (*cudnnSetConvolutionMathType)(CudnnDescriptor, int);
    int (*cudnnCreateActivationDescriptor)(CudnnDescriptor*);
    int (*cudnnDestroyActivationDescriptor)(CudnnDescriptor);
    int (*cudnnSetActivationDescriptor)(CudnnDescriptor, int, int, double);
    int (*cudnnGetConvolutionForwardWorkspaceSize)(CudnnHandle, CudnnDescriptor, CudnnDescriptor, CudnnDescriptor,
                                                   CudnnDescriptor, int, size_t*);
    int (*cudnnGetConvolutionBackwardDataWorkspaceSize)(CudnnHandle, CudnnDescriptor, CudnnDescriptor, CudnnDescriptor,
                                                        CudnnDescriptor, int, size_t*);
    int (*cudnnGetConvolutionBackwardFilterWorkspaceSize)(CudnnHandle, CudnnDescriptor, CudnnDescriptor, CudnnDescriptor,
                                                          CudnnDescriptor, int, size_t*);
    int (*cudnnConvolutionForward)(CudnnHandle, const void*, CudnnDescriptor, const void*, CudnnDescriptor, const void*,
                                   CudnnDescriptor, int, void*, size_t, const void*, CudnnDescriptor, void*);
    int (*cudnnConvolutionBackwardData)(CudnnHandle, const void*, CudnnDescriptor, const void*, CudnnDescriptor, const void*,
                                        CudnnDescriptor, int, void*, size_t, const void*, CudnnDescriptor, void*);
    int (*cudnnConvolutionBackwardFilter)(CudnnHandle, const void*, CudnnDescriptor, const void*, CudnnDescriptor,
                                          const void*, CudnnDescriptor, int, void*, size_t, const void*, CudnnDescriptor,
                                          void*);
    int (*cudnnConvolutionBackwardBias)(CudnnHandle, const void*, CudnnDescriptor, const void*, const void*, CudnnDescriptor,
                                        void*);
    int (*cudnnAddTensor)(CudnnHandle, const void*, CudnnDescriptor, const void*, const void*, CudnnDescriptor, void*);
    int (*cudnnActivationForward)(CudnnHandle, CudnnDescriptor, const void*, CudnnDescriptor, const void*, const void*,
                                  CudnnDescriptor, void*);
};

// Why it cannot be used on the GPU of the calling thread, in a line with the remedy that lives as long as the program; null:
// it can. Asked once a process.
const char* why_no_cudnn();
const Cudnn& cudnn_library();  // once why_no_cudnn() is null
CudnnHandle cudnn_handle();    // of the calling thread's current context; null where none could be made

}  // namespace xbench
