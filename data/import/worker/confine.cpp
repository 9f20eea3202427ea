// Limits by setrlimit; the filter of calls is in calls_seccomp.cpp or calls_off.cpp.
#include "data/import/worker/confine.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace xbench::worker {

void confine() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return;
#endif
    const rlimit nothing{0, 0}, memory{most_memory_bytes, most_memory_bytes};
    ::setrlimit(RLIMIT_CORE, &nothing);
    ::setrlimit(RLIMIT_FSIZE, &nothing);
    ::setrlimit(RLIMIT_DATA, &memory);  // private memory that can be written: what is shared does not count
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit_calls();
}

}  // namespace xbench::worker
