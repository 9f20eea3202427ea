// Blocks of a launch: their warps in turns, their barriers; one block after the other, or all side by side where they may
// wait for each other.
#include <algorithm>
#include <atomic>
#include <cfenv>
#include <cstring>
#include <thread>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/sectors.h"
#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {
namespace {

constexpr uint64_t most_idle_rounds = 200;
constexpr int barriers = 16;  // of a block

uint32_t special_value(const Block& block, const Warp& warp, const Kernel& kernel, SpecialRegister which, uint32_t lane) {
    const uint32_t thread = warp.id * warp_lanes + lane;
    const auto& n = block.threads;
    switch (which) {
        case SpecialRegister::tid_x: return thread % n[0];
        case SpecialRegister::tid_y: return thread / n[0] % n[1];
        case SpecialRegister::tid_z: return thread / (n[0] * n[1]);
        case SpecialRegister::ntid_x: return n[0];
        case SpecialRegister::ntid_y: return n[1];
        case SpecialRegister::ntid_z: return n[2];
        case SpecialRegister::ctaid_x: return block.index[0];
        case SpecialRegister::ctaid_y: return block.index[1];
        case SpecialRegister::ctaid_z: return block.index[2];
        case SpecialRegister::nctaid_x: return block.grid[0];
        case SpecialRegister::nctaid_y: return block.grid[1];
        case SpecialRegister::nctaid_z: return block.grid[2];
        case SpecialRegister::laneid: return lane;
        case SpecialRegister::warpid: return warp.id;
        case SpecialRegister::lanemask_lt: return (1u << lane) - 1;
        case SpecialRegister::lanemask_le: return static_cast<uint32_t>((uint64_t{2} << lane) - 1);
        case SpecialRegister::lanemask_eq: return 1u << lane;
        case SpecialRegister::lanemask_ge: return ~((1u << lane) - 1);
        case SpecialRegister::lanemask_gt: return ~static_cast<uint32_t>((uint64_t{2} << lane) - 1);
        case SpecialRegister::warp_size: return warp_lanes;
        case SpecialRegister::dynamic_smem_size: return block.shared_bytes - kernel.shared_bytes;
        case SpecialRegister::total_smem_size: return block.shared_bytes - shared_begin;
        default: return 0;
    }
}

class BlockRunner {
public:
    BlockRunner(Kernel& kernel, const LaunchShape& shape, const void* parameters, std::vector<Counter>& counters)
        : kernel_(kernel), shape_(shape), parameters_(static_cast<const uint8_t*>(parameters)), counters_(counters) {}

    std::unique_ptr<Block> make() {
        auto block = std::make_unique<Block>();
        block->threads = shape_.threads;
        block->grid = shape_.grid;
        block->thread_count = shape_.threads[0] * shape_.threads[1] * shape_.threads[2];
        block->shared_bytes = kernel_.shared_bytes + shape_.dynamic_shared;
        block->parameters = parameters_;
        block->quick = !options().races && !options().counts;
        block->counting = options().counts;
        const uint32_t warps = (block->thread_count + warp_lanes - 1) / warp_lanes;
        block->registers.resize(size_t{kernel_.register_bytes} * warps + register_grain);
        block->taints.resize(size_t{kernel_.register_bytes / register_grain + 1} * warps);
        block->shared.resize(block->shared_bytes + 16);
        block->shared_shadow.resize(block->shared_bytes + 16);
        block->local.resize(size_t{kernel_.local_bytes} * warps * warp_lanes);
        block->local_shadow.resize(block->local.size());
        block->warps.resize(warps);
        for (uint32_t w = 0; w < warps; ++w) prepare(*block, w);
        return block;
    }

    // Before its first instruction.
    void start(Block& block, uint64_t number) const {
        block.linear = number;
        block.index = {static_cast<uint32_t>(number % shape_.grid[0]),
                       static_cast<uint32_t>(number / shape_.grid[0] % shape_.grid[1]),
                       static_cast<uint32_t>(number / shape_.grid[0] / shape_.grid[1])};
        block.progress = block.idle = 0;
        block.tensor_copies.clear();
        block.barrier_clocks.clear();
        block.arrivals.fill({});
        std::fill(block.shared_shadow.begin(), block.shared_shadow.end(), uint8_t{unwritten});
        std::fill(block.local_shadow.begin(), block.local_shadow.end(), uint8_t{unwritten});
        std::fill(block.taints.begin(), block.taints.end(), 0u);
        block.left = static_cast<uint32_t>(block.warps.size());
        if (options().races && block.races)
            block.races->restart();
        else if (options().races)
            block.races = std::make_unique<SharedRaces>(block.shared_bytes, kernel_.shared_grain, block.left);
        for (Warp& warp : block.warps) start(block, warp);
    }

