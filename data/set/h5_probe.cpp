// The child process of h5_probe.h. It reports through a pipe and leaves by _exit, so that nothing of the parent (buffers,
// open files, threads of MPI) is flushed or closed twice.
#include "data/set/h5_probe.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench::h5 {
namespace {

constexpr rlim_t most_seconds = 60;
const char* const remedy = "make the file again with xbench data import (data/format.md)";

[[noreturn]] void run_child(int pipe, const std::function<void()>& trial) {
    const rlimit seconds{most_seconds, most_seconds}, no_core{0, 0};
    ::setrlimit(RLIMIT_CPU, &seconds);
    ::setrlimit(RLIMIT_CORE, &no_core);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, SIG_DFL);
    int status = 0;
    try {
        trial();
    } catch (const std::exception& error) {
        status = 1;
        const ssize_t ignored = ::write(pipe, error.what(), std::strlen(error.what()));
        static_cast<void>(ignored);
    }
    ::_exit(status);
}

std::string read_all(int pipe) {
    std::string text;
    char buffer[512];
    for (ssize_t count; (count = ::read(pipe, buffer, sizeof buffer)) != 0;) {
        if (count > 0)
            text.append(buffer, static_cast<size_t>(count));
        else if (errno != EINTR)
            break;
    }
    return text;
}

}  // namespace

void probe(const std::string& path, const std::function<void()>& trial) {
    int ends[2];
    if (::pipe(ends) != 0) throw Error(fmt::format("no pipe: {}", std::strerror(errno)), path);
    const pid_t child = ::fork();
    if (child < 0) {
        ::close(ends[0]);
        ::close(ends[1]);
        throw Error(fmt::format("no process to try it in: {}", std::strerror(errno)), path);
    }
    if (child == 0) run_child(ends[1], trial);
    ::close(ends[1]);
    const std::string message = read_all(ends[0]);
    ::close(ends[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (WIFSIGNALED(status)) {
        throw Error(
            fmt::format("is damaged: reading it ended with signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status))),
            path, remedy);
    }
    if (message.empty()) throw Error("is damaged: the attempt to read it ended early", path, remedy);
    throw Error(message);  // of the trial, with its place
}

}  // namespace xbench::h5
