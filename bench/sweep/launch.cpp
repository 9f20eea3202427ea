// Command lines for mpirun and srun, and a child process with a time limit.
#include "bench/sweep/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <thread>

#include "bench/base/environment.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/seconds_since.h"

extern char** environ;

namespace xbench {
namespace {

bool is_set(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
}

constexpr const char* mpi_types_by_preference[] = {"pmix"};

std::vector<std::string> mpirun_command(const LaunchRequest& request) {
    std::vector<std::string> command{"mpirun", "-n", std::to_string(request.ranks), "--bind-to", "none"};
    if (request.oversubscribe) command.emplace_back("--oversubscribe");
    if (is_set("XBENCH_ISA")) command.insert(command.end(), {"-x", "XBENCH_ISA"});  // ranks on other nodes
    return command;
}

std::vector<std::string> srun_command(const LaunchRequest& request) {
    // srun does not take over the batch job's --cpus-per-task.
    std::vector<std::string> command{"srun", "-n", std::to_string(request.ranks)};
    if (!request.srun_mpi.empty()) command.push_back("--mpi=" + request.srun_mpi);
    command.emplace_back("--cpu-bind=none");
    if (request.threads > 1) command.push_back(fmt::format("--cpus-per-task={}", request.threads));
    if (request.oversubscribe) command.emplace_back("--overcommit");
    command.emplace_back("--kill-on-bad-exit=1");
    return command;
}

// "NAME=value" for execve: this process' variables, with those of the launch over them.
std::vector<std::string> environment_of(const Launch& launch) {
    std::vector<std::string> lines;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string line(*entry);
        if (launch.environment.count(line.substr(0, line.find('='))) == 0) lines.push_back(line);
    }
    for (const auto& [name, value] : launch.environment) lines.push_back(name + "=" + value);
    return lines;
}

std::vector<char*> pointers(std::vector<std::string>& lines) {
    std::vector<char*> result;
    for (std::string& line : lines) result.push_back(line.data());
    result.push_back(nullptr);
    return result;
}

// Only calls that are allowed between fork and exec.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, int log, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // died before the line above
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    execve(program, arguments, environment);
    _exit(127);
}

using Clock = std::chrono::steady_clock;

// Waits until the child has ended, `limit_seconds` (0: none) are over, or `stop` says yes; false when it still runs.
bool wait_for(pid_t child, double limit_seconds, int& status, const std::function<void(double)>& tick = {},
              const std::function<bool()>& stop = {}) {
    const auto start = Clock::now();
    double next_tick = 1;
    for (int pause_ms = 1;; pause_ms = std::min(pause_ms * 2, 20)) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) return true;
        if (ended < 0 && errno != EINTR) throw Error(std::strerror(errno), "waiting for a child process");
        const double waited = seconds_since(start);
        if (limit_seconds > 0 && waited >= limit_seconds) return false;
        if (stop && stop()) return false;
        if (tick && waited >= next_tick) {
            tick(waited);
            next_tick = waited + 1;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    }
}

void end_group(pid_t child, int& status) {
    kill(-child, SIGTERM);
    const bool ended = wait_for(child, 5, status);
    kill(-child, SIGKILL);  // also what the child has left in its group
    if (!ended) wait_for(child, 0, status);
}

}  // namespace

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
    const char* path = std::getenv("PATH");
    std::stringstream folders(path != nullptr ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        const std::filesystem::path candidate = std::filesystem::path(folder.empty() ? "." : folder) / name;
        std::error_code unreadable;  // a folder on PATH that others may not enter
        if (std::filesystem::is_regular_file(candidate, unreadable) && access(candidate.c_str(), X_OK) == 0)
            return candidate.string();
    }
    return {};
}

std::string slurm_mpi_type(const std::string& list) {
    std::string best;
    size_t best_place = std::size(mpi_types_by_preference);
    std::stringstream words(list);
    for (std::string word; words >> word;)
        for (size_t i = 0; i < best_place; ++i)
            if (word.starts_with(mpi_types_by_preference[i])) best = word, best_place = i;
    return best;
}

