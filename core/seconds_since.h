// How long ago something was, in seconds, by the clock that never jumps.
#pragma once

#include <chrono>

namespace xbench {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace xbench
