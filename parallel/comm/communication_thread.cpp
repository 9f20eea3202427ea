// The thread.
#include "parallel/comm/communication_thread.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/hardware.h"

namespace xbench {
namespace {

// What sched_setattr(2) takes; glibc has no name for it before 2.41, and the kernel's header collides with <sched.h>.
struct SchedulingAttributes {
    uint32_t size = sizeof(SchedulingAttributes), policy = SCHED_OTHER;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0, deadline = 0, period = 0;
};

// The thread has little to do, but at once: each of its waits for a time slice of the computing thread, milliseconds, delays
// all ranks. A priority does not end that slice: since Linux 6.12 a thread does which asks for a shorter one (older kernels
// ignore that). Where this process may not raise its priority, it stays as it is.
void come_before_computing() {
    SchedulingAttributes attributes;
    attributes.nice = -10;
    attributes.runtime = 100'000;  // nanoseconds, the shortest slice
    const auto ask = [&] { return syscall(SYS_sched_setattr, 0, &attributes, 0U) == 0; };
    if (ask()) return;
    attributes.nice = 0;
    ask();
}

}  // namespace

CommunicationThread::CommunicationThread(Device& computing, Device& order, By who, Work work)
    : computing_(computing), order_(order), who_(who), work_(std::move(work)) {
    if (who == By::thread) thread_ = std::thread([this] { run(); });
}

CommunicationThread::~CommunicationThread() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void CommunicationThread::do_at_once(size_t pieces) {
    if (pieces <= allowed_) return;
    if (when_done_.size() < pieces) when_done_.resize(pieces);
    const DeviceEvent so_far = computing_.record();
    for (; allowed_ < pieces; done_ = ++allowed_) when_done_[allowed_] = do_piece(allowed_, so_far);
}

void CommunicationThread::allow(size_t pieces) {
    if (who_ == By::caller) return do_at_once(pieces);
    const DeviceEvent so_far = computing_.record();
    {
        const std::lock_guard lock(mutex_);
        if (when_allowed_.size() < pieces) when_allowed_.resize(pieces), when_done_.resize(pieces);
        for (; allowed_ < pieces; ++allowed_) when_allowed_[allowed_] = so_far;
    }
    changed_.notify_all();
}

void CommunicationThread::wait_for(size_t pieces) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ >= pieces || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    if (pieces <= followed_) return;
    followed_ = pieces;
    computing_.follow(order_, when_done_[pieces - 1]);
}

void CommunicationThread::start_over() {
    const std::lock_guard lock(mutex_);
    allowed_ = done_ = followed_ = 0;
}

DeviceEvent CommunicationThread::do_piece(size_t number, const DeviceEvent& allowed) {
    order_.follow(computing_, allowed);
    work_(number);
    return order_.record();
}

bool CommunicationThread::stuck() const {
    if (who_ == By::caller) return false;
    const std::lock_guard lock(mutex_);
    return done_ < allowed_ && !failure_;
}

void CommunicationThread::run() {
    flush_denormals();  // as the computing threads do: its sums must have their bits
    come_before_computing();
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return stop_ || done_ < allowed_; });
        if (stop_) return;
        const size_t number = done_;
        const DeviceEvent allowed = when_allowed_[number];
        lock.unlock();
        std::exception_ptr failure;
        DeviceEvent done;
        try {
            done = do_piece(number, allowed);
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        failure_ = failure;
        if (!failure) when_done_[done_++] = done;
        changed_.notify_all();
        if (failure) return;
    }
}

}  // namespace xbench
