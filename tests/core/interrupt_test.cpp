// Signals that ask for an end: the first is noted, the second ends the process, whichever two they are.
#include "core/interrupt.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/error.h"

namespace xbench {
namespace {

// The status of a child that raises these signals under a guard, and exits with 70 if it is still there, plus 1 where the
// first was noted.
int status_after(std::initializer_list<int> signals, InterruptGuard::Usr1 usr1) {
    const pid_t child = fork();
    if (child == 0) {
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) std::signal(number, SIG_DFL);
        const InterruptGuard guard(usr1);
        for (const int number : signals) std::raise(number);
        _exit(InterruptGuard::signal() == *signals.begin() ? 71 : 70);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

TEST(Interrupt, TheFirstIsNotedTheSecondEnds) {
    const std::initializer_list<int> all{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    for (const int first : all) {
        const int one = status_after({first}, InterruptGuard::Usr1::note);
        EXPECT_TRUE(WIFEXITED(one) && WEXITSTATUS(one) == 71) << first;
        for (const int second : all) {
            const int two = status_after({first, second}, InterruptGuard::Usr1::note);
            EXPECT_TRUE(WIFSIGNALED(two) && WTERMSIG(two) == second) << first << " and " << second;
        }
    }
    const int left = status_after({SIGUSR1}, InterruptGuard::Usr1::leave);
    EXPECT_TRUE(WIFSIGNALED(left) && WTERMSIG(left) == SIGUSR1);
}

TEST(Interrupt, AnIgnoredHangupStaysIgnoredAndHandlersComeBack) {
    const auto hangup_before = std::signal(SIGHUP, SIG_IGN), interrupt_before = std::signal(SIGINT, SIG_IGN);
    {
        const InterruptGuard guard;
        std::raise(SIGHUP);
        EXPECT_EQ(InterruptGuard::signal(), 0);
        EXPECT_NO_THROW(guard.check());
        std::raise(SIGINT);
        EXPECT_EQ(InterruptGuard::signal(), SIGINT);
        EXPECT_THROW(guard.check(), Error);
    }
    std::raise(SIGINT);  // ignored again
    EXPECT_EQ(std::signal(SIGINT, interrupt_before), SIG_IGN);
    EXPECT_EQ(std::signal(SIGHUP, hangup_before), SIG_IGN);
}

}  // namespace
}  // namespace xbench
