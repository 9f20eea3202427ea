// Finds out whether the ranks of a node can share memory, before anything waits for it. /dev/shm may be missing, too small,
// read-only, or private to each rank (containers). Sizes are bytes.
#pragma once

#include <cstddef>
#include <string>

#include "core/control_plane.h"

namespace xbench {

// Each rank makes `bytes` of shared memory and opens its neighbour's. "" when that worked on all ranks, else the reason of
// the first rank where it did not, with its remedy. Collective, the same on all ranks; leaves nothing behind.
std::string why_no_shared_memory(ControlPlane& node, size_t bytes);

size_t free_shared_memory();  // bytes that /dev/shm has left; 0 where there is none

}  // namespace xbench
