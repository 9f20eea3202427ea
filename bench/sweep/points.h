// The points of a sweep: rows x ranks x threads of a configuration, and which of them can run here.
#pragma once

#include <string>
#include <vector>

#include "bench/base/point.h"
#include "core/config.h"

namespace xbench {

// What the sweep may use here. Nodes of a Slurm allocation are taken to be alike.
struct SweepLimits {
    int cores = 1;                     // over all nodes
    std::string launcher_reason = {};  // why ranks cannot be launched; empty: they can
    bool local = false;                // no launcher: only ranks of GPUs, of this node, are started several at a time
    double quota_cores = 0;            // what this process' control groups allow; 0: no limit
    int nodes = 1;
    int gpus = 0;                 // of this node, where some row asks for one
    std::string gpu_reason = {};  // why there are none
};
SweepLimits limits_here(const Config& config);

// Rows x ranks x threads in the file's order, each once, with the reason of those that cannot run.
std::vector<Point> expand_points(const Config& config, const SweepLimits& limits);
// Whether its ranks are processes that a launcher starts.
bool needs_launcher(const Point& point);
// Whether they can do without MPI, so that this process may start them by itself: ranks with a GPU each.
bool meets_without_mpi(const Point& point);

}  // namespace xbench