std::string srun_mpi_here() { return is_set("SLURM_MPI_TYPE") ? "" : slurm_mpi_type(output_of("srun --mpi=list 2>&1")); }

std::string this_program() {
    if (is_set("XBENCH_PROGRAM")) return std::getenv("XBENCH_PROGRAM");
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) return path.string();
    const std::vector<std::string> words = this_command_line();  // no /proc, as in a bare chroot
    const std::string found = words.empty() ? "" : find_program(words[0]);
    if (found.empty()) throw Error("cannot be read: " + error.message(), "/proc/self/exe", "mount /proc");
    return absolute_path(found).string();
}

LauncherChoice choose_launcher(const std::string& wanted) {
    if (wanted == "local") return {Launcher::local, ""};
    if (wanted == "srun" || (wanted == "auto" && is_set("SLURM_JOB_ID") && !find_program("srun").empty()))
        return {Launcher::srun, find_program("srun").empty() ? "srun was not found on PATH" : ""};
    return {Launcher::mpirun, find_program("mpirun").empty() ? "mpirun was not found on PATH; install openmpi-bin" : ""};
}

Launch make_launch(const LaunchRequest& request, Launcher launcher) {
    Launch launch;
    if (request.needs_launcher && launcher == Launcher::mpirun) {
        launch.command = mpirun_command(request);
        if (geteuid() == 0) launch.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
    } else if (request.needs_launcher && launcher == Launcher::srun) {
        launch.command = srun_command(request);
    } else if (request.needs_launcher) {
        launch.environment["XBENCH_ONE_RANK"] = "1";  // meant so: a parallel trainer without a launcher is refused otherwise
    }
    launch.command.insert(launch.command.end(), request.program.begin(), request.program.end());
    launch.environment["OMP_NUM_THREADS"] = std::to_string(request.threads);
    if (request.oversubscribe)
        launch.environment["OMP_WAIT_POLICY"] = "passive";  // spinning threads would take the others' cores
    return launch;
}

std::string shell_text(const std::vector<std::string>& command) {
    std::string text;
    for (const std::string& word : command) {
        const bool plain = !word.empty() && word.find_first_of(" \t\n\"'\\$`*?[]{}()<>|&;#~!") == std::string::npos;
        std::string quoted = word;
        for (size_t at = 0; (at = quoted.find('\'', at)) != std::string::npos; at += 4) quoted.replace(at, 1, "'\\''");
        text += (text.empty() ? "" : " ") + (plain ? word : "'" + quoted + "'");
    }
    return text;
}

Outcome run_process(const Launch& launch, const std::filesystem::path& log, double timeout_seconds,
                    const std::function<void(double)>& tick, const std::function<bool()>& stop) {
    Outcome outcome;
    const std::string program = find_program(launch.command.front());
    if (program.empty()) {
        outcome.reason = launch.command.front() + " was not found";
        return outcome;
    }
    const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (log_fd < 0) throw Error(std::strerror(errno), log.string());
    std::vector<std::string> arguments = launch.command, variables = environment_of(launch);
    const std::vector<char*> argv = pointers(arguments), envp = pointers(variables);
    const auto start = Clock::now();
    const pid_t parent = getpid(), child = fork();
    if (child == 0) become(program.c_str(), argv.data(), envp.data(), log_fd, parent);
    close(log_fd);
    if (child < 0) throw Error(std::strerror(errno), "starting " + program);
    setpgid(child, child);  // also here: whoever comes first
    int status = 0;
    if (!wait_for(child, timeout_seconds, status, tick, stop)) {
        outcome.stopped = stop && stop();
        outcome.timed_out = !outcome.stopped;
        end_group(child, status);
    }
    outcome.seconds = seconds_since(start);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (outcome.stopped)
        outcome.reason = "interrupted";
    else if (outcome.timed_out)
        outcome.reason = fmt::format("stopped after {}", duration_text(timeout_seconds));
    else if (WIFSIGNALED(status))
        outcome.reason = fmt::format("killed by signal {}: {}", WTERMSIG(status), telling_line(log));
    else if (outcome.exit_code != 0)
        outcome.reason = fmt::format("exit code {}: {}", outcome.exit_code, telling_line(log));
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
