// How ranks talk. One interface for one process (Self), shared memory, MPI and NCCL; the trainers see nothing else.
// Every call is collective: all ranks call it in the same order with the same sizes. Blocking. Called by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/memory.h"

namespace xbench {

// A rank's part of `count` elements that are split over all ranks: whole cache lines, contiguous, in rank order.
struct RankRange {
    size_t begin, end;
};
RankRange range_of_rank(size_t count, int rank, int ranks);

enum class Reduction { invariant, fast };  // fixed tree and the same bits at any number of ranks, or the library's own

class Communicator {
public:
    virtual ~Communicator() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual const char* name() const = 0;                                        // "self", "shm", "mpi"
    virtual void all_reduce_sum(float* data, size_t count, Reduction how) = 0;   // in place
    virtual void all_reduce_sum(double* data, size_t count, Reduction how) = 0;  // in place
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
    // Prints nothing; ends the whole job with this exit code, so that no peer waits for ever.
    [[noreturn]] virtual void abort(int code) = 0;
};

std::unique_ptr<Communicator> make_self_communicator();

}  // namespace xbench
