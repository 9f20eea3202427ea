// What all parts of the emulated GPU share: scalar types of PTX, state spaces, and where things lie in the address space.
//
// A device address is device_base + device * device_bytes + offset; bit 48 makes every dereference on the host a fault.
// Shared and local memory and kernel parameters have windows of their own in the generic address space, as on a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

namespace xbench::ptx {

constexpr int warp_lanes = 32;
constexpr uint32_t all_lanes = 0xffffffffu;

constexpr uint64_t device_base = uint64_t{1} << 48;
constexpr uint64_t device_bytes = uint64_t{1} << 35;  // of address space; memory that is never reused needs much of it
constexpr uint64_t shared_window = uint64_t{1} << 40;
constexpr uint64_t local_window = uint64_t{1} << 41;
constexpr uint64_t param_window = uint64_t{1} << 42;
// The first address that a block may use: a GPU of sm_80 or later keeps 1 KiB for itself, and a null pointer is an error.
constexpr uint32_t shared_begin = 1024;
constexpr uint32_t local_begin = 16;

enum class Space : uint8_t { generic, global, shared, local, param };

enum class Scalar : uint8_t { none, u8, u16, u32, u64, s8, s16, s32, s64, f16, bf16, f32, f64, f16x2, bf16x2, pred, b128 };

constexpr int bytes_of(Scalar type) {
    switch (type) {
        case Scalar::u8:
        case Scalar::s8: return 1;
        case Scalar::u16:
        case Scalar::s16:
        case Scalar::f16:
        case Scalar::bf16: return 2;
        case Scalar::u64:
        case Scalar::s64:
        case Scalar::f64: return 8;
        case Scalar::b128: return 16;
        default: return 4;
    }
}

// What one byte of memory has seen.
enum Shadow : uint8_t { unwritten = 0, written = 1, pending = 2 };  // pending: an asynchronous copy has not landed

}  // namespace xbench::ptx
