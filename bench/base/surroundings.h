// What `xbench doctor` says about the surroundings of a job: launchers, bindings, containers, quotas and settings that spoil
// a measurement. It tells and never changes anything. All that is looked at is handed in, so that tests can hand in what
// they like.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace xbench {

struct Finding {
    std::string what, level, value, remedy;  // level: ok | note | warn | wrong
};
using Findings = std::vector<Finding>;

struct Surroundings {
    std::filesystem::path root = "/";                              // before proc and sys
    std::function<std::string(const std::string& name)> variable;  // of the environment; "" where it is not set
    int cores = 1;                                                 // of the machine
    int allowed_cores = 1;                                         // of this process, without quotas
    double quota_cores = 0;                                        // 0: none
    std::string allowed_cpus;                                      // "0-7"
    std::string mpirun_version;                                    // the first line of mpirun --version; "": not there
    std::string cpus_of_small_job;                                 // what mpirun -n 1 leaves a rank; "": not known
    std::string srun_mpi_types;                                    // what srun --mpi=list prints; "": no srun
    int64_t shm_total_bytes = -1, shm_free_bytes = 0, shm_wanted_bytes = 0;  // of /dev/shm; -1: none
};

// As they are here; mpirun is asked by a job of one rank, for some seconds at most.
Surroundings surroundings_here(int64_t shm_wanted_bytes);

Findings examine_surroundings(const Surroundings& here);

}  // namespace xbench
