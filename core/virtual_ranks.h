// The rules for ranks, virtual ranks and the batch: into how many leaves a batch is cut, and how many ranks can share them.
// The configuration, the loader, the trainers and the memory prediction all ask here.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"

namespace xbench {

// The leaves of a global batch. The fast reduction needs no common tree: one leaf a rank and pass, in a power of two of
// passes, which make one sum. With local batch normalisation, whose groups the leaves are, a rank has the largest power of
// two of them that virtual_ranks allows, in however many passes.
int64_t leaves_of_batch(const TrainConfig& config, int ranks);

// Why so many ranks cannot share so many virtual ranks, or "". What the fast reduction cuts is always enough.
std::string too_many_ranks(int64_t ranks, int64_t virtual_ranks);
std::string too_many_ranks(int64_t ranks, const TrainConfig& config);

// Throws UsageError where the ranks cannot share the leaves of a batch, or the batch has fewer images than leaves.
void check_ranks(const TrainConfig& config, int ranks);

}  // namespace xbench
