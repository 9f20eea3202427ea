// Ends a long piece of work in order when the user asks for it: the first signal (INT, TERM, HUP) is noted, so that what is
// under way throws and tidies up; a second one ends the process at once.
#pragma once

namespace xbench {

// While one exists, the three signals are noted; the former handlers come back with its end.
class InterruptGuard {
public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    // Throws Error after a signal. Cheap.
    void check() const;
    // The signal that came, or 0.
    static int signal();
};

}  // namespace xbench
