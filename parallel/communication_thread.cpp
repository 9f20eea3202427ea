// The thread.
#include "parallel/communication_thread.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/hardware.h"

namespace xbench {
namespace {

// The thread has little to do, but at once: each of its waits for a time slice of the computing thread, milliseconds, delays
// all ranks. Where this process may not raise its priority, it stays as it is.
void come_before_computing() {
    const auto thread = static_cast<id_t>(syscall(SYS_gettid));
    [[maybe_unused]] const int raised = setpriority(PRIO_PROCESS, thread, -10);
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
