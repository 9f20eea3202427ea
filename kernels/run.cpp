// A workspace, a team, one kernel.
#include "kernels/run.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>

#include "kernels/team.h"

namespace xbench {
namespace {

struct AlignedDelete {
    void operator()(char* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using Workspace = std::unique_ptr<char[], AlignedDelete>;

// Filled with NaN patterns: its contents are undefined, and a kernel that relies on zeros shall not get them by luck.
Workspace make_workspace(const Kernel& kernel, const KernelArgs& args, int threads) {
    const size_t bytes = kernel.workspace ? kernel.workspace(args, threads) : 0;
    if (bytes == 0) return nullptr;
    Workspace workspace(static_cast<char*>(::operator new[](bytes, std::align_val_t{64})));
    std::memset(workspace.get(), 0xFF, bytes);
    return workspace;
}

}  // namespace

void run_kernel(const Kernel& kernel, KernelArgs args, int threads) {
    const Workspace workspace = make_workspace(kernel, args, threads);
    args.workspace = workspace.get();
    run_team(threads, [&](const Team& team) { kernel.run(args, team); });
}

void time_kernel(const Kernel& kernel, KernelArgs args, int threads, int repeats, double* seconds) {
    using Clock = std::chrono::steady_clock;
    const Workspace workspace = make_workspace(kernel, args, threads);
    args.workspace = workspace.get();
    run_team(threads, [&](const Team& team) {
        for (int i = 0; i < repeats; ++i) {
            const auto start = Clock::now();
            kernel.run(args, team);
            team.barrier();
            if (team.rank == 0) seconds[i] = std::chrono::duration<double>(Clock::now() - start).count();
        }
    });
}

}  // namespace xbench