    // All warps once. True: at least one of them got on.
    bool turn(Block& block) {
        bool moved = false;
        const uint64_t progress = block.progress;
        const uint32_t left = block.left;
        for (Warp& warp : block.warps) {
            if (warp.done || warp.barrier >= 0) continue;
            moved = true;
            if (run(warp) != WarpState::done) continue;
            warp.done = true;
            --block.left;
            if (!block.failed) finish_copies(warp, ~uint64_t{0});
        }
        if (block.failed) return false;
        for (int b = 0; b < barriers; ++b) moved |= release(block, b);
        const bool idle = block.progress == progress && block.left == left;
        block.idle = idle ? block.idle + 1 : 0;
        return moved;
    }
    // Whether no warp of the block can go on by itself.
    void check_deadlock(Block& block, bool moved) const {
        if (block.failed || block.left == 0) return;
        for (Warp& warp : block.warps) {
            if (!moved && warp.barrier >= 0) {
                report(warp, *warp.barrier_at, -1, Fault::barrier_deadlock,
                       "barrier " + std::to_string(warp.barrier) + " waits for warps that ended or wait elsewhere");
                block.failed = true;
                return;
            }
            if (block.idle > most_idle_rounds && !block.barrier_clocks.empty() && !warp.done && warp.barrier < 0 &&
                !warp.splits.empty()) {
                report(warp, kernel_.code[warp.splits[0].at], -1, Fault::barrier_deadlock,
                       "no warp of the block gets on: an mbarrier that nobody completes");
                block.failed = true;
                return;
            }
        }
    }

private:
    void prepare(Block& block, uint32_t w) const {
        Warp& warp = block.warps[w];
        auto base = reinterpret_cast<uintptr_t>(block.registers.data());
        base = (base + register_grain - 1) / register_grain * register_grain;
        warp.file = reinterpret_cast<uint8_t*>(base) + size_t{kernel_.register_bytes} * w;
        warp.taint = block.taints.data() + size_t{kernel_.register_bytes / register_grain + 1} * w;
        warp.id = w;
        warp.block = &block;
        warp.kernel = &kernel_;
        warp.counters = counters_.data();
        warp.local = block.local.data() + size_t{kernel_.local_bytes} * warp_lanes * w;
        warp.local_shadow = block.local_shadow.data() + size_t{kernel_.local_bytes} * warp_lanes * w;
        for (const Kernel::Constant& constant : kernel_.constants)
            std::memcpy(warp.file + constant.offset, constant.bytes.data(), constant.bytes.size());
    }
    void start(const Block& block, Warp& warp) const {
        const uint32_t lanes = std::min<uint32_t>(warp_lanes, block.thread_count - warp.id * warp_lanes);
        warp.alive = lanes == warp_lanes ? all_lanes : (1u << lanes) - 1;
        warp.splits = {{0, warp.alive, false, 0}};
        warp.barrier = -1;
        warp.steps = warp.copy_groups = warp.matrix_groups = 0;
        warp.yields = warp.done = warp.any_taint = false;
        warp.copies.clear();
        warp.matrices.clear();
        for (const Kernel::Special& special : kernel_.specials) {
            uint32_t* const values = warp.lanes<uint32_t>(special.offset);
            for (uint32_t l = 0; l < warp_lanes; ++l) values[l] = special_value(block, warp, kernel_, special.which, l);
        }
    }
    // Lets the warps at this barrier go on when all that it waits for have come.
    bool release(Block& block, int barrier) const {
        const Block::Arrivals arrivals = block.arrivals[static_cast<size_t>(barrier)];
        uint32_t come = 0, wanted = arrivals.wanted, alive = 0, yes = 0, voters = 0;
        for (const Warp& warp : block.warps) {
            alive += static_cast<uint32_t>(__builtin_popcount(warp.alive));
            if (warp.barrier != barrier) continue;
            const auto threads = static_cast<uint32_t>(__builtin_popcount(warp.alive));
            come += warp.barrier_threads ? (threads + warp_lanes - 1) / warp_lanes * warp_lanes : threads;
            wanted = std::max(wanted, warp.barrier_threads);
            const Instruction& i = *warp.barrier_at;
            if (i.mode == 0) continue;
            yes += static_cast<uint32_t>(__builtin_popcount((warp.mask(i.c) ^ (i.negated ? all_lanes : 0)) & warp.alive));
            voters += threads;
        }
        come += arrivals.threads;
        if (come == 0 || come < (wanted ? wanted : alive)) return false;
        ++block.progress;
        block.arrivals[static_cast<size_t>(barrier)] = {};
        Clock all = arrivals.clock;
        if (block.races)
            for (const Warp& warp : block.warps)
                if (warp.barrier == barrier) join(all, block.races->clock(warp.id));
        for (Warp& warp : block.warps) {
            if (warp.barrier != barrier) continue;
            warp.barrier = -1;
            if (block.races) {
                join(block.races->clock(warp.id), all);
                block.races->tick(warp.id);
            }
            give_vote(warp, yes, voters);
        }
        return true;
    }
    static void give_vote(Warp& warp, uint32_t yes, uint32_t voters) {
        const Instruction& i = *warp.barrier_at;
        if (i.mode == 0) return;
        warp.active = warp.alive;
        if (i.mode == 1) {
            std::fill_n(warp.lanes<uint32_t>(i.d), warp_lanes, yes);
            return;
        }
        warp.set_mask(i.d, (i.mode == 2 ? yes == voters : yes > 0) ? all_lanes : 0);
    }

