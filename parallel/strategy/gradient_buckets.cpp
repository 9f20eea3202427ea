// Cutting and reducing buckets of gradients.
#include "parallel/strategy/gradient_buckets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"

namespace xbench {
namespace {

// Elements. Each bucket of the computing thread waits for the ranks that are late.
constexpr int64_t smallest_bucket = int64_t{1} << 14, smallest_of_thread = int64_t{1} << 10,
                  largest_bucket = int64_t{1} << 20;

}  // namespace

const char* name_of(Overlap overlap) {
    static constexpr std::array names{"none", "inline", "thread", "fused"};
    return names[static_cast<size_t>(overlap)];
}

Overlap overlap_of_replicas(const TrainConfig& config, const Communicator& communicator) {
    if (communicator.size() == 1 || config.compression == "powersgd") return Overlap::none;
    const bool can_fuse = communicator.shares_memory();
    if (config.overlap == "fused" && !can_fuse)
        throw UsageError(fmt::format("ranks that talk over {} do not see each other's memory", communicator.name()),
                         "/train/overlap", "use auto, thread, inline or none");
    if (config.overlap == "fused" && config.clip_norm > 0)
        throw UsageError(
            "the norm of all gradients is known only after all are summed, which the fused update does piecewise",
            "/train/overlap", "use auto, thread, inline or none");
    const bool fused = config.overlap == "fused" ||
                       (config.overlap == "auto" && can_fuse && config.compression == "none" && config.clip_norm == 0);
    return fused ? Overlap::fused : overlap_of_shards(config, communicator);
}

Overlap overlap_of_shards(const TrainConfig& config, const Communicator& communicator) {
    const std::string& word = config.overlap;
    if (word == "none" || communicator.size() == 1) return Overlap::none;
    if (word == "inline") return Overlap::inline_;
    if (word == "thread" && !communicator.has_channels())
        throw UsageError(fmt::format("ranks that talk over {} have no second channel", communicator.name()),
                         "/train/overlap", "use inline or none");
    const bool waits = communicator.has_channels() && !communicator.moves_by_this_core();
    return word == "thread" || waits ? Overlap::thread : Overlap::inline_;
}

bool hides_sums(const TrainConfig& config) { return config.batchnorm != "local" && !config.activation_checkpointing; }

std::vector<Bucket> cut_buckets(const Plan& plan, Overlap when) {
    const int64_t wanted = std::clamp(plan.parameters.parameter_elements / 8,
                                      when == Overlap::thread ? smallest_of_thread : smallest_bucket, largest_bucket);
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

BucketReducer::BucketReducer(Overlap when, Device& device, Communicator& communicator, std::vector<Bucket> buckets,
                             size_t steps, Reduce reduce)
    : communicator_(communicator),
      goes_into_order_(communicator.goes_into_order()),
      buckets_(std::move(buckets)),
      reduce_(std::move(reduce)) {
    if (when == Overlap::none) return;
    calls_.assign(steps, 0);
    for (const Bucket& bucket : buckets_) calls_[bucket.step] = hear_after_step;
    if (goes_into_order_) calls_.back() = hear_after_step;
    if (when != Overlap::thread) return;
    order_ = device.another_order();
    channel_ = communicator.channel_on(*order_);
    thread_.emplace(device, *order_, goes_into_order_ ? CommunicationThread::By::caller : CommunicationThread::By::thread,
                    [this](size_t bucket) { reduce_(bucket, *channel_); });
}

void BucketReducer::after_step(size_t step) {
    size_t ready = ready_;
    while (ready < buckets_.size() && buckets_[ready].step <= step) ++ready;
    advance(ready);
    if (!goes_into_order_ || step + 1 < calls_.size()) return;
    reduce_the_rest();
    all_done_ = true;
}

// Reduces the buckets before number `ready`, or lets the thread do so.
void BucketReducer::advance(size_t ready) {
    ready_ = ready;
    if (thread_) return thread_->allow(ready);
    for (; done_ < ready_; ++done_) reduce_(done_, communicator_);
}

void BucketReducer::finish() {
    if (!all_done_) reduce_the_rest();
    all_done_ = false;
}

void BucketReducer::reduce_the_rest() {
    advance(buckets_.size());
    if (thread_) {
        thread_->wait_for(ready_);
        thread_->start_over();
    }
    ready_ = done_ = 0;
}

}  // namespace xbench
