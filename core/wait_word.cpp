// Sleeping and waking in the kernel (futex).
#include "core/wait_word.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace xbench {
namespace {

// Not one of the private kind: the word may lie in memory that processes share.
void futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* limit) {
    static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
    syscall(SYS_futex, &word, operation, value, limit, nullptr, 0);
}

}  // namespace

void WaitWord::store_and_wake(uint32_t value) noexcept {
    value_.store(value, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) wake();
}

void WaitWord::wake() noexcept { futex(value_, FUTEX_WAKE, INT_MAX, nullptr); }

void WaitWord::sleep_at(uint32_t seen, const timespec* limit) noexcept { futex(value_, FUTEX_WAIT, seen, limit); }

}  // namespace xbench
