// NCCL's library, opened at run time: what a program of NCCL 2 sees of it, declared here so that nothing of it is needed to
// build. Seen by nccl.cpp only.
#pragma once

#include <climits>
#include <cstddef>

namespace xbench {

struct NcclId {
    char bytes[128];
};
using NcclComm = void*;
enum NcclResult : int { nccl_success = 0, nccl_remote_error = 6, nccl_in_progress = 7 };
enum NcclType : int { nccl_u8 = 1, nccl_f32 = 7, nccl_f64 = 8 };
enum NcclReduction : int { nccl_sum = 0 };
// ncclConfig_t as of 2.18; later versions read its size and fill up the rest.
struct NcclConfig {
    size_t size = sizeof(NcclConfig);
    unsigned magic = 0xcafebeef, version = 21805;
    int blocking = 0, cga_cluster_size = INT_MIN, min_ctas = INT_MIN, max_ctas = INT_MIN;
    const char* net_name = nullptr;
    int split_share = INT_MIN;
};

struct Nccl {
    int (*ncclGetVersion)(int*);
    const char* (*ncclGetErrorString)(int);
    const char* (*ncclGetLastError)(NcclComm);
    int (*ncclGetUniqueId)(NcclId*);
    int (*ncclCommInitRankConfig)(NcclComm*, int, NcclId, int, NcclConfig*);
    int (*ncclCommGetAsyncError)(NcclComm, int*);
    int (*ncclCommFinalize)(NcclComm);
    int (*ncclCommDestroy)(NcclComm);
    int (*ncclCommAbort)(NcclComm);
    int (*ncclGroupStart)();
    int (*ncclGroupEnd)();
    int (*ncclAllReduce)(const void*, void*, size_t, int, int, NcclComm, void*);
    int (*ncclReduce)(const void*, void*, size_t, int, int, int, NcclComm, void*);
    int (*ncclAllGather)(const void*, void*, size_t, int, NcclComm, void*);
    int (*ncclBroadcast)(const void*, void*, size_t, int, int, NcclComm, void*);
    int (*ncclSend)(const void*, size_t, int, int, NcclComm, void*);
    int (*ncclRecv)(void*, size_t, int, int, NcclComm, void*);
    bool is_double = false;  // that of the tests, for emulated GPUs
};

// Null where there is none that can be used.
const Nccl* nccl_library();

}  // namespace xbench
