// A decoded instruction and the kernel it belongs to: what the warps walk over. Registers are offsets in bytes into the
// warp's register file, where each has 32 lanes side by side (predicates: one mask); immediates are registers that the
// kernel fills once. Every register begins at a multiple of register_grain bytes.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/gpu_emulator/image.h"
#include "tests/gpu_emulator/syntax.h"

namespace xbench::ptx {

struct Warp;
struct Instruction;
using Execute = void (*)(Warp&, const Instruction&);

constexpr uint32_t no_register = ~0u;
constexpr uint32_t register_grain = 64;

enum class Control : uint8_t {
    next,
    branch,
    branch_indexed,
    exit,
    barrier,    // of the block
    warp_sync,  // waits for the lanes of a mask
};

// What counters add up.
enum class Class : uint8_t {
    f32,
    f64,
    half,
    integer,
    convert,
    special,
    move,
    global_load,
    global_store,
    shared_load,
    shared_store,
    local,
    param,
    atomic,
    async_copy,
    ldmatrix,
    matrix,
    shuffle,
    barrier,
    control
};
constexpr int classes = static_cast<int>(Class::control) + 1;
const char* name_of(Class of);

// How lanes with undefined values spread to what the instruction writes.
enum class Taint : uint8_t { lanewise, select, load, store, asynchronous, shuffle, whole_warp, matrix, ignore };

struct Instruction {
    Execute execute = nullptr;
    uint32_t guard = no_register;
    uint32_t d = no_register, d2 = no_register, a = no_register, b = no_register, c = no_register;
    bool guard_negated = false, negated = false;  // negated: the predicate operand
    bool narrow_address = false;                  // 32 bits
    bool warp_barrier = false;                    // bar.warp.sync: meets lanes that stand at another one
    bool atomic = false, volatile_access = false;
    Control control = Control::next;
    Space space = Space::generic;
    Class counted_as = Class::integer;
    Taint taint = Taint::lanewise;
    uint8_t count = 1;  // elements of a vector
    uint8_t bytes = 0;  // of one element in memory
    uint16_t mode = 0;  // flags of the operation
    uint32_t target = 0;
    int64_t offset = 0;
    uint32_t flops = 0;  // a lane; of matrix instructions a warp
    uint32_t line = 0, source_line = 0;
    const uint32_t* list = nullptr;  // registers of a vector
    const uint32_t* reads = nullptr;
    const uint32_t* writes = nullptr;
    uint8_t read_count = 0, write_count = 0;
    uint32_t mask = no_register;  // of warp_sync
};

enum class SpecialRegister : uint8_t {
    tid_x,
    tid_y,
    tid_z,
    ntid_x,
    ntid_y,
    ntid_z,
    ctaid_x,
    ctaid_y,
    ctaid_z,
    nctaid_x,
    nctaid_y,
    nctaid_z,
    laneid,
    warpid,
    lanemask_lt,
    lanemask_le,
    lanemask_eq,
    lanemask_ge,
    lanemask_gt,
    warp_size,
    smid,
    dynamic_smem_size,
    total_smem_size,
    zero
};

// Of one instruction, over all launches.
struct Counter {
    uint64_t warps = 0, lanes = 0;                          // executed
    uint64_t requests = 0, sectors = 0, ideal_sectors = 0;  // global: 32 bytes a sector
    uint64_t wavefronts = 0, ideal_wavefronts = 0;          // shared
    uint64_t global_requests = 0;                           // of the requests
    uint64_t divergent = 0;                                 // branches that parted a warp
    Counter& operator+=(const Counter& other);
};

struct Kernel {
    std::string name, source_file;
    std::vector<Parameter> parameters;
    uint32_t parameter_bytes = 0, register_bytes = 0, shared_bytes = shared_begin, local_bytes = local_begin;
    uint32_t most_threads = 0, virtual_registers = 0;
    uint32_t live_register_bytes = 0;  // of a warp, without constants and special registers
    uint32_t most_dynamic_shared = 48 << 10;
    uint32_t shared_grain = 4;  // the narrowest access to shared memory, 4 bytes at most
    int device = 0;
    std::vector<Instruction> code;
    std::vector<std::string> text;
    std::vector<uint32_t> order;  // of splits of a warp: the one whose block comes first runs first
    std::vector<uint8_t> leader;  // a block of straight code begins here
    std::vector<uint16_t> plain;  // so many instructions from here to the block's end, one after the other, always execute
    std::vector<std::vector<uint32_t>> tables;
    std::deque<std::vector<uint32_t>> lists;
    struct Constant {
        uint32_t offset;
        std::vector<uint8_t> bytes;
    };
    std::vector<Constant> constants;
    struct Special {
        uint32_t offset;
        SpecialRegister which;
    };
    std::vector<Special> specials;
    std::map<std::string, Variable> variables;
    std::vector<std::string> missing;  // opcodes that are not implemented
    std::vector<Counter> counters;
    uint64_t launches = 0;
    // In mode counts.
    uint64_t counted_launches = 0, counted_blocks = 0, read_sectors = 0, written_sectors = 0;
    uint32_t last_threads = 0, last_dynamic_shared = 0;
    Compiled compiled;  // by ptxas, where the image holds a cubin
};

}  // namespace xbench::ptx
