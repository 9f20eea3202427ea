// A handler may do no more than set a flag.
#include "core/interrupt.h"

#include <csignal>

#include "core/error.h"

namespace xbench {
namespace {

constexpr int noted_signals[] = {SIGINT, SIGTERM, SIGHUP};
struct sigaction former[3];
volatile std::sig_atomic_t came = 0;

void note(int number) { came = number; }

}  // namespace

InterruptGuard::InterruptGuard() {
    came = 0;
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (int i = 0; i < 3; ++i) {
        sigaction(noted_signals[i], nullptr, &former[i]);
        if (former[i].sa_handler != SIG_IGN) sigaction(noted_signals[i], &action, nullptr);  // nohup stays nohup
    }
}

InterruptGuard::~InterruptGuard() {
    for (int i = 0; i < 3; ++i) sigaction(noted_signals[i], &former[i], nullptr);
}

void InterruptGuard::check() const {
    if (came != 0) throw Error("interrupted; nothing was written");
}

int InterruptGuard::signal() { return came; }

}  // namespace xbench
