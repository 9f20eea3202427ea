// How a warp goes through its kernel. There is no stack of reconvergence points: a warp is a list of splits, and the one
// whose block comes first in the kernel's order runs, so that lanes meet again where they can. A split that comes to a .sync
// instruction waits until all lanes of the mask stand there. So code runs that a stack would hang on: __syncwarp in both
// branches, spin locks inside a warp.
#include "tests/gpu_emulator/warp.h"

#include <algorithm>

#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

constexpr uint64_t slice_steps = 200000, longest_wait = 100000;  // instructions

class Walk {
public:
    explicit Walk(Warp& warp) : warp_(warp), kernel_(*warp.kernel) {}

    WarpState run() {
        for (const uint64_t begin = warp_.steps;;) {
            merge();
            if (warp_.splits.empty()) return WarpState::done;
            const int chosen = choose();
            if (chosen < 0) {
                if (!meet_at_warp_barriers()) return deadlock();
                continue;
            }
            const Next next = run_split(static_cast<size_t>(chosen));
            if (warp_.block->failed) return WarpState::done;
            if (next == Next::at_barrier) return WarpState::at_barrier;
            if (next == Next::slice || warp_.steps - begin > slice_steps) return WarpState::slice;
        }
    }

private:
    enum class Next { choose, at_barrier, slice };

    Split& split(size_t s) { return warp_.splits[s]; }
    void remove(size_t s) {
        warp_.splits[s] = warp_.splits.back();
        warp_.splits.pop_back();
    }
    void add(uint32_t at, uint32_t lanes) { warp_.splits.push_back({at, lanes, false, warp_.steps}); }

    // Splits at one place become one.
    void merge() {
        auto& splits = warp_.splits;
        for (size_t a = 0; a < splits.size(); ++a)
            for (size_t b = a + 1; b < splits.size();) {
                if (splits[a].at != splits[b].at) {
                    ++b;
                    continue;
                }
                splits[a].lanes |= splits[b].lanes;
                splits[a].waits = false;
                remove(b);
            }
    }
    // -1: all wait.
    int choose() {
        const auto& splits = warp_.splits;
        int best = -1;
        for (size_t s = 0; s < splits.size(); ++s) {
            if (splits[s].waits) continue;
            if (splits.size() > 1 && warp_.steps - splits[s].last_ran > longest_wait)
                return static_cast<int>(s);  // nobody starves
            if (best < 0 || kernel_.order[splits[s].at] < kernel_.order[splits[static_cast<size_t>(best)].at])
                best = static_cast<int>(s);
        }
        return best;
    }
    // __syncwarp() in both branches of an if: lanes meet at different instructions.
    bool meet_at_warp_barriers() {
        uint32_t here = 0, wanted = 0;
        for (const Split& s : warp_.splits) {
            const Instruction& i = kernel_.code[s.at];
            if (!i.warp_barrier) return false;
            here |= s.lanes;
            wanted |= warp_.lanes<uint32_t>(i.mask)[__builtin_ctz(s.lanes)];
        }
        if ((here & wanted & warp_.alive) != (wanted & warp_.alive)) return false;
        for (Split& s : warp_.splits) {
            ++s.at;
            s.waits = false;
        }
        if (warp_.block->races) warp_.block->races->tick(warp_.id);
        return true;
    }
    WarpState deadlock() {
        const Split& s = warp_.splits.front();
        const Instruction& i = kernel_.code[s.at];
        const bool barrier = i.control == Control::barrier;
        char text[120];
        std::snprintf(text, sizeof text, "lanes %08x stand here, lanes %08x %s", s.lanes, warp_.alive & ~s.lanes,
                      barrier ? "are elsewhere" : "never come");
        report(warp_, i, __builtin_ctz(s.lanes), barrier ? Fault::divergent_barrier : Fault::wrong_mask, text);
        warp_.block->failed = true;
        warp_.splits.clear();
        warp_.alive = 0;
        return WarpState::done;
    }

    uint32_t executing(const Instruction& i, uint32_t lanes) const {
        if (i.guard == no_register) return lanes;
        const uint32_t guard = warp_.mask(i.guard);
        return lanes & (i.guard_negated ? ~guard : guard);
    }

