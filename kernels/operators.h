// The two lists to which a new folder of kernels/ is added. Each folder gives
//   <folder>_ops()     what its operators mean (kernels/op.h), in op.cpp
//   <folder>_cases()   its lines of problems.cfg and how its operators are tested (op_cases.h), in cases.cpp
//   reference_<op>()   the plain loops of each operator that kernels compute, in ref.cpp
#pragma once

#include <vector>

#include "kernels/op.h"

#define XB_OPERATOR_FOLDERS(folder)                                                                                 \
    folder(conv2d) folder(batchnorm) folder(elementwise) folder(pool2d) folder(linear) folder(dropout) folder(loss) \
        folder(optimizer) folder(gelu) folder(silu)

// The stems of the *.isa.cpp files, best first within an operator; bf16: of products in bf16, built for avx512_bf16 only.
// clang-format off
#define XB_ISA_FILES(file, bf16) \
    file(patches)              \
    file(direct_rows)          \
    file(depthwise)            \
    file(pointwise)            \
    file(winograd)             \
    file(winograd_fused)       \
    bf16(direct_pairs_bf16)    \
    file(direct_blocked)       \
    file(direct_blocked_fused) \
    file(pooled_stem)          \
    file(pooled_stem_rows)     \
    bf16(linear_bf16)          \
    file(linear_packed)        \
    file(batchnorm)            \
    file(batchnorm_pool_apply) \
    file(batchnorm_pool_grad)  \
    file(max_pool)             \
    file(average_pool)         \
    file(elementwise)          \
    file(gelu)                 \
    file(silu)                 \
    file(reorder)              \
    file(dropout)              \
    file(loss)                 \
    file(optimizer)
// clang-format on

namespace xbench {

struct FolderCases;
#define XB_DECLARE_FOLDER(folder)      \
    std::vector<OpDef> folder##_ops(); \
    FolderCases folder##_cases();
XB_OPERATOR_FOLDERS(XB_DECLARE_FOLDER)
#undef XB_DECLARE_FOLDER

}  // namespace xbench
