// Starts the processes of one point of a sweep: their command line, their environment, and how they ended.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace xbench {

enum class Launcher { local, mpirun, srun };

struct LaunchRequest {
    bool needs_launcher = false;  // false: one plain child process (the serial trainer)
    int ranks = 1, threads = 1;
    bool oversubscribe = false;        // more ranks x threads than cores
    std::vector<std::string> program;  // path and arguments
    std::string srun_mpi = "pmix";     // srun --mpi=; empty: the cluster's default
};

struct Launch {
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;  // set in addition to this process' own
    // Ranks of this node that this process starts itself, each with its RANK, and which meet by a file: of GPUs, which need
    // no MPI. 1: one plain process.
    int processes = 1;
    std::filesystem::path meeting_folder = {};  // of several processes; empty: that of the log
    double grace_seconds = 3;  // that the others have, once one has failed, to say what they know and to end by themselves
};

// What this machine can start ranks with. `wanted` is scaling.launcher: auto takes srun inside a Slurm allocation when it is
// there, else mpirun, else none (local). The reason says why ranks that need MPI cannot be started; empty: they can.
struct LauncherChoice {
    Launcher launcher = Launcher::local;
    std::string reason;
};
LauncherChoice choose_launcher(const std::string& wanted);

// Launchers bind nothing: Open MPI would put a single rank with all its threads on one core. xbench binds itself.
Launch make_launch(const LaunchRequest& request, Launcher launcher);

// The type for srun --mpi= out of what `srun --mpi=list` prints: PMIx in any version; "" where there is none.
std::string slurm_mpi_type(const std::string& list);
std::string srun_mpi_here();  // of this cluster; "" also where SLURM_MPI_TYPE says it

std::string find_program(const std::string& name);  // on PATH; "" when it is not there
// The path by which this executable is started again; in a bundle (scripts/bundle.sh) that of its starter.
std::string this_program();
std::string shell_text(const std::vector<std::string>& command);  // quoted where a shell needs it
std::string shell_text(const Launch& launch);                     // for one who wants to repeat it

struct Outcome {
    int exit_code = -1;  // 128 + signal when killed
    bool timed_out = false, stopped = false;
    double seconds = 0;
    std::string reason;  // empty: it went well
};

// Runs a command with its output in a file (none: this process' own), and waits. After `timeout_seconds` (0: never) the
// whole process group is terminated, and killed 5 seconds later; so it is once `stop` says yes. The children end when this
// process dies. `tick` is called about once a second. Of several processes the first that fails counts, and a moment later
// the others are ended as well.
Outcome run_process(const Launch& launch, const std::filesystem::path& log, double timeout_seconds,
                    const std::function<void(double seconds)>& tick = {}, const std::function<bool()>& stop = {});

// The same of several commands at once, each with its own log; the outcome of the first that failed, and the time of the
// slowest.
Outcome run_processes(const std::vector<Launch>& launches, const std::vector<std::filesystem::path>& logs,
                      double timeout_seconds, const std::function<void(double seconds)>& tick = {},
                      const std::function<bool()>& stop = {});

// The line of a log that explains a failure: the last one that begins with "xbench", else the last one before mpirun's
// framed messages, else the last one.
std::string telling_line(const std::filesystem::path& log);

}  // namespace xbench
