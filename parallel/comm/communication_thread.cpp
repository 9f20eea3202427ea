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

CommunicationThread::CommunicationThread(Work work) : work_(std::move(work)), thread_([this] { run(); }) {}

CommunicationThread::~CommunicationThread() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void CommunicationThread::allow(size_t pieces) {
    {
        const std::lock_guard lock(mutex_);
        allowed_ = pieces;
    }
    changed_.notify_all();
}

void CommunicationThread::wait_for(size_t pieces) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ >= pieces || failure_; });
    if (failure_) std::rethrow_exception(failure_);
}

void CommunicationThread::start_over() {
    const std::lock_guard lock(mutex_);
    allowed_ = done_ = 0;
}

bool CommunicationThread::stuck() const {
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
        lock.unlock();
        std::exception_ptr failure;
        try {
            work_(number);
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        failure_ = failure;
        if (!failure) ++done_;
        changed_.notify_all();
        if (failure) return;
    }
}

}  // namespace xbench
