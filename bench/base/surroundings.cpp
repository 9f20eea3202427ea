// One function a question. Each adds what it finds.
#include "bench/base/surroundings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "bench/base/environment.h"
#include "bench/base/machine_state.h"
#include "core/cpu_quota.h"
#include "core/hardware.h"

namespace xbench {
namespace {

int number_of(const std::string& text) { return std::atoi(text.c_str()); }

bool is_open_mpi(const std::string& version) { return version.find("Open MPI") != std::string::npos; }
bool is_mpich(const std::string& version) {
    return version.find("HYDRA") != std::string::npos || version.find("Intel(R) MPI") != std::string::npos;
}

// Cores, by siblings, that a list of processors touches.
size_t cores_in(const Surroundings& here, const std::string& cpus) {
    std::set<int> first;
    for (const int cpu : cpus_in(cpus)) {
        const std::vector<int> siblings = siblings_of(here.root, cpu);
        first.insert(siblings.empty() ? cpu : *std::min_element(siblings.begin(), siblings.end()));
    }
    return first.size();
}

// Open MPI binds each rank of a job of one or two ranks to one core, with all its threads.
void examine_small_jobs(const Surroundings& here, Findings& found) {
    const int ranks = number_of(here.variable("OMPI_COMM_WORLD_SIZE"));
    const bool inside = ranks > 0;
    const std::string cpus = inside ? here.allowed_cpus : here.cpus_of_small_job;
    if (cpus.empty() || here.cores <= 1) return;
    const size_t cores = cores_in(here, cpus);
    const size_t possible = inside ? static_cast<size_t>(here.cores) : cores_in(here, here.allowed_cpus);
    const bool one_core = cores == 1 && possible > 1;
    found.push_back({"mpirun's binding", one_core ? "warn" : "ok",
                     inside ? fmt::format("this job of {} ranks has cpus {} for a rank", ranks, cpus)
                            : fmt::format("a rank of a small job gets cpus {}", cpus),
                     one_core
                         ? "one core for all threads of a rank: start with mpirun --bind-to none; sweeps do, and xbench "
                           "binds its ranks itself"
                         : ""});
}

// Tasks that MPI does not know are so many programs that each do the whole work.
void examine_slurm_tasks(const Surroundings& here, Findings& found) {
    const int in_step = number_of(here.variable("SLURM_STEP_NUM_TASKS")), in_job = number_of(here.variable("SLURM_NTASKS"));
    if (std::max(in_step, in_job) <= 1) return;
    const bool spoken_to = !here.variable("PMIX_RANK").empty() || !here.variable("PMI_RANK").empty() ||
                           !here.variable("OMPI_COMM_WORLD_SIZE").empty();
    const std::string remedy = "start ranks with srun --mpi=pmix (`srun --mpi=list` shows what there is), or with mpirun";
    if (in_step > 1 && !spoken_to) {
        found.push_back({"SLURM_NTASKS", "wrong",
                         fmt::format("srun started {} tasks, and MPI's world has 1 rank in each of them", in_step), remedy});
        return;
    }
    const bool offers = here.srun_mpi_types.find("pmix") != std::string::npos ||
                        here.variable("SLURM_MPI_TYPE").find("pm") != std::string::npos;
    if (spoken_to || offers || here.srun_mpi_types.empty()) {
        found.push_back({"SLURM_NTASKS", "ok", fmt::format("{} tasks", std::max(in_step, in_job)), ""});
        return;
    }
    found.push_back({"SLURM_NTASKS", "warn",
                     fmt::format("{} tasks, and this srun offers no PMIx: each would be an MPI world of 1 rank", in_job),
                     "start ranks with mpirun inside the allocation: scaling.launcher mpirun"});
}

void examine_quota(const Surroundings& here, Findings& found) {
    if (here.quota_cores <= 0 || here.quota_cores >= here.allowed_cores) return;
    const bool part = here.quota_cores != static_cast<double>(static_cast<int>(here.quota_cores));
    found.push_back({"CPU quota", "warn",
                     fmt::format("{:.3g} of {} cores in each period{}", here.quota_cores, here.allowed_cores,
                                 part ? ", which is no whole number" : ""),
                     "threads beyond it are stopped until the next period, which looks like stragglers; measure without "
                     "docker --cpus, or pin with --cpuset-cpus instead"});
}

void examine_settings(const Surroundings& here, const MachineState& state, Findings& found) {
    const std::string& thp = state.transparent_hugepages;
    if (!thp.empty())
        found.push_back({"huge pages", thp == "never" ? "warn" : "ok",
                         fmt::format("transparent: {}; {} reserved", thp, state.hugepages_reserved),
                         thp == "never" ? "xbench asks for them, and more misses of the TLB cost time: madvise or always in "
                                          "/sys/kernel/mm/transparent_hugepage/enabled"
                                        : ""});
    if (state.governors.size() > 1)
        found.push_back(
            {"governors", "warn", fmt::format("{} on different cores", fmt::join(state.governors, ", ")),
             "cores at different speeds look like load imbalance; cpupower -c all frequency-set -g performance"});
    if (state.turbo == "on")
        found.push_back(
            {"turbo", "note", "on", "one busy core is faster than many, which lowers every measured efficiency"});
    if (state.numa_balancing == "on")
        found.push_back({"NUMA balancing", "note", "on: the kernel moves pages while threads work on them", ""});
    if (!state.clocksource.empty() && state.clocksource != "tsc" && state.clocksource != "kvm-clock" &&
        state.clocksource != "arch_sys_counter")
        found.push_back({"clock", "warn", state.clocksource, "each look at this clock is a call of the kernel or slower"});
    for (const char* name : {"APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"})
        if (state.container.empty() && !here.variable(name).empty())
            return found.push_back({"container", "note", "apptainer", ""});
    if (!state.container.empty()) found.push_back({"container", "note", state.container, ""});
}

// A core of which only one hardware thread is ours: the other one may be somebody else's.
void examine_siblings(const Surroundings& here, Findings& found) {
    const std::vector<int> allowed = cpus_in(here.allowed_cpus);
    const std::set<int> mine(allowed.begin(), allowed.end());
    std::vector<int> foreign;
    for (const int cpu : allowed)
        for (const int sibling : siblings_of(here.root, cpu))
            if (!mine.contains(sibling)) foreign.push_back(sibling);
    if (foreign.empty()) return;
    found.push_back({"SMT siblings", "warn",
                     fmt::format("cpus {} are the other halves of cores allowed here, and not allowed themselves",
                                 fmt::join(foreign, ", ")),
                     "another job may run there, at the cost of this one: ask for whole cores (sbatch --exclusive, or "
                     "--hint=nomultithread)"});
}

void examine_shm(const Surroundings& here, Findings& found) {
    if (here.shm_total_bytes < 0) {
        found.push_back({"/dev/shm", "warn", "not there", "MPI ranks talk by MPI alone, more slowly; mount a tmpfs there"});
        return;
    }
    const bool enough = here.shm_free_bytes >= here.shm_wanted_bytes;
    found.push_back({"/dev/shm", enough ? "ok" : "warn",
                     fmt::format("{} MiB free of {} MiB", here.shm_free_bytes >> 20, here.shm_total_bytes >> 20),
                     enough ? ""
                            : fmt::format("MPI ranks share memory there, xbench comm up to {} MiB; in a container give "
                                          "--shm-size=1g",
                                          here.shm_wanted_bytes >> 20)});
}

// A launcher of one family and an MPI of another: each rank finds itself alone. Mostly the host's mpirun and a container's
// MPI.
void examine_launcher(const Surroundings& here, const MachineState& state, Findings& found) {
    const bool by_open_mpi = !here.variable("OMPI_COMM_WORLD_SIZE").empty();
    const bool by_mpich = !by_open_mpi && !here.variable("PMI_SIZE").empty();
    if ((!by_open_mpi && !by_mpich) || here.mpirun_version.empty()) return;
    const bool differs = (by_open_mpi && is_mpich(here.mpirun_version)) || (by_mpich && is_open_mpi(here.mpirun_version));
    const bool contained = !state.container.empty() || !here.variable("APPTAINER_CONTAINER").empty() ||
                           !here.variable("SINGULARITY_CONTAINER").empty();
    const std::string who = by_open_mpi ? "Open MPI's mpirun" : "an MPICH launcher (PMI)";
    found.push_back(
        {"launcher and MPI", differs ? "wrong" : "ok",
         fmt::format("started by {}; MPI in {}: {}", who, contained ? "this container" : "here", here.mpirun_version),
         differs ? fmt::format("they do not know each other, and each rank is alone: start it with the mpirun {}",
                               contained ? "inside the container, or build the image with the host's MPI" : "of this MPI")
                 : ""});
}

std::string getenv_text(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? value : "";
}

}  // namespace

Surroundings surroundings_here(int64_t shm_wanted_bytes) {
    const Hardware hardware = query_hardware();
    Surroundings here;
    here.variable = getenv_text;
    here.cores = hardware.cores;
    here.quota_cores = cpu_quota();
    here.allowed_cpus = hardware.allowed_cpuset;
    here.allowed_cores = static_cast<int>(cores_in(here, here.allowed_cpus));
    here.mpirun_version = first_line_of("mpirun --version");
    const bool inside = !here.variable("OMPI_COMM_WORLD_SIZE").empty() || !here.variable("PMI_SIZE").empty();
    if (is_open_mpi(here.mpirun_version) && !inside) {
        const std::string line = first_line_of(
            "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 10 mpirun -n 1 grep Cpus_allowed_list "
            "/proc/self/status </dev/null");
        const size_t digits = line.find_first_of("0123456789");
        if (line.starts_with("Cpus_allowed_list:") && digits != std::string::npos)
            here.cpus_of_small_job = line.substr(digits);
    }
    if (number_of(here.variable("SLURM_NTASKS")) > 1) here.srun_mpi_types = output_of("srun --mpi=list 2>&1");
    struct statvfs shm {};
    if (statvfs("/dev/shm", &shm) == 0) {
        here.shm_total_bytes = static_cast<int64_t>(shm.f_blocks) * static_cast<int64_t>(shm.f_frsize);
        here.shm_free_bytes = static_cast<int64_t>(shm.f_bavail) * static_cast<int64_t>(shm.f_frsize);
    }
    here.shm_wanted_bytes = shm_wanted_bytes;
    return here;
}

Findings examine_surroundings(const Surroundings& here) {
    const MachineState state = machine_state(here.root);
    Findings found;
    examine_quota(here, found);
    examine_settings(here, state, found);
    examine_siblings(here, found);
    examine_shm(here, found);
    examine_small_jobs(here, found);
    examine_slurm_tasks(here, found);
    examine_launcher(here, state, found);
    return found;
}

}  // namespace xbench
