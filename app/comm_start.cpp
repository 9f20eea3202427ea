// One launch of several processes, or one exec.
#include "app/comm_start.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "app/single_process.h"
#include "bench/sweep/launch.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hardware.h"
#include "parallel/comm/setups.h"

namespace xbench {
namespace {

constexpr int killed_by = 128;  // exit codes above it say by which signal

// This program again, once for each rank. The end of one is the end of all (bench/sweep/launch.h).
void start_ranks(Launch launch, const RankStart& start) {
    launch.command = start.command_line;
    launch.command[0] = this_program();
    launch.processes = start.ranks;
    std::fflush(stdout);
    const Outcome outcome = run_process(launch, {}, 0);
    if (outcome.exit_code > killed_by)
        throw Error(fmt::format("a rank was killed by signal {}", outcome.exit_code - killed_by), "xbench comm");
    if (outcome.exit_code != 0) throw Error("a rank failed", "xbench comm");
}

// Becomes the launcher.
[[noreturn]] void start_under_mpi(const RankStart& start, bool oversubscribe, Launcher launcher) {
    LaunchRequest request;
    request.needs_launcher = true;
    request.ranks = start.ranks;
    request.oversubscribe = oversubscribe;
    request.program = start.command_line;
    request.program[0] = this_program();
    if (launcher == Launcher::srun) request.srun_mpi = srun_mpi_here();
    const Launch launch = make_launch(request, launcher);
    for (const auto& [name, value] : launch.environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<std::string> words = launch.command;
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    throw Error("cannot be started", words[0]);
}

// Without MPI: they meet in shared memory alone.
void start_own_ranks(const RankStart& start) {
    Launch launch;
    launch.environment[meeting_variable] = fmt::format("/xbench-comm-{}", getpid());
    start_ranks(launch, start);
}

}  // namespace

// As a script would: they meet by a file in a folder of this process.
void start_gpu_ranks(const RankStart& start) {
    std::string folder = (temporary_folder() / "xbench-comm-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw Error("cannot be made", folder);
    Launch launch;
    launch.meeting_folder = folder;
    try {
        start_ranks(launch, start);
    } catch (const Error&) {
        remove_tree(folder);
        throw;
    }
    remove_tree(folder);
}

void start_cpu_ranks(RankStart start) {
    const int cores = query_hardware().allowed_cores;
    if (start.ranks == 0) start.ranks = std::max(2, cores);
    if (start.ranks == 1) throw UsageError("one rank has nobody to talk to", "--ranks", "give 2 or more");
    const bool oversubscribe = start.ranks > cores;
    if (oversubscribe) say_if_crowded(start.ranks, 1, cores);
    if (mpi_connector() == nullptr) return start_own_ranks(start);
    const LauncherChoice launcher = choose_launcher("auto");
    if (launcher.reason.empty()) start_under_mpi(start, oversubscribe, launcher.launcher);
    fmt::print(stderr, "note: without MPI, as {}\n", launcher.reason);
    start_own_ranks(start);
}

}  // namespace xbench
