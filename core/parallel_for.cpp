// How many cores this process may use.
#include "core/parallel_for.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace xbench {

int usable_cores() {
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace xbench
