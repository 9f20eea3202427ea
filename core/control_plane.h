// Who the ranks are, and what they tell each other besides tensors: the facet of a Communicator that lives in host memory,
// whichever device computes. Calls are collective: all ranks make them in the same order. Sizes are bytes, limits seconds.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "core/wait_limit.h"

namespace xbench {

class ControlPlane {
public:
    explicit ControlPlane(std::shared_ptr<WaitLimit> limit) : limit_(std::move(limit)) {}
    virtual ~ControlPlane() = default;

    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual int known_as() const { return rank(); }  // what messages call this rank: its number among all of the job
    virtual const char* name() const = 0;            // "self", "shm", "mpi", "shm+mpi"
    // The node that each rank is on, counted from 0. The ranks of a node follow each other.
    virtual std::vector<int> nodes() const { return std::vector<int>(static_cast<size_t>(size()), 0); }
    const std::shared_ptr<WaitLimit>& wait_limit() const { return limit_; }

    virtual void all_reduce_max(double* data, size_t count) = 0;
    // Concatenates every rank's bytes in rank order, on every rank; sizes may differ.
    virtual std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) = 0;
    virtual void barrier() = 0;
    // Prints nothing; ends the whole job with this exit code, so that no peer waits for ever.
    [[noreturn]] virtual void abort(int code) = 0;

private:
    std::shared_ptr<WaitLimit> limit_;
};

}  // namespace xbench
