// Text of reports, and their counts.
#include "tests/gpu_emulator/report.h"

#include <cstdio>
#include <mutex>
#include <set>
#include <tuple>

#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {
namespace {

struct State {
    std::mutex mutex;
    uint64_t all = 0;
    std::array<uint64_t, faults> by_fault{};
    std::set<std::tuple<std::string, uint32_t, Fault>> printed;
    std::string last;
};

State& state() {
    static State state;
    return state;
}

void count(Fault fault, const std::string& text, bool print) {
    State& s = state();
    ++s.all;
    ++s.by_fault[static_cast<size_t>(fault)];
    s.last = text;
    if (print && !options().quiet) std::fprintf(stderr, "emulated GPU: %s\n", text.c_str());
}

}  // namespace

const char* name_of(Fault fault) {
    static constexpr const char* names[faults] = {"out of bounds",
                                                  "use after free",
                                                  "misaligned",
                                                  "never written",
                                                  "asynchronous copy not waited for",
                                                  "race in shared memory",
                                                  "race in global memory",
                                                  "barrier in divergent code",
                                                  "deadlock at a barrier",
                                                  "wrong mask",
                                                  "value of a lane that takes no part",
                                                  "mbarrier",
                                                  "missing fence.proxy.async",
                                                  "not implemented",
                                                  "the host touches device memory",
                                                  "matrix descriptor",
                                                  "trap",
                                                  "collective"};
    return names[static_cast<size_t>(fault)];
}

void report(const Warp& warp, const Instruction& instruction, int lane, Fault fault, const std::string& detail) {
    const Kernel& kernel = *warp.kernel;
    const Block& block = *warp.block;
    const auto at = static_cast<size_t>(&instruction - kernel.code.data());
    char where[160];
    const uint32_t thread = warp.id * warp_lanes + static_cast<uint32_t>(lane < 0 ? 0 : lane);
    std::snprintf(where, sizeof where, "block (%u,%u,%u), thread %u%s", block.index[0], block.index[1], block.index[2],
                  thread, lane < 0 ? " and its warp" : "");
    std::string text = kernel.name + ": " + name_of(fault) + ": " + detail + "; " + where + "; PTX line " +
                       std::to_string(instruction.line);
    if (instruction.source_line > 0) text += ", " + kernel.source_file + ":" + std::to_string(instruction.source_line);
    if (at < kernel.text.size()) text += ": " + kernel.text[at];
    const std::scoped_lock lock(state().mutex);
    count(fault, text, state().printed.insert({kernel.name, static_cast<uint32_t>(at), fault}).second);
}

void report(Fault fault, const std::string& detail) {
    const std::scoped_lock lock(state().mutex);
    count(fault, std::string(name_of(fault)) + ": " + detail, true);
}

uint64_t reports() { return state().all; }
uint64_t reports_of(Fault fault) { return state().by_fault[static_cast<size_t>(fault)]; }
const std::string& last_report() { return state().last; }

}  // namespace xbench::ptx
