// Command lines for mpirun and srun, and what is here to run them.
#include "bench/sweep/launch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>

#include "bench/base/environment.h"
#include "core/error.h"
#include "core/files.h"

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
    if (!find_program("mpirun").empty()) return {Launcher::mpirun, ""};
    return {wanted == "auto" ? Launcher::local : Launcher::mpirun, "mpirun was not found on PATH; install openmpi-bin"};
}

Launch make_launch(const LaunchRequest& request, Launcher launcher) {
    Launch launch;
    if (request.needs_launcher && launcher == Launcher::mpirun) {
        launch.command = mpirun_command(request);
        if (geteuid() == 0) launch.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
    } else if (request.needs_launcher && launcher == Launcher::srun) {
        launch.command = srun_command(request);
    } else if (request.needs_launcher && request.ranks == 1) {
        launch.environment["XBENCH_ONE_RANK"] = "1";  // meant so: a parallel trainer without a launcher is refused otherwise
    } else if (request.needs_launcher) {
        launch.processes = request.ranks;
    }
    launch.command.insert(launch.command.end(), request.program.begin(), request.program.end());
    launch.environment["OMP_NUM_THREADS"] = std::to_string(request.threads);
    if (request.oversubscribe)
        launch.environment["OMP_WAIT_POLICY"] = "passive";  // spinning threads would take the others' cores
    return launch;
}

std::string shell_text(const Launch& launch) {
    const std::string command = shell_text(launch.command);
    if (launch.processes == 1) return command;
    std::string ranks;
    for (int rank = 0; rank < launch.processes; ++rank) ranks += fmt::format(" {}", rank);
    return fmt::format("for r in{}; do RANK=$r LOCAL_RANK=$r WORLD_SIZE={} LOCAL_WORLD_SIZE={} {} & done; wait", ranks,
                       launch.processes, launch.processes, command);
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

}  // namespace xbench
