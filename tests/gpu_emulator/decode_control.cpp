// Branches, the ends of threads, barriers, and what has no effect here: fences (memory is sequentially consistent),
// prefetches.
#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {
namespace {

void trap(Warp& warp, const Instruction& instruction) {
    report(warp, instruction, __builtin_ctz(warp.active), Fault::trap, "the kernel gave up");
    warp.block->failed = true;
}

// Of a named barrier, without waiting: the warp counts as come.
void arrive_at_barrier(Warp& warp, const Instruction& i) {
    const auto lane = static_cast<size_t>(__builtin_ctz(warp.active));
    Block::Arrivals& arrivals = warp.block->arrivals[warp.lanes<uint32_t>(i.a)[lane] % warp.block->arrivals.size()];
    arrivals.threads += warp_lanes;
    arrivals.wanted = warp.lanes<uint32_t>(i.b)[lane];
    ++warp.block->progress;
    if (!warp.block->races) return;
    join(arrivals.clock, warp.block->races->clock(warp.id));
    warp.block->races->tick(warp.id);
}

Execute barrier(Decode& d) {
    Instruction& i = d.instruction();
    const Statement& s = d.statement();
    i.counted_as = Class::barrier;
    i.taint = Taint::ignore;
    if (s.has("warp")) {
        i.warp_barrier = true;
        d.sync(d.source(0, 4));
        return no_operation;
    }
    if (s.has("arrive")) {
        i.a = d.source(0, 4);
        i.b = d.source(1, 4);
        return arrive_at_barrier;
    }
    i.control = Control::barrier;
    if (!s.has("red")) {
        i.a = d.source(0, 4);
        if (s.operands.size() > 1) i.b = d.source(1, 4);
        return no_operation;
    }
    i.mode = s.has("popc") ? 1 : s.has("and") ? 2 : 3;
    i.d = d.result();
    i.a = d.source(1, 4);
    if (s.operands.size() == 4) i.b = d.source(2, 4);
    i.c = d.predicate(s.operands.size() - 1);
    return no_operation;
}

}  // namespace

Execute decode_control(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    const std::string& name = s.name();
    i.counted_as = Class::control;
    if (name == "bra" || name == "brx") {
        i.control = name == "bra" ? Control::branch : Control::branch_indexed;
        if (name == "bra") {
            i.target = s.targets.at(0);
        } else {
            i.a = d.source(0, 4);
            i.target = static_cast<uint32_t>(d.kernel().tables.size());
            d.kernel().tables.push_back(s.targets);
        }
        return no_operation;
    }
    if (name == "ret" || name == "exit") {
        i.control = Control::exit;
        return no_operation;
    }
    if (name == "trap") return trap;
    if (name == "bar" || name == "barrier") return s.has("cluster") ? no_operation : barrier(d);
    if (name == "membar" || name == "fence" || name == "prefetch" || name == "prefetchu" || name == "nanosleep" ||
        name == "discard" || name == "pmevent" || name == "setmaxnreg" || name == "griddepcontrol" ||
        name == "applypriority") {
        i.taint = Taint::ignore;
        return no_operation;
    }
    i.counted_as = Class::integer;
    return nullptr;
}

}  // namespace xbench::ptx
