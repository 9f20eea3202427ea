// The state of a running grid: warps, each with its splits (lanes that stand at the same instruction), and blocks. A block
// can be left and gone on with at any barrier or slice, so that the blocks of a cooperative launch run side by side.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "tests/gpu_emulator/instruction.h"
#include "tests/gpu_emulator/race.h"

namespace xbench::ptx {

struct Block;

struct Split {
    uint32_t at = 0, lanes = 0;
    bool waits = false;
    uint64_t last_ran = 0;
};

// A cp.async that has not landed: of 32 lanes.
struct AsyncCopy {
    uint64_t group = 0;
    uint32_t lanes = 0;
    uint8_t bytes = 0;
    std::array<uint64_t, warp_lanes> to{}, from{};
    std::array<uint32_t, warp_lanes> count{};  // bytes that come from `from`; the rest is zero
    const Instruction* instruction = nullptr;
};

struct PendingMatrix {  // a wgmma that nobody has waited for
    uint64_t group = 0;
    const Instruction* instruction = nullptr;
    uint64_t a = 0, b = 0;
    bool accumulate = true;
};

struct Warp {
    uint8_t* file = nullptr;    // registers
    uint32_t* taint = nullptr;  // by register: lanes whose value was never defined
    bool any_taint = false;
    uint32_t active = 0, alive = 0;  // lanes that execute now; that have not ended
    uint32_t id = 0;
    Block* block = nullptr;
    const Kernel* kernel = nullptr;
    Counter* counters = nullptr;
    uint32_t carry = 0;  // of add.cc
    std::vector<Split> splits;
    int barrier = -1;  // where it waits
    uint32_t barrier_threads = 0;
    const Instruction* barrier_at = nullptr;
    uint64_t steps = 0;
    bool yields = false;
    bool done = false;
    uint64_t copy_groups = 0, matrix_groups = 0;  // committed
    std::deque<AsyncCopy> copies;
    std::deque<PendingMatrix> matrices;
    uint8_t* local = nullptr;
    uint8_t* local_shadow = nullptr;

    template <class T>
    T* lanes(uint32_t offset) const {
        return reinterpret_cast<T*>(file + offset);
    }
    uint32_t& mask(uint32_t offset) const { return *lanes<uint32_t>(offset); }
    void set_mask(uint32_t offset, uint32_t value) const {
        uint32_t& m = mask(offset);
        m = (m & ~active) | (value & active);
    }
};

enum class WarpState { slice, at_barrier, done };
WarpState run(Warp& warp);

// What a tensor map holds (cuTensorMapEncodeTiled).
struct TensorMap {
    uint64_t magic;
    uint64_t address;
    uint32_t dim[5];
    uint64_t stride[5];
    uint16_t box[5];
    uint8_t rank, element_bytes, swizzle;
    static constexpr uint64_t right_magic = 0x78627074656e7361;
};

struct TensorCopy {  // a TMA load under way
    TensorMap map;
    uint32_t to = 0, barrier = 0;
    std::array<int32_t, 5> at{};
    const Instruction* instruction = nullptr;
    Clock issued{};
};

struct Block {
    std::vector<Warp> warps;
    std::vector<uint8_t> registers;
    std::vector<uint32_t> taints;
    std::vector<uint8_t> shared, shared_shadow, local, local_shadow;
    const uint8_t* parameters = nullptr;
    std::array<uint32_t, 3> threads{}, grid{}, index{};
    uint32_t thread_count = 0, shared_bytes = 0;
    uint64_t linear = 0;  // its number in the grid
    bool failed = false;
    uint64_t progress = 0;  // counts what other warps may wait for
    uint64_t idle = 0;
    std::deque<TensorCopy> tensor_copies;
    std::map<uint32_t, Clock> barrier_clocks;  // of mbarriers, by address
    struct Arrivals {                          // of warps that do not wait
        uint32_t threads = 0, wanted = 0;
        Clock clock{};
    };
    std::array<Arrivals, 16> arrivals{};  // by barrier
    std::unique_ptr<SharedRaces> races;
    uint32_t left = 0;  // warps
    struct Range {      // a living allocation that an instruction met; no address lies in an empty one
        uint64_t begin = 0, bytes = 0;
        uint8_t *data = nullptr, *shadow = nullptr;
    };
    std::array<Range, 16> ranges{};  // by instruction
    bool quick = false;              // neither races nor counts are asked for
    bool counting = false;
};

// One launch. False: a report ended it.
struct LaunchShape {
    std::array<uint32_t, 3> grid{}, threads{};
    uint32_t dynamic_shared = 0;
    bool cooperative = false;
};
bool launch(Kernel& kernel, const LaunchShape& shape, const void* parameters);

}  // namespace xbench::ptx
