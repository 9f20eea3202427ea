// The processes of a launch: one group, one log, one time limit, one end.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <string_view>
#include <thread>

#include "bench/sweep/launch.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/seconds_since.h"
#include "parallel/comm/rendezvous.h"

extern char** environ;

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;
using Variables = std::map<std::string, std::string>;

constexpr double patience_seconds = 5;  // between TERM and KILL

// Of other launchers, which may have started this process: its ranks are none of theirs.
bool is_of_a_launcher(std::string_view name) {
    static constexpr std::array prefixes{"OMPI_COMM_WORLD_", "MV2_COMM_WORLD_", "PMI_",       "PMIX_",
                                         "MPI_LOCAL",        "FLUX_JOB_SIZE",   "FLUX_TASK_", "JSM_NAMESPACE_"};
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) { return name.starts_with(prefix); });
}

// "NAME=value" for execve: this process' variables, with the launch's over them.
std::vector<std::string> environment_of(const Variables& added, bool is_rank) {
    std::vector<std::string> lines;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string line(*entry), name = line.substr(0, line.find('='));
        if (added.count(name) == 0 && !(is_rank && is_of_a_launcher(name))) lines.push_back(line);
    }
    for (const auto& [name, value] : added) lines.push_back(name + "=" + value);
    return lines;
}

std::vector<char*> pointers(std::vector<std::string>& lines) {
    std::vector<char*> result;
    for (std::string& line : lines) result.push_back(line.data());
    result.push_back(nullptr);
    return result;
}

// Only calls that are allowed between fork and exec. `group` 0: a new one.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, int log, pid_t parent,
                         pid_t group) {
    setpgid(0, group);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // died before the line above
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    if (log >= 0) dup2(log, 1);
    if (log >= 0) dup2(log, 2);
    execve(program, arguments, environment);
    _exit(127);
}

bool is_good(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

// The processes of one launch. The first one's number is that of the group.
class Group {
public:
    explicit Group(double grace_seconds) : grace_seconds_(grace_seconds) {}
    ~Group() {
        if (!children_.empty()) end();  // on the way out of an exception
    }
    void start(const std::string& program, const Launch& launch, const Variables& added, int log);
    // Until all have ended (true), `limit_seconds` (0: none) are over, `stop` says yes, or one has failed a while ago.
    bool wait_for(double limit_seconds, const std::function<void(double)>& tick = {},
                  const std::function<bool()>& stop = {});
    void end();
    bool has_failed() const { return failed_; }
    int status() const { return status_; }

private:
    void collect();
    const double grace_seconds_;
    std::vector<pid_t> children_;  // that run
    pid_t group_ = 0;
    int status_ = 0;  // of the first that failed, else of the last
    bool failed_ = false;
    Clock::time_point failed_at_;
};

void Group::start(const std::string& program, const Launch& launch, const Variables& added, int log) {
    std::vector<std::string> arguments = launch.command, variables = environment_of(added, launch.processes > 1);
    const std::vector<char*> argv = pointers(arguments), envp = pointers(variables);
    const pid_t parent = getpid(), child = fork();
    if (child == 0) become(program.c_str(), argv.data(), envp.data(), log, parent, group_);
    if (child < 0) throw Error(std::strerror(errno), "starting " + program);
    if (group_ == 0) group_ = child;
    setpgid(child, group_);  // also here: whoever comes first
    children_.push_back(child);
}

void Group::collect() {
    std::erase_if(children_, [this](pid_t child) {
        int status = 0;
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended < 0 && errno != EINTR) throw Error(std::strerror(errno), "waiting for a child process");
        if (ended != child) return false;
        if (!failed_) status_ = status;
        if (!failed_ && !is_good(status)) failed_ = true, failed_at_ = Clock::now();
        return true;
    });
}

