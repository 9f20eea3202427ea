// Memory that the ranks of one node can all see: the facet of a Communicator that needs no network. By default there is
// none, and every rank has memory of its own. Sizes and offsets are bytes.
#pragma once

#include <cstddef>
#include <vector>

#include "core/memory.h"

namespace xbench {

class NodeMemory {
public:
    virtual ~NodeMemory() = default;

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
    virtual void meet_at_copies(const void* data, size_t bytes) = 0;
};

}  // namespace xbench
