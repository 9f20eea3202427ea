// Times of steps, on one rank and over all.
#include "parallel/train/step_times.h"

#include <algorithm>
#include <functional>

namespace xbench {
namespace {

void slowest_of_all_ranks(std::vector<int64_t>& times, ControlPlane& communicator) {
    std::vector<double> slowest(times.begin(), times.end());
    communicator.all_reduce_max(slowest.data(), slowest.size());
    std::transform(slowest.begin(), slowest.end(), times.begin(), [](double ns) { return static_cast<int64_t>(ns); });
}

}  // namespace

void StepTimes::reserve(size_t steps) {
    for (auto* times : {&step_ns, &between_steps_ns, &step_images, &comm_ns}) times->reserve(steps);
}

void StepTimes::merge(ControlPlane& communicator) {
    slowest_of_all_ranks(step_ns, communicator);
    slowest_of_all_ranks(between_steps_ns, communicator);
    skew_ns.resize(comm_ns.size());
    std::transform(comm_ns.begin(), comm_ns.end(), skew_ns.begin(), std::negate<>());
    slowest_of_all_ranks(skew_ns, communicator);  // the negated shortest wait
    slowest_of_all_ranks(comm_ns, communicator);
    std::transform(comm_ns.begin(), comm_ns.end(), skew_ns.begin(), skew_ns.begin(), std::plus<>());
}

int64_t StepClock::lap() {
    const auto now = Clock::now();
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count();
    last_ = now;
    return ns;
}

void StepClock::end_step(int64_t images, int64_t exposed_ns) {
    times_.step_ns.push_back(lap());
    times_.step_images.push_back(images);
    times_.comm_ns.push_back(exposed_ns);
    times_.between_steps_ns.push_back(0);
}

void StepClock::end_between() { times_.between_steps_ns.back() += lap(); }

}  // namespace xbench
