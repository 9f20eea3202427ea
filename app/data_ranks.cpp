// A signal is remembered, the work notices it between two steps, and nothing half-written is left.
#include "app/data_ranks.h"

#include <cstdio>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {

void in_order(const std::function<void(const InterruptGuard&)>& work) {
    std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error message like a full disk
    try {
        const InterruptGuard guard;
        work(guard);
    } catch (const Error& error) {
        if (InterruptGuard::signal() == 0) throw;
        fmt::print(stderr, "{}\n", error.what());
        std::signal(InterruptGuard::signal(), SIG_DFL);
        std::raise(InterruptGuard::signal());
    }
}

std::unique_ptr<Communicator> connect_ranks() {
    const int started = ranks_from_environment();
    if (started == 1) return nullptr;
    std::unique_ptr<Communicator> ranks = mpi_connector() == nullptr ? nullptr : mpi_connector()();
    if (ranks == nullptr || ranks->size() != started) {
        throw UsageError(fmt::format("{} processes were started that do not know of each other", started), "launcher",
                         "start one process, or use the mpirun of the MPI that xbench was built with");
    }
    return ranks;
}

}  // namespace xbench