bool Group::wait_for(double limit_seconds, const std::function<void(double)>& tick, const std::function<bool()>& stop) {
    const auto start = Clock::now();
    double next_tick = 1;
    for (int pause_ms = 1;; pause_ms = std::min(pause_ms * 2, 20)) {
        collect();
        if (children_.empty()) return true;
        const double waited = seconds_since(start);
        if (limit_seconds > 0 && waited >= limit_seconds) return false;
        if (stop && stop()) return false;
        if (failed_ && seconds_since(failed_at_) > grace_seconds_) return false;
        if (tick && waited >= next_tick) {
            tick(waited);
            next_tick = waited + 1;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    }
}

// Also what the children have left in their group.
void Group::end() {
    kill(-group_, SIGTERM);
    const auto start = Clock::now();
    while (!children_.empty() && seconds_since(start) < patience_seconds) {
        collect();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(-group_, SIGKILL);
    for (const pid_t child : children_) {
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (!failed_) status_ = status;
    }
    children_.clear();
}

// What a rank needs to find the others of its node.
Variables variables_of_rank(const Launch& launch, int rank, const std::filesystem::path& meeting, const std::string& job) {
    Variables all = launch.environment;
    if (launch.processes == 1) return all;
    for (const char* name : {"RANK", "LOCAL_RANK"}) all[name] = std::to_string(rank);
    for (const char* name : {"WORLD_SIZE", "LOCAL_WORLD_SIZE"}) all[name] = std::to_string(launch.processes);
    all["XBENCH_RENDEZVOUS"] = meeting.string();
    all["XBENCH_JOB"] = job;
    return all;
}

std::string fresh_job() {
    static std::atomic<int> count{0};
    return fmt::format("{}-{}", getpid(), ++count);
}

std::filesystem::path meeting_folder(const Launch& launch, const std::filesystem::path& log) {
    if (!launch.meeting_folder.empty()) return launch.meeting_folder;
    return absolute_path(log.has_parent_path() ? log.parent_path() : ".");
}

std::string reason_of(const Outcome& outcome, int status, double timeout_seconds, const std::filesystem::path& log) {
    if (outcome.stopped) return "interrupted";
    if (outcome.timed_out) return fmt::format("stopped after {}", duration_text(timeout_seconds));
    if (WIFSIGNALED(status)) return fmt::format("killed by signal {}: {}", WTERMSIG(status), telling_line(log));
    return outcome.exit_code != 0 ? fmt::format("exit code {}: {}", outcome.exit_code, telling_line(log)) : "";
}

}  // namespace

Outcome run_process(const Launch& launch, const std::filesystem::path& log, double timeout_seconds,
                    const std::function<void(double)>& tick, const std::function<bool()>& stop) {
    Outcome outcome;
    const std::string program = find_program(launch.command.front());
    if (program.empty()) {
        outcome.reason = launch.command.front() + " was not found";
        return outcome;
    }
    const int log_fd = log.empty() ? -1 : open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0 && !log.empty()) throw Error(std::strerror(errno), log.string());
    const std::filesystem::path meeting = meeting_folder(launch, log);
    const std::string job = fresh_job();
    const auto start = Clock::now();
    Group group(launch.grace_seconds);
    try {
        for (int rank = 0; rank < launch.processes; ++rank)
            group.start(program, launch, variables_of_rank(launch, rank, meeting, job), log_fd);
    } catch (const Error&) {
        if (log_fd >= 0) close(log_fd);
        throw;
    }
    if (log_fd >= 0) close(log_fd);
    if (!group.wait_for(timeout_seconds, tick, stop)) {
        outcome.stopped = stop && stop();
        outcome.timed_out = !outcome.stopped && !group.has_failed();
        group.end();
    }
    if (launch.processes > 1) remove_file(rendezvous_file(meeting, job));  // of a rank 0 that was killed
    outcome.seconds = seconds_since(start);
    const int status = group.status();
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.reason = reason_of(outcome, status, timeout_seconds, log);
    return outcome;
}

// A thread for each: a child is asked to end when the thread that started it does, and each of these waits for its own.
Outcome run_processes(const std::vector<Launch>& launches, const std::vector<std::filesystem::path>& logs,
                      double timeout_seconds, const std::function<void(double)>& tick, const std::function<bool()>& stop) {
    std::vector<std::future<Outcome>> others;
    for (size_t i = 1; i < launches.size(); ++i)
        others.push_back(
            std::async(std::launch::async, [&, i] { return run_process(launches[i], logs[i], timeout_seconds, {}, stop); }));
    Outcome all = run_process(launches.front(), logs.front(), timeout_seconds, tick, stop);
    for (std::future<Outcome>& other : others) {
        const Outcome one = other.get();
        const double slowest = std::max(all.seconds, one.seconds);
        if (all.reason.empty() && !one.reason.empty()) all = one;
        all.seconds = slowest;
    }
    return all;
}

std::string telling_line(const std::filesystem::path& log) {
    std::ifstream file(log);
    std::string last, ours, before_rule;
    bool rule_seen = false;
    for (std::string line; std::getline(file, line);) {
        if (const size_t carriage = line.rfind('\r'); carriage != std::string::npos) line.erase(0, carriage + 1);
        if (line.find_first_not_of(" \t") == std::string::npos) continue;
        if (line.starts_with("-----")) {  // mpirun frames its own messages, which follow the program's
            if (!rule_seen) before_rule = last;
            rule_seen = true;
            continue;
        }
        last = line;
        if (line.starts_with("xbench")) ours = line;
    }
    const std::string& telling = !ours.empty() ? ours : !before_rule.empty() ? before_rule : last;
    return telling.empty() ? "no output" : telling.substr(0, 300);
}

}  // namespace xbench
