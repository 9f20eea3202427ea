// Another library's kernel on the same problem, for comparison: oneDNN's if the build has it (-DXB_ONEDNN=ON,
// bench/kernels/peer_onednn.cpp); otherwise bench/kernels/peer_none.cpp says that there is none.
#pragma once

#include <memory>
#include <string>

#include "kernels/device.h"

namespace xbench {

class KernelPeer {
public:
    virtual ~KernelPeer() = default;
    virtual void run() = 0;  // one call on data that is in its own best layout already
    // Brings the filters from xbench's layout into the peer's, or their gradient back: what a step would add to run(), and
    // our own time contains.
    virtual void reorder_filters() = 0;
    virtual std::string implementation() const = 0;     // what it chose: "jit:avx512_core"
    virtual void read_output(int index, void* to) = 0;  // in the layout of the problem's output
};

std::string peer_name();  // "oneDNN 2.6.3"; "" when the build has none
// Null when the peer has no such operator, or computes on another device. Operands are copied.
std::unique_ptr<KernelPeer> make_peer(const KernelArgs& args, const Kernel& against, Device& device);

}  // namespace xbench
