// How a team meets.
#include "kernels/team.h"

#include <fmt/format.h>
#include <sched.h>

#include "core/error.h"
#include "core/pause_processor.h"

namespace xbench {
namespace {

// About 50 us, longer than threads of a team on cores of their own wait in most steps. Whoever waits longer may wait for one
// that has no core now, and gives way; and then, with a rank that waits for its peers, sleeps.
constexpr int spins = 1 << 10, yields = 1 << 8;

}  // namespace

void TeamMeeting::meet(int size) {
    const uint32_t round = round_.load();
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
        arrived_.store(0, std::memory_order_relaxed);
        round_.store_and_wake(round + 1);
        return;
    }
    const auto over = [&] { return round_.load() != round; };
    for (int i = 0; i < spins && !over(); ++i) pause_processor();
    for (int i = 0; i < yields && !over(); ++i) sched_yield();
    while (!over()) round_.sleep_unless([round](uint32_t seen) { return seen != round; });
}

void check_team(int threads) {
    if (threads <= 1) return;
    omp_set_dynamic(0);  // OMP_DYNAMIC would give fewer while others use the cores
    int given = 0;
#pragma omp parallel num_threads(threads)
    {
#pragma omp single
        given = omp_get_num_threads();
    }
    if (given < threads)
        throw Error(fmt::format("OpenMP gives {} of {} threads", given, threads), "threads",
                    "unset OMP_THREAD_LIMIT and OMP_MAX_ACTIVE_LEVELS, or ask for fewer threads");
}

void meet(TeamMeeting& meeting, int size) { meeting.meet(size); }

}  // namespace xbench
