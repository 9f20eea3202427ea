// libnccl.so.2 by dlopen, and whether ranks can use it.
#include "parallel/comm/nccl_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "parallel/comm/nccl.h"

namespace xbench {
namespace {

template <class F>
bool find(void* library, const char* name, F*& function) {
    function = reinterpret_cast<F*>(dlsym(library, name));
    return function != nullptr;
}

const Nccl* open_nccl() {
    static Nccl nccl;
    void* const library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) return nullptr;
#define XB_FIND(name) \
    if (!find(library, #name, nccl.name)) return nullptr;
    XB_FIND(ncclGetVersion)
    XB_FIND(ncclGetErrorString)
    XB_FIND(ncclGetLastError)
    XB_FIND(ncclGetUniqueId)
    XB_FIND(ncclCommInitRankConfig)
    XB_FIND(ncclCommGetAsyncError)
    XB_FIND(ncclCommFinalize)
    XB_FIND(ncclCommDestroy)
    XB_FIND(ncclCommAbort)
    XB_FIND(ncclGroupStart)
    XB_FIND(ncclGroupEnd)
    XB_FIND(ncclAllReduce)
    XB_FIND(ncclReduce)
    XB_FIND(ncclAllGather)
    XB_FIND(ncclBroadcast)
    XB_FIND(ncclSend)
    XB_FIND(ncclRecv)
#undef XB_FIND
    nccl.is_double = dlsym(library, "xbench_nccl_double") != nullptr;
    return &nccl;
}

}  // namespace

const Nccl* nccl_library() {
    static const Nccl* const library = open_nccl();
    return library;
}

namespace {

// What one rank has against it.
std::string objection(const Device& device) {
    if (std::getenv("XBENCH_NO_NCCL")) return "XBENCH_NO_NCCL is set";
    const Nccl* const nccl = nccl_library();
    if (!nccl) return "libnccl.so.2 is not found";
    if (device.is_emulated() != nccl->is_double)
        return nccl->is_double ? "the double of NCCL is for emulated GPUs" : "NCCL itself finds no emulated GPU";
    return "";
}

}  // namespace

std::string why_no_nccl(ControlPlane& ranks, Device& device) {
    const std::string mine = std::string(device.name()) == "cuda" ? objection(device) : "the device is no GPU";
    std::vector<std::byte> bytes(mine.size());
    std::transform(mine.begin(), mine.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
    std::string all;
    for (const std::byte byte : ranks.all_gather_bytes(bytes)) all += static_cast<char>(byte);
    return mine.empty() ? all : mine;
}

std::string nccl_version() {
    int version = 0;
    const Nccl* const nccl = nccl_library();
    if (!nccl || nccl->ncclGetVersion(&version) != nccl_success) return "";
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

}  // namespace xbench
