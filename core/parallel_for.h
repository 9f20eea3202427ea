// Runs independent tasks on several threads. import and synth use it: their tasks take milliseconds, and the order does
// not matter. The first exception of a worker is thrown again in the caller.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace xbench {

// The cores that this process may use: its affinity mask, not the machine's size.
int usable_cores();

// Calls body(i, worker) for every i in [0, count), `step` neighbours at a time to a thread; worker is 0 to threads - 1, for
// what a thread keeps to itself.
template <class Body>
void parallel_for(int64_t count, int threads, int64_t step, const Body& body) {
    std::atomic<int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto work = [&](int worker) {
        try {
            for (int64_t begin; (begin = next.fetch_add(step)) < count;) {
                for (int64_t i = begin; i < std::min(begin + step, count); ++i) body(i, worker);
            }
        } catch (...) {
            const std::lock_guard lock(failure_mutex);
            if (!failure) failure = std::current_exception();
            next = count;
        }
    };
    const int64_t pieces = (count + step - 1) / step;
    {
        std::vector<std::jthread> helpers;
        for (int64_t i = 1; i < std::min<int64_t>(threads, pieces); ++i) helpers.emplace_back(work, static_cast<int>(i));
        work(0);
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace xbench
