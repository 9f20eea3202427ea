// Vector clocks of warps, and last accesses of bytes.
#include "tests/gpu_emulator/race.h"

#include <string>
#include <unordered_map>
#include <vector>

#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {
namespace {

constexpr uint8_t several_lanes = 255;  // of a warp read it

struct GlobalCell {
    uint64_t writer = ~uint64_t{0}, reader = ~uint64_t{0};  // blocks
    bool several_readers = false;
};

// By byte, as two blocks may write neighbouring ones of a word; in pages: a warp's accesses mostly lie in one.
class GlobalCells {
public:
    GlobalCell& at(uint64_t byte) {
        constexpr uint64_t page_bytes = 4096;
        if (byte / page_bytes != last_number_) {
            last_number_ = byte / page_bytes;
            last_ = &pages_.try_emplace(last_number_, page_bytes).first->second;
        }
        return (*last_)[byte % page_bytes];
    }
    void clear() {
        pages_.clear();
        last_number_ = ~uint64_t{0};
    }

private:
    std::unordered_map<uint64_t, std::vector<GlobalCell>> pages_;
    uint64_t last_number_ = ~uint64_t{0};
    std::vector<GlobalCell>* last_ = nullptr;
};
GlobalCells& global_cells() {
    static GlobalCells cells;
    return cells;
}

}  // namespace

SharedRaces::SharedRaces(uint32_t bytes, uint32_t grain, uint32_t warps)
    : cells_(bytes / grain + 1), grain_(grain), clocks_(warps) {
    restart();
}

void SharedRaces::restart() {
    ++block_;
    for (size_t w = 0; w < clocks_.size(); ++w) {
        clocks_[w] = {};
        clocks_[w][w] = 1;
    }
}

void SharedRaces::access(const Warp& warp, const Instruction& instruction, int lane, uint32_t address, uint32_t bytes,
                         bool write) {
    const Clock& mine = clocks_[warp.id];
    const uint32_t now = mine[warp.id];
    const auto conflict = [&](const char* other, uint32_t w, int l) {
        const std::string who = l == several_lanes ? "warp " + std::to_string(w)
                                                   : "thread " + std::to_string(w * warp_lanes + static_cast<uint32_t>(l));
        report(warp, instruction, lane, Fault::shared_race,
               std::string(write ? "write" : "read") + " at offset " + std::to_string(address - shared_begin) +
                   " against a " + other + " of " + who + " that nothing orders");
    };
    // Inside a warp, lanes that ran between two __syncwarp are not ordered either: their times are equal.
    const auto ordered = [&](uint32_t w, uint32_t time, uint8_t l) {
        if (time == 0) return true;
        return w == warp.id ? time < now || l == lane : time <= mine[w];
    };
    for (uint32_t b = address / grain_; b <= (address + bytes - 1) / grain_ && b < cells_.size(); ++b) {
        Cell& cell = cells_[b];
        if (cell.block != block_) {
            cell = {};
            cell.block = block_;
        }
        if (!ordered(cell.write_warp, cell.write_time, cell.write_lane)) {
            conflict("write", cell.write_warp, cell.write_lane);
            cell.write_time = 0;
            return;
        }
        if (write) {
            for (uint32_t w = 0; w < clocks_.size(); ++w)
                if (!ordered(w, cell.read_time[w], cell.read_lane[w])) {
                    conflict("read", w, cell.read_lane[w]);
                    cell.read_time[w] = 0;
                    return;
                }
            cell.write_time = now;
            cell.write_warp = static_cast<uint8_t>(warp.id);
            cell.write_lane = static_cast<uint8_t>(lane);
        } else {
            // Two lanes of the warp that read it: another lane's write conflicts with one of them at least.
            const bool again = cell.read_time[warp.id] == now && cell.read_lane[warp.id] != lane;
            cell.read_time[warp.id] = now;
            cell.read_lane[warp.id] = again ? several_lanes : static_cast<uint8_t>(lane);
        }
    }
}

void begin_global_races() { global_cells().clear(); }

void check_global_race(const Warp& warp, const Instruction& instruction, int lane, uint64_t address, uint32_t bytes,
                       bool write) {
    const uint64_t block = warp.block->linear;
    for (uint64_t byte = address; byte < address + bytes; ++byte) {
        GlobalCell& cell = global_cells().at(byte);
        const bool other_wrote = cell.writer != ~uint64_t{0} && cell.writer != block;
        const bool other_read = cell.reader != ~uint64_t{0} && (cell.several_readers || cell.reader != block);
        if (other_wrote || (write && other_read)) {
            report(warp, instruction, lane, Fault::global_race,
                   std::string(write ? "write" : "read") + " of what block " +
                       std::to_string(other_wrote ? cell.writer : cell.reader) + (other_wrote ? " wrote" : " read") +
                       " in the same launch, without an atomic operation");
            return;
        }
        if (write) {
            cell.writer = block;
        } else {
            cell.several_readers |= cell.reader != ~uint64_t{0} && cell.reader != block;
            cell.reader = block;
        }
    }
}

}  // namespace xbench::ptx
