// Whether a part of a kernel is left out: only in builds of the tests that define XB_MUTATE (mutation.h). In the product the
// conditions vanish.
#pragma once

#include "kernels/cuda/mutation.h"

#ifndef XB_MUTATE
#define XB_MUTATE 0
#endif

namespace xbench {

__device__ constexpr bool leaves_out(Mutation mutation) { return static_cast<int>(mutation) == XB_MUTATE; }

}  // namespace xbench
