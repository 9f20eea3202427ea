// In what type the products of a convolution or linear layer are computed (core/ops.h). Plain: files built for one
// instruction set include this.
#pragma once

#include "kernels/kernel.h"

namespace xbench {

DType products_of(const Problem& problem);  // as the operator's row says (kernels/op.cpp); f32 where it has no say

}  // namespace xbench
