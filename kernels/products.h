// In what type the products of a convolution or linear layer are computed (core/ops.h). A static function of plain data:
// files built for one instruction set include this, each with a copy of its own.
#pragma once

#include "kernels/kernel.h"

namespace xbench {

static inline DType products_of(const Problem& problem) {
    switch (problem.op) {
        case OpKind::conv2d:
        case OpKind::conv2d_dgrad:
        case OpKind::conv2d_wgrad:
        case OpKind::conv2d_statistics: return static_cast<const Conv2d*>(problem.attrs)->products;
        case OpKind::conv2d_pool:
        case OpKind::conv2d_pool_wgrad: return static_cast<const Conv2dPool*>(problem.attrs)->conv.products;
        case OpKind::conv2d_batchnorm_pool_wgrad:
            return static_cast<const Conv2dBatchNormPool*>(problem.attrs)->conv.products;
        case OpKind::linear:
        case OpKind::linear_dgrad:
        case OpKind::linear_wgrad: return static_cast<const Linear*>(problem.attrs)->products;
        default: return DType::f32;
    }
}

}  // namespace xbench
