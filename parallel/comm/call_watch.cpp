// The thread that looks at open calls.
#include "parallel/comm/call_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/interrupt.h"

namespace xbench {
namespace {

constexpr double longest_period = 0.2, patience_after_signal = 0.3;  // seconds; a launcher kills one after the signal

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

CallWatch::Line::Line(CallWatch& watch, int rank) : watch_(watch), rank_(rank) {
    const std::lock_guard lock(watch_.mutex_);
    watch_.lines_.push_back(this);
}

CallWatch::Line::~Line() {
    const std::lock_guard lock(watch_.mutex_);
    std::erase(watch_.lines_, this);
}

void CallWatch::Line::progress() { since_ns_.store(now_ns(), std::memory_order_release); }

CallWatch::Call::Call(Line& line, const char* operation, uint64_t bytes) : line_(line) {
    line.operation_.store(operation, std::memory_order_relaxed);
    line.bytes_.store(bytes, std::memory_order_relaxed);
    line.progress();
}

CallWatch::CallWatch(std::shared_ptr<WaitLimit> limit) : limit_(std::move(limit)), thread_([this] { watch(); }) {}

CallWatch::~CallWatch() {
    {
        const std::lock_guard lock(mutex_);
        done_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void CallWatch::watch() {
    std::unique_lock lock(mutex_);
    while (!done_) {
        for (const Line* line : lines_) look_at(*line);
        const double limit = limit_->seconds;
        const double period = limit > 0 ? std::clamp(limit / 4, 0.01, longest_period) : longest_period;
        changed_.wait_for(lock, std::chrono::duration<double>(period));
    }
}

void CallWatch::look_at(const Line& line) {
    const double limit = limit_->seconds;
    const int64_t since = line.since_ns_.load(std::memory_order_acquire);
    if (since == 0) return;
    const double waited = static_cast<double>(now_ns() - since) * 1e-9;
    if (InterruptGuard::signal() != 0 && waited > patience_after_signal && limit_->stopped && !stopped_) {
        stopped_ = true;
        const uint32_t step = limit_->step;
        limit_->stopped(fmt::format("signal {} while rank {} waited in {} of {}{}: has another rank died?",
                                    InterruptGuard::signal(), line.rank_, line.operation_.load(),
                                    size_text(line.bytes_.load()), step > 0 ? fmt::format(" at step {}", step) : ""));
    }
    if (limit <= 0 || waited < limit || !limit_->expired) return;
    const std::string what = waited_text(*limit_, line.rank_, -1, line.operation_.load(), line.bytes_.load());
    if (line.since_ns_.load(std::memory_order_acquire) != since) return;  // that call is over, the text may be of the next
    limit_->expired(Error(what, "MPI", "look for a rank that is stopped, or a network that is down"));
}

}  // namespace xbench
