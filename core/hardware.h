// What this machine is, and which part of it this process may and should use. The only user of hwloc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/isa.h"

namespace xbench {

struct CacheLevel {
    int level = 0;
    int64_t bytes = 0;  // of one cache of this level
    int count = 0;
};

struct Hardware {
    std::string host, kernel, cpu_model;
    int sockets = 0, cores = 0, hardware_threads = 0, numa_nodes = 0;
    int allowed_cores = 0, allowed_threads = 0;  // of this process: its affinity and cpuset, cores also within the quota
    double quota_cores = 0;                      // processor time that its control groups allow; 0: no limit
    std::string allowed_cpuset;                  // "0-1"
    bool smt = false;                            // some core shows more than one hardware thread
    std::vector<CacheLevel> data_caches;         // L1 to L3
    std::string governor;                        // "performance", or "" where the system does not say
    int64_t memory_bytes = 0, memory_available_bytes = 0;
    Isa isa = Isa::portable;   // the best that the processor and the system offer
    double load_average = -1;  // of one minute; negative: unknown
};

Hardware query_hardware();

const char* isa_name(Isa isa);  // "avx2"
Isa best_isa();                 // of the processor, whatever XBENCH_ISA says; in a build that emulates AVX-512 the highest
bool emulates_avx512();         // a build for tests (XB_EMULATE_AVX512): AVX-512 kernels run as portable code under AVX2
// best_isa(), or the lower one that the environment variable XBENCH_ISA forces. Throws UsageError for an unknown name and
// for an instruction set that this processor does not have.
Isa usable_isa();

// Where this process is among the ranks of its node. Open MPI's variables come first: under mpirun inside a Slurm job
// SLURM_LOCALID is that of the daemon.
int local_rank_from_environment();
int ranks_from_environment();          // of the job or step that this process was started in; 1 without a launcher
int ranks_on_node_from_environment();  // 1 when no launcher says otherwise

struct Binding {
    bool bound = false;
    bool oversubscribed = false;  // more ranks x threads than allowed cores: nothing is bound
    int allowed_cores = 0;        // before binding, within the quota
    std::string cpuset;           // that this process has now, "0-3,8"
    std::string allowed = {};     // what it had before
    std::string gpu = {};         // the PCI address of this rank's GPU; "": it has none, or nobody knows
    std::string near_gpu = {};    // the allowed cores of its NUMA node, one thread of each; "": the system does not say
};

// Gives this rank `threads` cores of its own among the allowed ones, one hardware thread of each. To be called before the
// first OpenMP region, as threads inherit it. When the cores do not suffice for all ranks of the node it binds nothing.
// `gpus`: the PCI address of each rank's GPU, by local rank, so that ranks get cores of their GPU's NUMA node while there
// are some; empty, or without a rank's, where nobody knows.
Binding bind_this_process(int local_rank, int ranks_on_node, int threads, std::vector<std::string> gpus = {});
// The same once more for a process that has been bound, with what the ranks have told each other meanwhile.
Binding bind_again(const Binding& before, int local_rank, int ranks_on_node, int threads, std::vector<std::string> gpus);
// The same as a function: near[r] are the cores that rank r would rather have; empty: any. The ranks choose in turn.
std::vector<unsigned> cores_of_rank(const std::vector<unsigned>& cores, const std::vector<std::vector<unsigned>>& near,
                                    int local_rank, int threads);

std::string current_cpuset();  // of this process

// Denormal floats become zero (FTZ and DAZ) in the calling thread; each compute thread calls it once.
void flush_denormals() noexcept;

}  // namespace xbench
