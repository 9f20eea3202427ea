// A team of threads that call kernels together.
#pragma once

#include "core/hardware.h"
#include "kernels/kernel.h"

#include <omp.h>

namespace xbench {

inline void team_barrier() {
#pragma omp barrier
}
inline void lone_barrier() {}

// Calls body(Team) on `threads` threads at once; on the caller's alone when there is one. The body must not throw.
template <class Body>
void run_team(int threads, Body&& body) {
    if (threads == 1) {
        flush_denormals();
        body(Team{0, 1, lone_barrier});
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        flush_denormals();
        body(Team{omp_get_thread_num(), omp_get_num_threads(), team_barrier});
    }
}

}  // namespace xbench
