// Checked accesses of 32 lanes to memory: where each lane's bytes lie on the host, after everything that can be wrong with
// them was looked at. Lanes with a fault are reported and left out.
#pragma once

#include <array>

#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {

using Addresses = std::array<uint64_t, warp_lanes>;

struct Access {
    std::array<uint8_t*, warp_lanes> host{};
    ptrdiff_t to_shadow = 0;                   // from a byte to its shadow
    uint32_t lanes = 0;                        // that may go on
    uint32_t undefined = 0;                    // of them: that read a byte which nobody wrote
    bool uniform = false, contiguous = false;  // all 32 lanes: the same place; one after the other
};

enum AccessKind : uint8_t { reads = 1, writes = 2, atomically = 4 };

// Of an operand: register (32 or 64 bits, or none) plus the instruction's offset.
Addresses addresses(const Warp& warp, const Instruction& instruction, uint32_t reg, bool narrow, int64_t offset);

// `bytes` a lane. The addresses are relative to the space. Writes are marked in the shadow as `mark`.
Access open(Warp& warp, const Instruction& instruction, const Addresses& at, uint32_t lanes, Space space, uint32_t bytes,
            int kind, Shadow mark = written);

// Calls f(lanes, space, addresses) once for each space that the lanes' addresses lie in.
template <class F>
void each_space(const Warp& warp, const Instruction& instruction, Addresses at, F&& f) {
    if (instruction.space != Space::generic && instruction.space != Space::param)
        return f(warp.active, instruction.space, at);
    std::array<uint32_t, 5> lanes{};
    for (uint32_t left = warp.active; left; left &= left - 1) {
        const auto l = static_cast<size_t>(__builtin_ctz(left));
        Space space = Space::global;
        if (at[l] < device_base && at[l] >= param_window) {
            space = Space::param;
            at[l] -= param_window;
        } else if (at[l] < device_base && at[l] >= local_window) {
            space = Space::local;
            at[l] -= local_window;
        } else if (at[l] < device_base && at[l] >= shared_window) {
            space = Space::shared;
            at[l] -= shared_window;
        }
        lanes[static_cast<size_t>(space)] |= 1u << l;
    }
    for (size_t s = 0; s < lanes.size(); ++s)
        if (lanes[s]) f(lanes[s], static_cast<Space>(s), at);
}

// Sectors of 32 bytes that a global access touches, and that it would touch if its bytes lay side by side.
void count_global(Counter& counter, const Addresses& at, uint32_t lanes, uint32_t bytes, int kind);
// Passes that the banks of shared memory need, four bytes wide, 32 of them.
void count_shared(Counter& counter, const Addresses& at, uint32_t lanes, uint32_t bytes);

}  // namespace xbench::ptx