    Kernel& kernel_;
    const LaunchShape& shape_;
    const uint8_t* parameters_;
    std::vector<Counter>& counters_;
};

// Blocks in the order of their numbers; one that only spins makes room for the next, up to `most` at a time.
bool run_grid(BlockRunner& runner, uint64_t count, size_t most) {
    std::vector<std::unique_ptr<Block>> running, spare;
    for (uint64_t next = 0; next < count || !running.empty();) {
        if (running.size() < most && next < count && (running.empty() || most > 1)) {
            if (spare.empty()) spare.push_back(runner.make());
            running.push_back(std::move(spare.back()));
            spare.pop_back();
            runner.start(*running.back(), next++);
            if (running.size() < most && next < count && most > 1 && running.size() < count) continue;
        }
        for (size_t b = 0; b < running.size();) {
            Block& block = *running[b];
            const bool moved = runner.turn(block);
            runner.check_deadlock(block, moved);
            if (block.failed) return false;
            if (block.left > 0) {
                ++b;
                continue;
            }
            spare.push_back(std::move(running[b]));
            running.erase(running.begin() + static_cast<ptrdiff_t>(b));
        }
    }
    return true;
}

// Blocks of their own on several threads, for launches where nothing but the result is asked for.
bool run_on_threads(Kernel& kernel, const LaunchShape& shape, const void* parameters, uint64_t count) {
    std::atomic<uint64_t> next{0};
    std::atomic<bool> good{true};
    const auto work = [&] {
        std::vector<Counter> counters(kernel.code.size());
        BlockRunner runner(kernel, shape, parameters, counters);
        const std::unique_ptr<Block> block = runner.make();
        for (uint64_t number; good && (number = next++) < count;) {
            runner.start(*block, number);
            while (block->left > 0 && !block->failed) runner.check_deadlock(*block, runner.turn(*block));
            if (block->failed) good = false;
        }
    };
    std::vector<std::thread> others;
    for (int t = 1; t < options().threads; ++t) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    return good;
}

// A program may have its threads take subnormal numbers for zero; a GPU does not ask it.
class OwnRounding {
public:
    OwnRounding() {
        std::fegetenv(&outside_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~OwnRounding() { std::fesetenv(&outside_); }
    OwnRounding(const OwnRounding&) = delete;
    OwnRounding& operator=(const OwnRounding&) = delete;

private:
    std::fenv_t outside_{};
};

}  // namespace

bool launch(Kernel& kernel, const LaunchShape& shape, const void* parameters) {
    const OwnRounding own;
    const uint64_t count = uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2];
    ++kernel.launches;
    if (options().threads > 1 && count > 1 && !options().races && !options().counts && !shape.cooperative)
        return run_on_threads(kernel, shape, parameters, count);
    if (options().races) begin_global_races();
    if (options().counts) begin_sectors();
    std::vector<Counter> counters(kernel.code.size());
    BlockRunner runner(kernel, shape, parameters, counters);
    const bool good = run_grid(runner, count, shape.cooperative ? count : 1);
    if (!options().counts) return good;
    for (size_t i = 0; i < counters.size(); ++i) kernel.counters[i] += counters[i];
    ++kernel.counted_launches;
    kernel.counted_blocks += count;
    kernel.last_threads = shape.threads[0] * shape.threads[1] * shape.threads[2];
    kernel.last_dynamic_shared = shape.dynamic_shared;
    end_sectors(kernel);
    return good;
}

}  // namespace xbench::ptx
