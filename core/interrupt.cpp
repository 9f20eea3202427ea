// A handler may do no more than set a flag that needs no lock, or give the signal its deadly meaning back. Two signals may
// be handled by two threads at once, and only one of them is the first.
#include "core/interrupt.h"

#include <atomic>
#include <csignal>

#include "core/error.h"

namespace xbench {
namespace {

constexpr int notable_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
struct sigaction former[4];
std::atomic<int> came{0};
static_assert(std::atomic<int>::is_always_lock_free);

void note(int number) {
    int none = 0;
    if (came.compare_exchange_strong(none, number)) return;
    std::signal(number, SIG_DFL);
    std::raise(number);  // delivered when this handler returns
}

}  // namespace

InterruptGuard::InterruptGuard(Usr1 usr1) : noted_(usr1 == Usr1::note ? 4 : 3) {
    came = 0;
    struct sigaction action {};
    action.sa_handler = note;
    for (int i = 0; i < noted_; ++i) {
        sigaction(notable_signals[i], nullptr, &former[i]);
        const bool ignored = notable_signals[i] == SIGHUP && former[i].sa_handler == SIG_IGN;
        if (!ignored) sigaction(notable_signals[i], &action, nullptr);
    }
}

InterruptGuard::~InterruptGuard() {
    for (int i = 0; i < noted_; ++i) sigaction(notable_signals[i], &former[i], nullptr);
}

void InterruptGuard::check() const {
    if (came != 0) throw Error("interrupted; nothing was written");
}

int InterruptGuard::signal() { return came; }

}  // namespace xbench
