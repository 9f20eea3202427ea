// What a launcher (mpirun, mpiexec, srun, torchrun) says about the processes that it started, in the variables that it sets
// for them. MPI itself is not asked: processes that the launcher of another MPI started each find themselves alone.
#pragma once

#include <string>

namespace xbench {

struct Launched {
    std::string by;              // the variable that says so: "OMPI_COMM_WORLD_SIZE"; empty: no launcher
    std::string launcher;        // "Open MPI's mpirun"
    int ranks = 1, rank = 0;     // of the job or step
    int on_node = 1, local = 0;  // ranks of this node, and this one's place among them
};

// The innermost launcher: under mpirun inside a Slurm step, mpirun.
Launched launched();

// Copies of one serial run that a sweep starts at once on this node, in XBENCH_COPY=1/4. They know nothing of each other and
// need cores of their own, as ranks do.
struct Copies {
    int index = 0, count = 1;
};
Copies copies_from_environment();

// Whether the launcher speaks to MPI, so that MPI's ranks know each other: plain srun and scripts that set RANK do not.
bool has_mpi_launcher();

// Throws UsageError, with a remedy, where a launcher started more processes than MPI's world has ranks: each of them would
// do the whole work, in the same files.
void check_world(const Launched& launched, int world);

}  // namespace xbench
