// For loops that spin until another thread is done: leaves more of the core to its other hardware thread.
#pragma once

namespace xbench {

inline void pause_processor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

}  // namespace xbench
