// Arithmetic of the types that collectives add up, on arrays.
#pragma once

#include <cstddef>

#include "tests/nccl_double/nccl_abi.h"

namespace xbench::nccl {

size_t bytes_of(int type);
// into[i] = into[i] (+) from[i], rounded to the type.
void combine(int type, int reduction, void* into, const void* from, size_t count);
void divide(int type, void* values, int by, size_t count);

}  // namespace xbench::nccl
