// Moves tensors between ranks: the facet of a Communicator that a network of devices (NCCL) implements. Pointers are to
// the memory of the computing device, which on a CPU is host memory. Every call is collective: all ranks make it in the
// same order with the same sizes. Counts are elements, sizes bytes.
#pragma once

#include <cstddef>

#include "core/sum_tree.h"

namespace xbench {

class DataPlane {
public:
    virtual ~DataPlane() = default;

    virtual void all_reduce_sum(float* data, size_t count, Reduction how) = 0;   // in place
    virtual void all_reduce_sum(double* data, size_t count, Reduction how) = 0;  // in place
    // The sum of all ranks' addends in the order of the tree: this rank's addend a lies at data + a * stride, and the total
    // lands in data on every rank. What was in the other addends is undefined afterwards. Ranks may have different strides,
    // except in memory of NodeMemory::allocate().
    virtual void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) = 0;
    virtual void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) = 0;
    // The sum of all_reduce_tree or, where `how` is fast, all_reduce_sum, in two halves: what is done between them need not
    // wait for the others. `data` is the plane's until end_sum() has returned, and no other call may come between, but on
    // channels. Where a plane cannot do it, begin_sum does everything.
    virtual void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how);
    virtual void end_sum() {}
    // In place over the whole of `data`: afterwards range_of_rank holds the sum over all ranks, the rest is undefined.
    virtual void reduce_scatter_sum(float* data, size_t count, Reduction how) = 0;
    // In place: every rank's range_of_rank of `data` goes to all ranks.
    virtual void all_gather(float* data, size_t count) = 0;
    virtual void broadcast(void* data, size_t bytes, int root) = 0;
    // Sends `bytes` bytes to the rank `distance` after this one and receives as many from the one as far before, around a
    // ring; 0 < distance < the number of ranks.
    virtual void shift(const void* send, void* receive, size_t bytes, int distance) = 0;
    // Whether the calling core moves and adds every byte itself, so that another thread on that core gains no time.
    virtual bool moves_by_this_core() const { return true; }
    // Whether calls only go into the order of the device and the host goes on at once, so that they may be recorded.
    virtual bool goes_into_order() const { return false; }
    // What is under way will not come to its end: nothing waits for it any more, and nothing else may be called.
    virtual void abandon() noexcept {}
};

}  // namespace xbench
