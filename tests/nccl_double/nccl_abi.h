// What a program of NCCL 2.28 sees of it: types, values and functions, declared here so that the double is built without
// NCCL (tests/nccl_double/nccl_abi_test.cpp compares them with nccl.h where there is one).
#pragma once

#include <cuda.h>

#include <cstddef>

#define XB_NCCL extern "C" __attribute__((visibility("default")))

namespace xbench::nccl {

enum Result : int {
    success,
    unhandled_cuda_error,
    system_error,
    internal_error,
    invalid_argument,
    invalid_usage,
    remote_error,
    in_progress
};
enum Type : int { type_i8, type_u8, type_i32, type_u32, type_i64, type_u64, type_f16, type_f32, type_f64, type_bf16, types };
enum Reduction : int { sum, product, maximum, minimum, average, reductions };

constexpr int version_code = 22800;
constexpr unsigned config_magic = 0xcafebeef;
constexpr int no_color = -1;

struct UniqueId {
    char internal[128];
};

// The beginning of ncclConfig_t, which grows with the versions.
struct Config {
    size_t size;
    unsigned magic;
    unsigned version;
    int blocking;
};

}  // namespace xbench::nccl
