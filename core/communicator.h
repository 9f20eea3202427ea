// How ranks talk, in three facets. The data plane moves tensors. The control plane knows who the ranks are and carries
// what their hosts tell each other. The node memory is what the ranks of one node can see of each other. For one process
// (Self), shared memory and MPI, one object implements all three; parallel/comm/composed.h combines parts, as NCCL over MPI.
// The trainers see nothing else. Every call is collective and blocks: all ranks make it in the same order with the same
// sizes. One thread calls; a second one takes a channel().
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/control_plane.h"
#include "core/data_plane.h"
#include "core/node_memory.h"

namespace xbench {

class Device;  // kernels/device.h

class Communicator : public ControlPlane, public DataPlane, public NodeMemory {
public:
    explicit Communicator(std::shared_ptr<WaitLimit> limit = std::make_shared<WaitLimit>())
        : ControlPlane(std::move(limit)) {}
    ~Communicator() override = default;
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;

    // A communicator of its own for the ranks that give the same group, in their order here. Collective over all ranks.
    // It must not outlive this one.
    virtual std::unique_ptr<Communicator> split(int group) = 0;
    // Another channel among the same ranks, so that another thread may call collectives that neither wait for this one's nor
    // are mixed up with them; with the memory of allocate(). Collective. It must not outlive this communicator.
    virtual bool has_channels() const { return false; }
    virtual std::unique_ptr<Communicator> channel() { return nullptr; }
    // The same for another order of the device whose memory the calls on data are given (Device::another_order), which
    // outlives it.
    virtual std::unique_ptr<Communicator> channel_on(Device&) { return channel(); }
    void meet_at_copies(const void* data, size_t bytes) override;
};

// For communicators that know who is where: nodes counted from 0 in the order in which they appear.
std::vector<int> numbered_in_order(const std::vector<int>& nodes);

std::unique_ptr<Communicator> make_self_communicator();

}  // namespace xbench
