// What a loop that spins for another thread does each time round: it leaves the core's other hardware thread more of it.
#pragma once

namespace xbench {

inline void pause_processor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

}  // namespace xbench
