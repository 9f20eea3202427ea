// The instruction sets that kernels are built for. Plain data: files that are built for one instruction set include this.
#pragma once

#include <cstdint>

namespace xbench {

// Each includes those before it. avx2: with fma, f16c and bmi2. avx512: f, bw, dq and vl.
enum class Isa : int32_t { portable, avx2, avx512, avx512_bf16 };

}  // namespace xbench
