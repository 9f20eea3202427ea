// How ranks talk. One interface for one process (Self), shared memory, MPI and NCCL; the trainers see nothing else.
// Every call is collective: all ranks call it in the same order with the same sizes. Blocking. Called by one
// thread; a second one takes a channel().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/memory.h"
#include "core/wait_limit.h"

namespace xbench {

// A rank's part of `count` elements that are split over all ranks: whole cache lines, contiguous, in rank order.
struct RankRange {
    size_t begin, end;
};
RankRange range_of_rank(size_t count, int rank, int ranks);

// The invariant sum over leaves when ranks own different numbers of them. The tree over the leaves is fixed
// (kernels/leaf_tree.h); a rank adds what it can, the aligned blocks of 2^j leaves among its own, and holds one addend for
// each such block. With a power of two of ranks, that is one.
struct LeafBlock {
    int64_t first, count;  // leaves
};
// The leaves of a rank: contiguous, in rank order, sizes differ by at most one.
LeafBlock leaves_of_rank(int64_t leaves, int rank, int ranks);
// Those leaves cut into as few aligned blocks as possible, in ascending order.
std::vector<LeafBlock> blocks_of_rank(int64_t leaves, int rank, int ranks);

// How the addends of such a sum lie on the ranks, the same on all of them.
struct SumTree {
    std::vector<int> addends;     // on each rank
    std::vector<uint8_t> merges;  // for each addend, in rank order: additions of the two newest sums that follow it
    bool operator==(const SumTree&) const = default;
    int most_addends() const;  // on any rank
};
SumTree sum_tree(int64_t leaves, int ranks);

enum class Reduction { invariant, fast };  // fixed tree and the same bits at any number of ranks, or the library's own

class Communicator {
public:
    explicit Communicator(std::shared_ptr<WaitLimit> limit = std::make_shared<WaitLimit>()) : limit_(std::move(limit)) {}
    virtual ~Communicator() = default;
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;

    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual int known_as() const { return rank(); }  // what messages call this rank: its number among all of the job
    virtual const char* name() const = 0;            // "self", "shm", "mpi", "shm+mpi"
    // The node that each rank is on, counted from 0. The ranks of a node follow each other.
    virtual std::vector<int> nodes() const { return std::vector<int>(static_cast<size_t>(size()), 0); }
    // A communicator of its own for the ranks that give the same group, in their order here. Collective over all ranks.
    // It must not outlive this one.
    virtual std::unique_ptr<Communicator> split(int group) = 0;
    const std::shared_ptr<WaitLimit>& wait_limit() const { return limit_; }

    virtual void all_reduce_sum(float* data, size_t count, Reduction how) = 0;   // in place
    virtual void all_reduce_sum(double* data, size_t count, Reduction how) = 0;  // in place
    // The sum of all ranks' addends in the order of the tree: this rank's addend a lies at data + a * stride, and the total
    // lands in data on every rank. What was in the other addends is undefined afterwards. Ranks may have different strides,
    // except in memory of allocate().
    virtual void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) = 0;
    virtual void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) = 0;
    // The sum of all_reduce_tree or, where `how` is fast, all_reduce_sum, in two halves: what is done between them need not
    // wait for the others. `data` is the communicator's until end_sum() has returned, and no other call may come between,
    // but on channels. Where a communicator cannot do it, begin_sum does everything.
    virtual void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how);
    virtual void end_sum() {}
    virtual void all_reduce_max(double* data, size_t count) = 0;
    // In place over the whole of `data`: afterwards range_of_rank holds the sum over all ranks, the rest is undefined.
    virtual void reduce_scatter_sum(float* data, size_t count, Reduction how) = 0;
    // In place: every rank's range_of_rank of `data` goes to all ranks.
    virtual void all_gather(float* data, size_t count) = 0;
    virtual void broadcast(void* data, size_t bytes, int root) = 0;
    // Concatenates every rank's bytes in rank order, on every rank; sizes may differ.
    virtual std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) = 0;
    // Sends `bytes` bytes to the rank `distance` after this one and receives as many from the one as far before, around a
    // ring; 0 < distance < size().
    virtual void shift(const void* send, void* receive, size_t bytes, int distance) = 0;
    virtual void barrier() = 0;
    // Zeroed memory whose collectives are cheapest. All ranks ask for the same size; it may outlive the communicator.
    virtual AlignedBuffer allocate(size_t bytes) { return AlignedBuffer(bytes); }
    // Whether every rank can read and write every rank's memory of allocate().
    virtual bool shares_memory() const { return false; }
    // One zeroed buffer that all ranks see, instead of one each; as allocate() otherwise. Only where shares_memory().
    virtual AlignedBuffer allocate_common(size_t bytes) { return allocate(bytes); }
    // Where all ranks' copies of what lies at `data`, in memory of allocate(), are seen here, in rank order. Not collective.
    // Only where shares_memory().
    virtual std::vector<void*> copies(const void* data) const;
    // A barrier before and after ranks work on what others read; errors of one that is late speak of these bytes.
    virtual void meet_at_copies(const void* data, size_t bytes);
    // Another channel among the same ranks, so that another thread may call collectives that neither wait for this one's nor
    // are mixed up with them; with the memory of allocate(). Collective. It must not outlive this communicator.
    virtual bool has_channels() const { return false; }
    virtual std::unique_ptr<Communicator> channel() { return nullptr; }
    // Whether the calling core moves and adds every byte itself, so that another thread on that core gains no time.
    virtual bool moves_by_this_core() const { return true; }
    // Prints nothing; ends the whole job with this exit code, so that no peer waits for ever.
    [[noreturn]] virtual void abort(int code) = 0;

private:
    std::shared_ptr<WaitLimit> limit_;
};

// For communicators that know who is where: nodes counted from 0 in the order in which they appear.
std::vector<int> numbered_in_order(const std::vector<int>& nodes);

std::unique_ptr<Communicator> make_self_communicator();

}  // namespace xbench
