// cuBLASLt's library, opened at run time: what a product of two matrices needs of its C interface, declared here so that
// nothing of it is needed to build (tests/kernels/library_abi_cuda_test.cpp compares with cublasLt.h where there is one).
// Its only user is kernels/linear/cublaslt.cuda.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace xbench {

using CublasLtHandle = void*;
using CublasLtDescriptor = void*;  // of a product, of a matrix
enum CublasLtValue : int {
    cublaslt_success = 0,
    cublaslt_f32 = 0,           // cudaDataType
    cublaslt_compute_f32 = 68,  // cublasComputeType_t
    cublaslt_compute_f16 = 74,  // f32 operands rounded on the way
    cublaslt_compute_bf16 = 75,
    cublaslt_compute_tf32 = 77,
    cublaslt_transpose_a = 3,  // cublasLtMatmulDescAttributes_t
    cublaslt_transpose_b = 4,
    cublaslt_epilogue = 7,
    cublaslt_bias_pointer = 8,
    cublaslt_epilogue_relu = 2,  // cublasLtEpilogue_t, a sum of these
    cublaslt_epilogue_bias = 4
};

struct CublasLt {
    size_t (*cublasLtGetVersion)();
    const char* (*cublasLtGetStatusString)(int);
    int (*cublasLtCreate)(CublasLtHandle*);
    int (*cublasLtMatmulDescCreate)(CublasLtDescriptor*, int, int);
    int (*cublasLtMatmulDescDestroy)(CublasLtDescriptor);
    int (*cublasLtMatmulDescSetAttribute)(CublasLtDescriptor, int, const void*, size_t);
    int (*cublasLtMatrixLayoutCreate)(CublasLtDescriptor*, int, uint64_t, uint64_t, int64_t);
    int (*cublasLtMatrixLayoutDestroy)(CublasLtDescriptor);
    int (*cublasLtMatmul)(CublasLtHandle, CublasLtDescriptor, const void*, const void*, CublasLtDescriptor, const void*,
                          CublasLtDescriptor, const void*, const void*, CublasLtDescriptor, void*, CublasLtDescriptor,
                          const void*, void*, size_t, void*);
};

// As those of kernels/cuda/cudnn_library.h.
const char* why_no_cublaslt();
const CublasLt& cublaslt_library();
CublasLtHandle cublaslt_handle();

}  // namespace xbench
