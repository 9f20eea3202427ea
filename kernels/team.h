// A team of threads that call kernels together.
#pragma once

#include "core/hardware.h"
#include "core/wait_word.h"
#include "kernels/kernel.h"

#include <omp.h>

#include <atomic>

namespace xbench {

// Where the threads of a team wait for each other. OpenMP's own barrier spins for milliseconds before it gives way, also
// where ranks have more threads than the machine has cores.
class TeamMeeting {
public:
    void meet(int size);

private:
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) WaitWord round_;
};

// Throws Error where OpenMP gives a team fewer threads than asked for (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS): a figure
// for 2 threads must not be one of 1.
void check_team(int threads);

// The most threads that OpenMP gives a team (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS).
inline int most_team_threads() { return omp_get_max_active_levels() < 1 ? 1 : omp_get_thread_limit(); }

// Calls body(Team) on `threads` threads at once; on the caller's alone when there is one. The body must not throw.
template <class Body>
void run_team(int threads, Body&& body) {
    if (threads == 1) {
        flush_denormals();
        body(Team{0, 1, nullptr});
        return;
    }
    TeamMeeting meeting;
#pragma omp parallel num_threads(threads)
    {
        flush_denormals();
        body(Team{omp_get_thread_num(), omp_get_num_threads(), &meeting});
    }
}

}  // namespace xbench
