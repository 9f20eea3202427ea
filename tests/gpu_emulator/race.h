// Races, by vector clocks (Fidge 1988, Mattern 1989; FastTrack, Flanagan and Freund 2009): of the warps of a block in shared
// memory, where barriers of the block or of some warps, mbarriers and __syncwarp order accesses, and of the blocks of a
// launch in global memory, where only atomics do.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tests/gpu_emulator/types.h"

namespace xbench::ptx {

struct Warp;
struct Instruction;

constexpr int most_warps = 32;
using Clock = std::array<uint32_t, most_warps>;

inline void join(Clock& into, const Clock& from) {
    for (size_t w = 0; w < into.size(); ++w) into[w] = into[w] < from[w] ? from[w] : into[w];
}

class SharedRaces {
public:
    // Accesses are of multiples of `grain` bytes (1, 2 or 4).
    SharedRaces(uint32_t bytes, uint32_t grain, uint32_t warps);
    void restart();  // for the next block
    void access(const Warp& warp, const Instruction& instruction, int lane, uint32_t address, uint32_t bytes, bool write);
    Clock& clock(uint32_t warp) { return clocks_[warp]; }
    // What the warp does from now on is ordered behind what was there before.
    void tick(uint32_t warp) { ++clocks_[warp][warp]; }

private:
    struct Cell {
        uint32_t block = 0;  // of restart; else it says nothing
        uint32_t write_time = 0;
        uint8_t write_warp = 0, write_lane = 0;
        std::array<uint32_t, most_warps> read_time{};
        std::array<uint8_t, most_warps> read_lane{};
    };
    std::vector<Cell> cells_;  // by grain
    uint32_t grain_, block_ = 1;
    std::vector<Clock> clocks_;
};

// Of one launch, by 4 bytes: who wrote and who read last.
void begin_global_races();
void check_global_race(const Warp& warp, const Instruction& instruction, int lane, uint64_t address, uint32_t bytes,
                       bool write);

}  // namespace xbench::ptx
