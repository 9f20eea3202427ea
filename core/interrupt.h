// Ends a long piece of work in order when the user or a scheduler asks for it: the first signal is noted, and the work ends
// at the next place where nothing is lost; a second one, of whichever kind, ends the process at once.
#pragma once

namespace xbench {

// While one exists, INT, TERM and HUP are noted (HUP not where nohup has it ignored), and USR1 too if asked for: schedulers
// send it ahead of a time limit. The former handlers come back with its end. One at a time.
class InterruptGuard {
public:
    enum class Usr1 { leave, note };
    explicit InterruptGuard(Usr1 usr1 = Usr1::leave);
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    // Throws Error after a signal. Cheap.
    void check() const;
    // The signal that came since the newest guard was made, or 0.
    static int signal();

private:
    const int noted_;  // signals, of the list in interrupt.cpp
};

}  // namespace xbench
