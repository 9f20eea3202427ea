// Watches over blocking calls of a library that has no time limits of its own (MPI). One thread a process looks at all open
// calls about four times within the limit, at least five times a second; the calls themselves pay for a few stores and a
// look at the clock. What is over its limit is said to WaitLimit::expired, as the call cannot throw any more.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/wait_limit.h"

namespace xbench {

class CallWatch {
public:
    // The calls of one communicator, which makes one at a time.
    class Line {
    public:
        Line(CallWatch& watch, int rank);  // rank: as messages name it
        ~Line();
        Line(const Line&) = delete;
        Line& operator=(const Line&) = delete;
        void progress();  // the call under way has come further: its limit begins anew

    private:
        friend class CallWatch;
        friend class Call;
        CallWatch& watch_;
        const int rank_;
        std::atomic<int64_t> since_ns_{0};  // 0: no call under way
        std::atomic<const char*> operation_{""};
        std::atomic<uint64_t> bytes_{0};
    };
    // As long as it lives, the call is under way.
    class Call {
    public:
        Call(Line& line, const char* operation, uint64_t bytes);
        ~Call() { line_.since_ns_.store(0, std::memory_order_release); }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

    private:
        Line& line_;
    };

    explicit CallWatch(std::shared_ptr<WaitLimit> limit);
    ~CallWatch();
    CallWatch(const CallWatch&) = delete;
    CallWatch& operator=(const CallWatch&) = delete;
    const std::shared_ptr<WaitLimit>& limit() const { return limit_; }

private:
    void watch();
    void look_at(const Line& line);

    const std::shared_ptr<WaitLimit> limit_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Line*> lines_;  // under the mutex
    bool done_ = false;         // under the mutex
    bool stopped_ = false;      // under the mutex: WaitLimit::stopped was called
    std::thread thread_;
};

}  // namespace xbench
