// Cutting and reducing buckets of gradients.
#include "parallel/gradient_buckets.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/hardware.h"

namespace xbench {
namespace {

constexpr int64_t smallest_bucket = int64_t{1} << 14, largest_bucket = int64_t{1} << 20;  // elements

// The thread has little to do, but at once: each of its waits for a time slice of the computing thread, milliseconds, delays
// all ranks. Where this process may not raise its priority, it stays as it is.
void come_before_computing() {
    const auto thread = static_cast<id_t>(syscall(SYS_gettid));
    [[maybe_unused]] const int raised = setpriority(PRIO_PROCESS, thread, -10);
}

}  // namespace

const char* name_of(Overlap overlap) {
    static constexpr std::array names{"none", "inline", "thread"};
    return names[static_cast<size_t>(overlap)];
}

Overlap overlap_for(const std::string& word, const Communicator& communicator) {
    if (word == "none" || communicator.size() == 1) return Overlap::none;
    if (word == "inline") return Overlap::inline_;
    if (word == "thread" && !communicator.has_channels())
        throw UsageError(fmt::format("ranks that talk over {} have no second channel", communicator.name()),
                         "/train/overlap", "use inline or none");
    const bool waits = communicator.has_channels() && !communicator.moves_by_this_core();
    return word == "thread" || waits ? Overlap::thread : Overlap::inline_;
}

std::vector<Bucket> cut_buckets(const Plan& plan) {
    const int64_t wanted = std::clamp(plan.parameters.parameter_elements / 8, smallest_bucket, largest_bucket);
    std::vector<Bucket> buckets;
    int64_t begin = 0, end = 0;
    const auto close = [&](size_t step) {
        for (; begin < end; begin = buckets.back().span.end)
            buckets.push_back({{begin, std::min(begin + largest_bucket, end)}, step});
    };
    size_t last = 0;
    for (size_t step = 0; step < plan.steps.size(); ++step) {
        const FlatSpan& span = plan.steps[step].gradients;
        if (span.empty()) continue;
        end = span.end;
        last = step;
        if (end - begin >= wanted) close(step);
    }
    close(last);
    return buckets;
}

BucketReducer::BucketReducer(Overlap when, Communicator& communicator, std::vector<Bucket> buckets, size_t steps,
                             Reduce reduce)
    : when_(when), communicator_(communicator), buckets_(std::move(buckets)), reduce_(std::move(reduce)) {
    if (when == Overlap::none) return;
    calls_.assign(steps, 0);
    for (const Bucket& bucket : buckets_) calls_[bucket.step] = hear_after_step;
    if (when != Overlap::thread) return;
    channel_ = communicator.channel();
    thread_ = std::thread([this] { communicate(); });
}

BucketReducer::~BucketReducer() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void BucketReducer::after_step(size_t step) {
    size_t ready = ready_;
    while (ready < buckets_.size() && buckets_[ready].step <= step) ++ready;
    advance(ready);
}

// Reduces the buckets before number `ready`, or tells the thread to.
void BucketReducer::advance(size_t ready) {
    if (when_ == Overlap::thread) {
        {
            const std::lock_guard lock(mutex_);
            ready_ = ready;
        }
        changed_.notify_all();
        return;
    }
    for (ready_ = ready; done_ < ready_; ++done_) reduce_(done_, communicator_);
}

void BucketReducer::finish() {
    advance(buckets_.size());
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ == ready_ || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    ready_ = done_ = 0;
}

bool BucketReducer::stuck() const {
    const std::lock_guard lock(mutex_);
    return thread_.joinable() && done_ < ready_ && !failure_;
}

void BucketReducer::communicate() {
    flush_denormals();  // as the computing threads do: its sums must have their bits
    come_before_computing();
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return stop_ || done_ < ready_; });
        if (stop_) return;
        const size_t bucket = done_;
        lock.unlock();
        std::exception_ptr failure;
        try {
            reduce_(bucket, *channel_);
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        failure_ = failure;
        if (!failure) ++done_;
        if (failure || done_ == ready_) changed_.notify_all();
        if (failure) return;
    }
}

}  // namespace xbench