    static void count(Counter& counter, uint32_t active) {
        ++counter.warps;
        counter.lanes += static_cast<uint64_t>(__builtin_popcount(active));
    }

    // Code that nothing interrupts: no guards, no counts, no undefined values. Returns how far it came: an instruction may
    // find one.
    uint32_t run_plain(uint32_t at, uint32_t lanes) {
        warp_.active = lanes;
        const Instruction* i = &kernel_.code[at];
        const Instruction* const end = i + kernel_.plain[at];
        do {
            i->execute(warp_, *i);
            ++i;
        } while (i != end && !warp_.any_taint && !warp_.block->failed);
        const auto came = static_cast<uint32_t>(i - &kernel_.code[0]);
        warp_.steps += came - at;
        return came;
    }

    // Until lanes part, or stand where others may join them.
    Next run_split(size_t s) {
        uint32_t at = split(s).at, lanes = split(s).lanes;
        const bool several = warp_.splits.size() > 1;
        for (bool first = true;; first = false) {
            if (!first && several && kernel_.leader[at]) {
                split(s) = {at, lanes, false, warp_.steps};
                return Next::choose;
            }
            if (kernel_.plain[at] > 0 && !warp_.block->counting && !warp_.any_taint) {
                at = run_plain(at, lanes);
                if (warp_.block->failed) return Next::choose;
                continue;
            }
            const Instruction& i = kernel_.code[at];
            const uint32_t active = executing(i, lanes);
            if (warp_.block->counting) count(warp_.counters[at], active);
            ++warp_.steps;
            if (warp_.any_taint) check_guard(i, lanes);
            if (i.control == Control::next) {
                if (active) execute(i, active);
                if (warp_.block->failed) return Next::choose;
                ++at;
                continue;
            }
            split(s).at = at;
            split(s).lanes = lanes;
            Next next = Next::choose;
            if (control(s, i, active, at, lanes, next)) return next;
        }
    }

    // True: the split's walk ends here (for now); else it goes on at `at` with `lanes`.
    bool control(size_t s, const Instruction& i, uint32_t active, uint32_t& at, uint32_t& lanes, Next& next) {
        switch (i.control) {
            case Control::branch: return branch(s, i, active, at, lanes, next);
            case Control::exit: return leave(s, active, at, lanes);
            default: break;
        }
        if (!active) {
            ++at;
            return false;
        }
        if (active != lanes) {  // a guarded synchronisation parts the warp
            split(s) = {at, active, false, warp_.steps};
            add(at + 1, lanes & ~active);
            return true;
        }
        if (i.control == Control::branch_indexed) return branch_indexed(s, i, active, at);
        if (i.control == Control::barrier) return block_barrier(s, i, active, at, next);
        return warp_sync(s, i, active, at);
    }

