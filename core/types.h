// Element types and memory layouts: the two enumerations of core/tensor.h that kernels need. Plain data, so that files
// that are built for one instruction set can include them.
#pragma once

#include <cstdint>

namespace xbench {

// tf32 is only a type of products: 10 bits of mantissa, 8 of exponent, in the memory of an f32.
enum class DType : int32_t { f32, f64, i32, i64, u8, bf16, f16, tf32 };

// How the logical dimensions lie in memory.
//   plain    row-major in the order of the shape: activations {n, c, h, w}, filters {k, c/groups, r, s}, matrices
//            {rows, columns}
//   nchw16c  {n, ceil(c/16), h, w, 16}: blocks of 16 channels innermost; channels past c are zero, always
//   nhwc     channels innermost, without padding: activations {n, h, w, c}, filters {k, r, s, c/groups}; the shape keeps the
//            order of plain. Of the CPU's rows only the references read it.
enum class Layout : int32_t { plain, nchw16c, nhwc };

}  // namespace xbench
