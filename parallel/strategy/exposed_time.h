// How long computing stood still for communication.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace xbench {

class ExposedTime {
public:
    template <class F>
    void time(F&& communicate) {
        const auto start = std::chrono::steady_clock::now();
        communicate();
        ns_ += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    }
    int64_t take() { return std::exchange(ns_, 0); }  // nanoseconds since the last call

private:
    int64_t ns_ = 0;
};

}  // namespace xbench
