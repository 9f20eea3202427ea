// A number that threads wait for, or processes that share its memory: whoever changes it wakes who sleeps.
//
// In place of std::atomic's wait and notify_all. libstdc++ leaves the wake-up out where it counts no sleeper, and a plain
// store of the new value may still be in the processor's store buffer when it counts: the sleeper then looks at the old
// value, and sleeps for ever (two threads of a training step did so, once in some hours). Here the store and the count, and
// the sleeper's count and look, are sequentially consistent, so that one of the two sees the other.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

namespace xbench {

class WaitWord {
public:
    uint32_t load() const noexcept { return value_.load(std::memory_order_acquire); }

    // What the caller wrote before is seen by whoever loads the new value.
    void store_and_wake(uint32_t value) noexcept;
    // Wakes everybody who sleeps, with the value as it is: they look at something else too.
    void wake() noexcept;

    // Sleeps unless is_over(value) holds, until a wake-up, a signal or the limit (none: nullptr); the caller looks again.
    template <class IsOver>
    void sleep_unless(const IsOver& is_over, const timespec* limit = nullptr) noexcept {
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        const uint32_t seen = value_.load(std::memory_order_seq_cst);
        if (!is_over(seen)) sleep_at(seen, limit);
        sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    }

private:
    void sleep_at(uint32_t seen, const timespec* limit) noexcept;

    std::atomic<uint32_t> value_{0};
    std::atomic<uint32_t> sleepers_{0};
};

}  // namespace xbench
