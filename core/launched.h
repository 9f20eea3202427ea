// What a launcher (mpirun, mpiexec, srun) says about the processes that it started, read from the variables that it gives
// them. MPI itself is not asked: a launcher of another MPI starts processes that each find themselves alone.
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

// Throws UsageError, with a remedy, where a launcher started more processes than MPI's world has ranks: each of them would
// do the whole work, in the same files.
void check_world(const Launched& launched, int world);

}  // namespace xbench
