// What the emulator finds wrong: kernel, PTX line, source line, block and thread, printed once a place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/gpu_emulator/instruction.h"

namespace xbench::ptx {

enum class Fault : uint8_t {
    out_of_bounds,
    use_after_free,
    misaligned,
    unwritten,
    pending_copy,
    shared_race,
    global_race,
    divergent_barrier,
    barrier_deadlock,
    wrong_mask,
    inactive_lane,
    mbarrier,
    missing_fence,
    not_implemented,
    host_access,
    matrix_descriptor,
    trap,
    collective
};
constexpr int faults = static_cast<int>(Fault::collective) + 1;
const char* name_of(Fault fault);

// Counts it; prints the first of each (kernel, instruction, fault). `lane` -1: the whole warp.
void report(const Warp& warp, const Instruction& instruction, int lane, Fault fault, const std::string& detail);
// Of the host's side: no kernel.
void report(Fault fault, const std::string& detail);

uint64_t reports();                // all so far
uint64_t reports_of(Fault fault);  // of one kind
const std::string& last_report();

}  // namespace xbench::ptx
