// An allow-list of system calls by libseccomp. What is not on it fails with EPERM, so that a library that looks for a file
// takes it for missing; nothing of the system can be reached.
#include <seccomp.h>

#include <cerrno>

#include "data/import/worker/confine.h"

namespace xbench::worker {

bool confines_calls() { return true; }

void limit_calls() {
    constexpr int allowed[] = {
        SCMP_SYS(read),       SCMP_SYS(write),          SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),      SCMP_SYS(close),
        SCMP_SYS(mmap),       SCMP_SYS(munmap),         SCMP_SYS(mremap),  SCMP_SYS(mprotect),     SCMP_SYS(madvise),
        SCMP_SYS(brk),        SCMP_SYS(futex),          SCMP_SYS(fstat),   SCMP_SYS(newfstatat),   SCMP_SYS(exit),
        SCMP_SYS(exit_group), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),  SCMP_SYS(rt_sigreturn), SCMP_SYS(gettid),
        SCMP_SYS(tgkill),     SCMP_SYS(clock_gettime),  SCMP_SYS(lseek),   SCMP_SYS(getrandom),    SCMP_SYS(sched_yield)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == nullptr) return;
    for (const int call : allowed) seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    seccomp_load(filter);
    seccomp_release(filter);
}

}  // namespace xbench::worker
