// How many cores this process may use: its affinity, within the quota of its control groups.
#include "core/parallel_for.h"

#include <algorithm>
#include "core/cpu_quota.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace xbench {

int usable_cores() {
    static const double quota = cpu_quota();
    const auto within = [](int cores) {
        return std::max(1, quota > 0 ? std::min(cores, static_cast<int>(quota + 1e-6)) : cores);
    };
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return within(CPU_COUNT(&allowed));
#endif
    return within(static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace xbench