    bool branch(size_t s, const Instruction& i, uint32_t active, uint32_t& at, uint32_t lanes, Next& next) {
        if (!active) {
            ++at;
            return false;
        }
        if (active != lanes) {
            if (warp_.block->counting) ++warp_.counters[at].divergent;
            split(s) = {i.target, active, false, warp_.steps};
            add(at + 1, lanes & ~active);
            return true;
        }
        const bool back = i.target <= at;
        at = i.target;
        if (back && (warp_.yields || warp_.steps % slice_steps < 64)) {
            warp_.yields = false;
            split(s) = {at, lanes, false, warp_.steps};
            next = Next::slice;
            return true;
        }
        return false;
    }
    bool branch_indexed(size_t s, const Instruction& i, uint32_t active, uint32_t at) {
        const uint32_t* const index = warp_.lanes<uint32_t>(i.a);
        const uint32_t first = index[__builtin_ctz(active)];
        uint32_t same = 0;
        for (int l = 0; l < warp_lanes; ++l) same |= static_cast<uint32_t>(index[l] == first) << l;
        same &= active;
        split(s) = {kernel_.tables[i.target].at(first), same, false, warp_.steps};
        if (active & ~same) add(at, active & ~same);
        return true;
    }
    bool leave(size_t s, uint32_t active, uint32_t& at, uint32_t& lanes) {
        warp_.alive &= ~active;
        lanes &= ~active;
        if (!lanes) {
            remove(s);
            return true;
        }
        split(s).lanes = lanes;
        ++at;
        return false;
    }
    bool block_barrier(size_t s, const Instruction& i, uint32_t active, uint32_t at, Next& next) {
        if (active != warp_.alive) {
            split(s).waits = true;
            return true;
        }
        split(s).at = at + 1;
        const auto lane = static_cast<size_t>(__builtin_ctz(active));
        warp_.barrier = static_cast<int>(warp_.lanes<uint32_t>(i.a)[lane]);
        warp_.barrier_threads = i.b == no_register ? 0 : warp_.lanes<uint32_t>(i.b)[lane];
        warp_.barrier_at = &i;
        next = Next::at_barrier;
        return true;
    }
    bool warp_sync(size_t s, const Instruction& i, uint32_t active, uint32_t& at) {
        const uint32_t* const masks = warp_.lanes<uint32_t>(i.mask);
        uint32_t wanted = 0;
        for (uint32_t left = active; left; left &= left - 1) {
            const int l = __builtin_ctz(left);
            wanted |= masks[l];
            if (!(masks[l] >> l & 1)) {
                report(warp_, i, l, Fault::wrong_mask, "the lane is not in its own mask");
                warp_.block->failed = true;
                return true;
            }
        }
        wanted &= warp_.alive;
        if ((active & wanted) != wanted) {
            split(s).waits = true;
            return true;
        }
        if (i.warp_barrier) {
            if (warp_.block->races) warp_.block->races->tick(warp_.id);
        } else {
            execute(i, active);
            if (warp_.block->failed) return true;
        }
        ++at;
        return false;
    }

    void execute(const Instruction& i, uint32_t active) {
        warp_.active = active;
        if (!warp_.any_taint) return i.execute(warp_, i);
        const uint32_t undefined = read_taint(i) & active;
        if (undefined && (i.taint == Taint::load || i.taint == Taint::store || i.taint == Taint::asynchronous))
            check_address(i, active);
        const uint32_t before_c = i.taint == Taint::select ? select_taint(i) & active : undefined;
        i.execute(warp_, i);
        switch (i.taint) {
            case Taint::lanewise: return write_taint(i, active, undefined);
            case Taint::select: return write_taint(i, active, before_c);
            case Taint::whole_warp: return write_taint(i, active, undefined ? active : 0);
            default: return;  // the routine itself, or nothing
        }
    }
    uint32_t read_taint(const Instruction& i) const {
        uint32_t lanes = 0;
        for (int r = 0; r < i.read_count; ++r) lanes |= warp_.taint[i.reads[r]];
        return lanes;
    }
    // selp reads only one of its values; constants have no entry among the reads.
    uint32_t select_taint(const Instruction& i) const {
        const uint32_t chosen = warp_.mask(i.c) ^ (i.negated ? all_lanes : 0);
        const auto of = [&](uint32_t reg) { return warp_.taint[reg / register_grain]; };
        return (of(i.a) & chosen) | (of(i.b) & ~chosen) | of(i.c);
    }
    void write_taint(const Instruction& i, uint32_t active, uint32_t undefined) {
        for (int w = 0; w < i.write_count; ++w) warp_.taint[i.writes[w]] = (warp_.taint[i.writes[w]] & ~active) | undefined;
    }
    void check_address(const Instruction& i, uint32_t active) {
        if (i.a == no_register) return;
        uint32_t& lanes = warp_.taint[i.a / register_grain];
        if (!(lanes & active)) return;
        report(warp_, i, __builtin_ctz(lanes & active), Fault::unwritten, "a value that nobody wrote becomes an address");
        lanes &= ~active;
    }
    void check_guard(const Instruction& i, uint32_t lanes) {
        if (i.guard == no_register || i.control == Control::next) return;
        uint32_t& undefined = warp_.taint[i.guard / register_grain];
        if (!(undefined & lanes)) return;
        report(warp_, i, __builtin_ctz(undefined & lanes), Fault::unwritten, "a value that nobody wrote decides a branch");
        undefined &= ~lanes;
    }

    Warp& warp_;
    const Kernel& kernel_;
};

}  // namespace

WarpState run(Warp& warp) { return Walk(warp).run(); }

}  // namespace xbench::ptx
