// A handler may do no more than set a flag, or give the signal its deadly meaning back.
#include "app/stop_signal.h"

#include <csignal>
#include <initializer_list>

namespace xbench {
namespace {

volatile std::sig_atomic_t came = 0;

void note(int number) {
    if (came == 0) {
        came = number;
        return;
    }
    std::signal(number, SIG_DFL);
    std::raise(number);  // delivered when this handler returns
}

}  // namespace

void note_stop_signals() {
    struct sigaction action {};
    action.sa_handler = note;
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
        struct sigaction former {};
        sigaction(number, nullptr, &former);
        if (number != SIGHUP || former.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);
    }
}

int stop_signal() { return came; }

}  // namespace xbench
