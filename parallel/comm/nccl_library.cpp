// libnccl.so.2 by dlopen, and whether ranks can use it.
#include "parallel/comm/nccl_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "core/gather.h"
#include "parallel/comm/nccl.h"

namespace xbench {
namespace {

template <class F>
bool find(void* library, const char* name, F*& function) {
    function = reinterpret_cast<F*>(dlsym(library, name));
    return function != nullptr;
}

struct Opened {
    const Nccl* nccl = nullptr;
    std::string why_not;
};

// 2804 is 2.8.4; from 2.9 on 20900.
std::string text_of_version(int version) {
    const int scale = version < 10000 ? 1000 : 10000;
    return std::to_string(version / scale) + "." + std::to_string(version % scale / 100) + "." +
           std::to_string(version % 100);
}

constexpr int major_of(int version) { return version < 10000 ? version / 1000 : version / 10000; }

Opened without(const Nccl& nccl, const char* name) {
    int version = 0;
    const bool known = nccl.ncclGetVersion && nccl.ncclGetVersion(&version) == nccl_success;
    return {nullptr, "libnccl.so.2" + (known ? ", version " + text_of_version(version) + "," : std::string()) + " has no " +
                         name + ": xbench needs NCCL 2.14 or a later 2.x"};
}

Opened open_nccl() {
    static Nccl nccl;
    void* const library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char* const why = dlerror();
        const bool missing = !why || std::string(why).find("No such file") != std::string::npos;
        return {nullptr, missing ? "libnccl.so.2 is not found" : "libnccl.so.2 is here and cannot be loaded"};
    }
#define XB_FIND(name) \
    if (!find(library, #name, nccl.name)) return without(nccl, #name);
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
    int version = 0;
    if (nccl.ncclGetVersion(&version) == nccl_success && major_of(version) != 2)
        return {nullptr, "libnccl.so.2 says that it is version " + text_of_version(version) +
                             ": xbench needs NCCL 2.14 or a "
                             "later 2.x"};
    return {&nccl, ""};
}

const Opened& opened_nccl() {
    static const Opened opened = open_nccl();
    return opened;
}

}  // namespace

const Nccl* nccl_library() { return opened_nccl().nccl; }

namespace {

// What one rank has against it.
std::string objection(const Device& device) {
    if (std::getenv("XBENCH_NO_NCCL")) return "XBENCH_NO_NCCL is set";
    const Nccl* const nccl = nccl_library();
    if (!nccl) return opened_nccl().why_not;
    if (device.is_emulated() != nccl->is_double)
        return nccl->is_double ? "the double of NCCL is for emulated GPUs" : "NCCL itself finds no emulated GPU";
    return "";
}

}  // namespace

std::string why_no_nccl(ControlPlane& ranks, Device& device) {
    const std::string mine = std::string(device.name()) == "cuda" ? objection(device) : "the device is no GPU";
    const std::string all = gather_text(ranks, mine);
    return mine.empty() ? all : mine;
}

std::string nccl_version() {
    int version = 0;
    const Nccl* const nccl = nccl_library();
    if (!nccl || nccl->ncclGetVersion(&version) != nccl_success) return "";
    return text_of_version(version);
}

}  // namespace xbench
