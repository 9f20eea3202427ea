// Blocks, loops and liveness: small textbook passes (Aho, Lam, Sethi and Ullman, 2006, chapters 8 and 9).
#include "tests/gpu_emulator/control_flow.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "tests/gpu_emulator/instruction.h"

namespace xbench::ptx {
namespace {

bool ends(const Statement& s) { return s.name() == "ret" || s.name() == "exit" || s.name() == "trap"; }

bool is_sync(const Statement& s) {
    return s.opcode.find(".sync") != std::string::npos || s.opcode.find(".aligned") != std::string::npos ||
           s.name() == "bar" || s.name() == "barrier" || s.name() == "elect";
}

std::vector<uint32_t> successors(const ParsedKernel& kernel, uint32_t at) {
    const Statement& s = kernel.statements[at];
    std::vector<uint32_t> all = s.targets;
    const bool leaves = ends(s) || !s.targets.empty();
    if (!(leaves && s.guard < 0) && at + 1 < kernel.statements.size()) all.push_back(at + 1);
    return all;
}

class Order {
public:
    explicit Order(const std::vector<std::vector<uint32_t>>& after)
        : after_(after), before_(after.size()), depth_(after.size()), state_(after.size()) {
        for (uint32_t b = 0; b < after.size(); ++b)
            for (const uint32_t next : after[b]) before_[next].push_back(b);
    }

    // The position of each block.
    std::vector<uint32_t> run() {
        find_back_edges();
        count_depths();
        std::fill(state_.begin(), state_.end(), 0);
        walk();
        std::vector<uint32_t> position(after_.size(), static_cast<uint32_t>(after_.size()));
        for (size_t i = 0; i < post_.size(); ++i) position[post_[i]] = static_cast<uint32_t>(post_.size() - 1 - i);
        return position;
    }

private:
    struct Visit {
        uint32_t block;
        std::vector<uint32_t> next;
        size_t done = 0;
    };

    void find_back_edges() {
        std::vector<Visit> stack{{0, after_[0]}};
        for (state_[0] = 1; !stack.empty();) {
            Visit& top = stack.back();
            if (top.done == top.next.size()) {
                state_[top.block] = 2;
                stack.pop_back();
                continue;
            }
            const uint32_t to = top.next[top.done++];
            if (state_[to] == 1) back_.push_back({top.block, to});
            if (state_[to] != 0) continue;
            state_[to] = 1;
            stack.push_back({to, after_[to]});
        }
    }
    // In how many loops a block lies.
    void count_depths() {
        std::map<uint32_t, std::set<uint32_t>> loops;
        for (const auto& [from, head] : back_) {
            std::set<uint32_t>& inside = loops[head];
            inside.insert(head);
            for (std::vector<uint32_t> todo{from}; !todo.empty();) {
                const uint32_t block = todo.back();
                todo.pop_back();
                if (inside.insert(block).second) todo.insert(todo.end(), before_[block].begin(), before_[block].end());
            }
        }
        for (const auto& [head, inside] : loops)
            for (const uint32_t block : inside) ++depth_[block];
    }
    void walk() {
        const auto sorted = [&](uint32_t block) {
            std::vector<uint32_t> next = after_[block];
            std::stable_sort(next.begin(), next.end(), [&](uint32_t x, uint32_t y) { return depth_[x] < depth_[y]; });
            return next;
        };
        std::vector<Visit> stack{{0, sorted(0)}};
        for (state_[0] = 1; !stack.empty();) {
            Visit& top = stack.back();
            if (top.done == top.next.size()) {
                post_.push_back(top.block);
                stack.pop_back();
                continue;
            }
            const uint32_t to = top.next[top.done++];
            if (state_[to] != 0) continue;
            state_[to] = 1;
            stack.push_back({to, sorted(to)});
        }
    }

