// The build has no peer library: see XB_ONEDNN.
#include "bench/kernels/kernel_peer.h"

namespace xbench {

std::string peer_name() { return ""; }

std::unique_ptr<KernelPeer> make_peer(const KernelArgs&, const Kernel&, Device&) { return nullptr; }

}  // namespace xbench
