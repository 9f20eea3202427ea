// Times of steps, on one rank and over all.
#include "parallel/train/step_times.h"
#include "core/gather.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace xbench {
namespace {

void slowest_of_all_ranks(std::vector<int64_t>& times, ControlPlane& communicator) {
    std::vector<double> slowest(times.begin(), times.end());
    communicator.all_reduce_max(slowest.data(), slowest.size());
    std::transform(slowest.begin(), slowest.end(), times.begin(), [](double ns) { return static_cast<int64_t>(ns); });
}

}  // namespace

size_t warmup_steps(size_t steps) { return std::min<size_t>(5, steps / 10); }

// A training that its patience ends is often asked for a million epochs: what it does not come to takes no memory.
void StepTimes::reserve(size_t steps) {
    constexpr size_t most = size_t{1} << 20;
    steps = std::min(steps, most);
    for (auto* times : {&step_ns, &between_steps_ns, &load_ns, &step_images, &comm_ns, &useful_ns}) times->reserve(steps);
}

// Before the waits become those of the rank that waited longest: a rank's own time is what its own waits leave.
void StepTimes::merge_useful(ControlPlane& communicator) {
    useful_ns.resize(step_ns.size());
    for (size_t i = 0; i < step_ns.size(); ++i)
        useful_ns[i] =
            std::max<int64_t>(0, step_ns[i] - (i < load_ns.size() ? load_ns[i] : 0) - (i < comm_ns.size() ? comm_ns[i] : 0));
    const size_t skip = warmup_steps(useful_ns.size()), steps = useful_ns.size() - skip;
    const auto first = useful_ns.begin() + static_cast<std::ptrdiff_t>(skip);
    const auto sum = static_cast<double>(std::accumulate(first, useful_ns.end(), int64_t{0}));
    useful_of_rank_ns = gather_values(communicator, std::vector<double>{steps > 0 ? sum / static_cast<double>(steps) : 0});
    slowest_of_all_ranks(useful_ns, communicator);
}

void StepTimes::merge(ControlPlane& communicator) {
    merge_useful(communicator);
    slowest_of_all_ranks(step_ns, communicator);
    slowest_of_all_ranks(between_steps_ns, communicator);
    slowest_of_all_ranks(load_ns, communicator);
    skew_ns.resize(comm_ns.size());
    std::transform(comm_ns.begin(), comm_ns.end(), skew_ns.begin(), std::negate<>());
    slowest_of_all_ranks(skew_ns, communicator);  // the negated shortest wait
    slowest_of_all_ranks(comm_ns, communicator);
    std::transform(comm_ns.begin(), comm_ns.end(), skew_ns.begin(), skew_ns.begin(), std::plus<>());
}

StepClock::StepClock(StepTimes& times, Device& device)
    : times_(times), device_(device), late_(device.is_host() ? 0 : 1), last_(device.record()) {}

void StepClock::end_step(int64_t images, int64_t exposed_ns) {
    unread_.push_back({last_, device_.record(), {}});
    last_ = unread_.back().end;
    times_.step_images.push_back(images);
    if (++ended_ > late_) times_.comm_ns.push_back(exposed_ns);
}

void StepClock::end_between() {
    last_ = unread_.back().next = device_.record();
    read(late_);
}

void StepClock::finish(int64_t exposed_ns) {
    read(0);
    if (ended_ > 0 && late_ > 0) times_.comm_ns.push_back(exposed_ns);
}

int64_t StepClock::newest_step_ns() const {
    return late_ == 0 && !unread_.empty() ? device_.elapsed_ns(unread_.back().begin, unread_.back().end) : newest_step_ns_;
}

// All but the newest so many.
void StepClock::read(size_t but) {
    while (unread_.size() > but) {
        const Step& oldest = unread_.front();
        newest_step_ns_ = device_.elapsed_ns(oldest.begin, oldest.end);
        times_.step_ns.push_back(newest_step_ns_);
        times_.between_steps_ns.push_back(device_.elapsed_ns(oldest.end, oldest.next));
        unread_.erase(unread_.begin());
    }
}

}  // namespace xbench