    const std::vector<std::vector<uint32_t>>& after_;
    std::vector<std::vector<uint32_t>> before_;
    std::vector<uint32_t> depth_, post_;
    std::vector<uint8_t> state_;
    std::vector<std::pair<uint32_t, uint32_t>> back_;
};

// Live registers at the ends of blocks, as bit sets.
class Liveness {
public:
    Liveness(const ParsedKernel& kernel, const ControlFlow& flow)
        : words_((kernel.registers.size() + 63) / 64), in(flow.after.size(), Bits(words_)), out(in) {
        std::vector<Bits> uses(in), defines(in);
        for (size_t b = 0; b < flow.after.size(); ++b)
            for (uint32_t i = flow.begins[b]; i < flow.begins[b + 1]; ++i)
                visit_registers(
                    kernel.statements[i],
                    [&](int r) {
                        if (!has(defines[b], r)) set(uses[b], r);
                    },
                    [&](int r) { set(defines[b], r); });
        for (bool changed = true; changed;) {
            changed = false;
            for (size_t b = flow.after.size(); b-- > 0;)
                for (size_t w = 0; w < words_; ++w) {
                    uint64_t live = 0;
                    for (const uint32_t next : flow.after[b]) live |= in[next][w];
                    out[b][w] = live;
                    const uint64_t now = uses[b][w] | (live & ~defines[b][w]);
                    changed |= now != in[b][w];
                    in[b][w] = now;
                }
        }
    }
    using Bits = std::vector<uint64_t>;
    static bool has(const Bits& bits, int r) { return bits[static_cast<size_t>(r) / 64] >> (r % 64) & 1; }
    static void set(Bits& bits, int r) { bits[static_cast<size_t>(r) / 64] |= uint64_t{1} << (r % 64); }

private:
    size_t words_;

public:
    std::vector<Bits> in, out;
};

struct Interval {
    int reg;
    uint32_t first, last, bytes;
};

std::vector<Interval> intervals(const ParsedKernel& kernel, const ControlFlow& flow) {
    const Liveness live(kernel, flow);
    std::vector<uint32_t> first(kernel.registers.size(), ~0u), last(kernel.registers.size(), 0);
    const auto touch = [&](int r, uint32_t at) {
        first[static_cast<size_t>(r)] = std::min(first[static_cast<size_t>(r)], at);
        last[static_cast<size_t>(r)] = std::max(last[static_cast<size_t>(r)], at);
    };
    for (size_t b = 0; b < flow.after.size(); ++b) {
        for (uint32_t i = flow.begins[b]; i < flow.begins[b + 1]; ++i)
            visit_registers(
                kernel.statements[i], [&](int r) { touch(r, 2 * i); }, [&](int r) { touch(r, 2 * i + 1); });
        for (int r = 0; r < static_cast<int>(kernel.registers.size()); ++r) {
            if (Liveness::has(live.in[b], r)) touch(r, 2 * flow.begins[b]);
            if (Liveness::has(live.out[b], r)) touch(r, 2 * flow.begins[b + 1] - 1);
        }
    }
    std::vector<Interval> all;
    for (int r = 0; r < static_cast<int>(kernel.registers.size()); ++r) {
        const Register& reg = kernel.registers[static_cast<size_t>(r)];
        if (first[static_cast<size_t>(r)] == ~0u || !reg.special.empty()) continue;
        const uint32_t bytes = reg.predicate ? register_grain : reg.bytes * uint32_t{warp_lanes};
        all.push_back({r, first[static_cast<size_t>(r)], last[static_cast<size_t>(r)], bytes});
    }
    std::sort(all.begin(), all.end(), [](const Interval& x, const Interval& y) { return x.first < y.first; });
    return all;
}

}  // namespace

bool has_result(const Statement& s) {
    static const std::set<std::string> without{
        "st",    "red",        "bra",       "brx",      "ret",           "exit",          "cp",        "membar",
        "fence", "prefetch",   "prefetchu", "stmatrix", "trap",          "discard",       "nanosleep", "call",
        "wgmma", "setmaxnreg", "pmevent",   "brkpt",    "applypriority", "griddepcontrol"};
    if (s.name() == "bar" || s.name() == "barrier") return s.has("red");
    if (s.name() == "mbarrier") return !s.operands.empty() && s.operands[0].kind == OperandKind::reg;
    return without.count(s.name()) == 0;
}

ControlFlow control_flow(const ParsedKernel& kernel) {
    const auto count = static_cast<uint32_t>(kernel.statements.size());
    ControlFlow flow;
    flow.leader.assign(count, 0);
    flow.leader[0] = 1;
    for (uint32_t i = 0; i < count; ++i) {
        const Statement& s = kernel.statements[i];
        for (const uint32_t target : s.targets) flow.leader[target] = 1;
        if ((ends(s) || !s.targets.empty()) && i + 1 < count) flow.leader[i + 1] = 1;
        if (is_sync(s)) flow.leader[i] = 1;
    }
    std::vector<uint32_t> block_of(count);
    for (uint32_t i = 0; i < count; ++i) {
        if (flow.leader[i]) flow.begins.push_back(i);
        block_of[i] = static_cast<uint32_t>(flow.begins.size() - 1);
    }
    flow.begins.push_back(count);
    for (size_t b = 0; b + 1 < flow.begins.size(); ++b) {
        flow.after.emplace_back();
        for (const uint32_t next : successors(kernel, flow.begins[b + 1] - 1)) flow.after.back().push_back(block_of[next]);
    }
    const std::vector<uint32_t> position = Order(flow.after).run();
    flow.order.assign(count, count);
    for (size_t b = 0; b + 1 < flow.begins.size(); ++b) flow.order[flow.begins[b]] = position[b];
    return flow;
}

uint32_t allocate_registers(const ParsedKernel& kernel, const ControlFlow& flow, std::vector<uint32_t>& offsets) {
    offsets.assign(kernel.registers.size(), no_register);
    uint32_t top = 0;
    std::vector<Interval> active;
    std::map<uint32_t, std::vector<uint32_t>> free;  // by size
    for (const Interval& next : intervals(kernel, flow)) {
        for (size_t i = 0; i < active.size();) {
            if (active[i].last >= next.first) {
                ++i;
                continue;
            }
            free[active[i].bytes].push_back(offsets[static_cast<size_t>(active[i].reg)]);
            active[i] = active.back();
            active.pop_back();
        }
        std::vector<uint32_t>& unused = free[next.bytes];
        uint32_t& offset = offsets[static_cast<size_t>(next.reg)];
        if (unused.empty()) {
            offset = top;
            top += next.bytes;
        } else {
            offset = unused.back();
            unused.pop_back();
        }
        active.push_back(next);
    }
    return top;
}

}  // namespace xbench::ptx
