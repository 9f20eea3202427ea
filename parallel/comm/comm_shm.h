// Ranks that are processes of one node and talk through shared memory. No MPI is needed.
//
// Buffers that came from allocate() lie in shared memory themselves: between two meetings each rank sums its part of all
// ranks' copies and writes the sum into all of them, without any copy. Other buffers go through a staging area, piece by
// piece. Every sum follows the fixed tree over ranks (kernels/rank_sum), whatever Reduction asks for: another order would
// not be faster. An error of a peer ends every call: see shm_meeting.h.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "parallel/comm/shm_meeting.h"

namespace xbench {

// What the ranks of a node can do besides, for sums that go on between nodes.
class NodeCommunicator : public Communicator {
public:
    using Communicator::Communicator;
    // As all_reduce_tree, but the total lands in rank 0's `total` only. Either every rank gives its data as total, or none
    // does; ranks may then have different strides and offsets.
    virtual void reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree, float* total) = 0;
    virtual void reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree, double* total) = 0;
    // As all_gather with these ranges of the `count` elements, one a rank.
    virtual void gather_ranges(float* data, size_t count, const std::vector<RankRange>& ranges) = 0;
    virtual std::unique_ptr<NodeCommunicator> node_channel() = 0;  // channel()
};

// Shared memory that each rank needs to connect, before any allocate().
size_t shm_bytes_to_connect();

std::unique_ptr<NodeCommunicator> make_shm_communicator(const MeetingOptions& options);

// All ranks of `starter` are on this node: they meet through it. Afterwards it serves to abort the job only, and is kept
// until the end. Collective over `starter`.
std::unique_ptr<NodeCommunicator> make_shm_communicator(std::shared_ptr<Communicator> starter, bool own_cores,
                                                        double patience_seconds = 0);

}  // namespace xbench
