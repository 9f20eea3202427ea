// The functions of libnccl.so.2 that the product calls, for the emulated GPU: a test double. It checks what NCCL leaves to
// chance: that all ranks make the same calls, and that buffers are living memory of the right device.
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "tests/nccl_double/emulator.h"
#include "tests/nccl_double/group.h"

using namespace xbench::nccl;

namespace {

CUdeviceptr address(const void* buffer) { return reinterpret_cast<CUdeviceptr>(buffer); }

Part part_of(Kind kind, const void* from, void* to, size_t count, int type, int reduction = 0, int root = 0, int peer = -1) {
    Part part;
    part.call = {kind, type, reduction, root, count, 0};
    part.from = address(from);
    part.to = address(to);
    part.peer = peer;
    return part;
}

// Of the ranks of one color, who comes when: by key, then by rank.
int place_in_color(const World& world, int rank, int& members) {
    const Slot& mine = world.slot(rank);
    int place = members = 0;
    for (int r = 0; r < world.ranks(); ++r) {
        const Slot& other = world.slot(r);
        if (other.color != mine.color) continue;
        ++members;
        place += other.key < mine.key || (other.key == mine.key && r < rank);
    }
    return place;
}

bool wait_for_splits(const World& world, uint64_t number) {
    for (int tries = 0; tries < static_cast<int>(seconds_to_wait() * 1e4); ++tries) {
        bool all = true;
        for (int r = 0; r < world.ranks(); ++r) all &= world.slot(r).splits >= number;
        if (all) return true;
        usleep(100);
    }
    return false;
}

}  // namespace

XB_NCCL int xbench_nccl_double() { return 1; }

XB_NCCL Result ncclGetVersion(int* version) {
    *version = version_code;
    return success;
}
XB_NCCL const char* ncclGetErrorString(Result result) {
    static constexpr const char* texts[] = {"no error",
                                            "unhandled cuda error",
                                            "unhandled system error",
                                            "internal error",
                                            "invalid argument",
                                            "invalid usage",
                                            "remote process exited or there was a network error",
                                            "NCCL operation in progress"};
    return result >= 0 && result <= in_progress ? texts[result] : "unknown result code";
}
XB_NCCL const char* ncclGetLastError(ncclComm_t comm) {
    static thread_local std::string text;
    text.clear();
    if (comm) {
        const std::scoped_lock lock(comm->state->mutex);
        text = comm->state->last_error;
    }
    return text.c_str();
}
XB_NCCL Result ncclGetUniqueId(UniqueId* id) {
    std::random_device device;
    for (size_t i = 0; i < sizeof id->internal; i += 4) {
        const uint32_t random = device();
        std::memcpy(id->internal + i, &random, 4);
    }
    return success;
}

XB_NCCL Result ncclCommInitRankConfig(ncclComm_t* comm, int ranks, UniqueId id, int rank, Config* config) {
    const Result result = begin_to_join(comm, ranks, id, rank, config);
    return result == success || result == in_progress ? submit_join(*comm) : result;
}
XB_NCCL Result ncclCommInitRank(ncclComm_t* comm, int ranks, UniqueId id, int rank) {
    return ncclCommInitRankConfig(comm, ranks, id, rank, nullptr);
}
XB_NCCL Result ncclCommFinalize(ncclComm_t comm) {
    if (!comm) return invalid_argument;
    return finish(comm);
}
XB_NCCL Result ncclCommAbort(ncclComm_t comm) {
    if (!comm) return success;
    comm->state->aborted = true;
    wait_to_join(comm);
    if (comm->state->world) comm->state->world->abort();
    comm->state->destroyed = true;
    delete comm;
    return success;
}
XB_NCCL Result ncclCommDestroy(ncclComm_t comm) {
    if (!comm) return success;
    wait_to_join(comm);
    if (comm->state->captured > 0)
        comm->state->misuse(invalid_usage,
                            "destroyed while a graph holds its calls: NCCL waits until the graph is destroyed");
    const Result result = finish(comm);
    comm->state->destroyed = true;
    if (comm->state->world) comm->state->world->slot(comm->rank).left = 1;
    delete comm;
    return result;
}
XB_NCCL Result ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* fresh, Config* config) {
    *fresh = nullptr;
    if (!comm || comm->state->joining || comm->state->error != success) return invalid_usage;
    World& world = *comm->state->world;
    Slot& mine = world.slot(comm->rank);
    // The slots may be written again when all have read the split before: two numbers a split.
    const uint64_t number = ++comm->splits;
    mine.color = color;
    mine.key = key;
    mine.splits = 2 * number - 1;
    if (!wait_for_splits(world, 2 * number - 1)) return remote_error;
    int members = 0;
    const int place = place_in_color(world, comm->rank, members);
    mine.splits = 2 * number;
    if (!wait_for_splits(world, 2 * number)) return remote_error;
    if (color == no_color) return success;
    UniqueId id = world.id();
    const uint64_t own = (static_cast<uint64_t>(number) << 32 | static_cast<uint32_t>(color)) * 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < sizeof own; ++i) id.internal[8 + i] = static_cast<char>(id.internal[8 + i] ^ (own >> (8 * i)));
    return ncclCommInitRankConfig(fresh, members, id, place, config);
}
XB_NCCL Result ncclCommGetAsyncError(ncclComm_t comm, Result* error) {
    State& state = *comm->state;
    *error = static_cast<Result>(state.error.load());
    if (*error == success && (state.joining || (state.polls_in_progress > 0 && state.polls_in_progress-- > 0)))
        *error = in_progress;
    return success;
}
XB_NCCL Result ncclCommCount(ncclComm_t comm, int* count) {
    *count = comm->ranks;
    return success;
}
XB_NCCL Result ncclCommCuDevice(ncclComm_t comm, int* device) {
    *device = comm->state->device;
    return success;
}
XB_NCCL Result ncclCommUserRank(ncclComm_t comm, int* rank) {
    *rank = comm->rank;
    return success;
}
XB_NCCL Result ncclCommRegister(ncclComm_t, void* buffer, size_t, void** handle) {
    *handle = buffer;
    return success;
}
XB_NCCL Result ncclCommDeregister(ncclComm_t, void*) { return success; }
XB_NCCL Result ncclMemAlloc(void** memory, size_t bytes) {
    CUdeviceptr at = 0;
    if (!emulator() || emulator()->allocate(&at, bytes) != CUDA_SUCCESS) return unhandled_cuda_error;
    *memory = reinterpret_cast<void*>(at);
    return success;
}
XB_NCCL Result ncclMemFree(void* memory) {
    return emulator()->free(address(memory)) == CUDA_SUCCESS ? success : invalid_argument;
}

XB_NCCL Result ncclGroupStart() {
    start_group();
    return success;
}
XB_NCCL Result ncclGroupEnd() { return end_group(); }

XB_NCCL Result ncclAllReduce(const void* from, void* to, size_t count, int type, int reduction, ncclComm_t comm,
                             CUstream stream) {
    return submit(comm, stream, part_of(Kind::all_reduce, from, to, count, type, reduction));
}
XB_NCCL Result ncclBroadcast(const void* from, void* to, size_t count, int type, int root, ncclComm_t comm,
                             CUstream stream) {
    return submit(comm, stream, part_of(Kind::broadcast, from, to, count, type, 0, root));
}
XB_NCCL Result ncclBcast(void* buffer, size_t count, int type, int root, ncclComm_t comm, CUstream stream) {
    return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}
XB_NCCL Result ncclReduce(const void* from, void* to, size_t count, int type, int reduction, int root, ncclComm_t comm,
                          CUstream stream) {
    return submit(comm, stream, part_of(Kind::reduce, from, to, count, type, reduction, root));
}
XB_NCCL Result ncclReduceScatter(const void* from, void* to, size_t count, int type, int reduction, ncclComm_t comm,
                                 CUstream stream) {
    return submit(comm, stream, part_of(Kind::reduce_scatter, from, to, count, type, reduction));
}
XB_NCCL Result ncclAllGather(const void* from, void* to, size_t count, int type, ncclComm_t comm, CUstream stream) {
    return submit(comm, stream, part_of(Kind::all_gather, from, to, count, type));
}
XB_NCCL Result ncclSend(const void* from, size_t count, int type, int peer, ncclComm_t comm, CUstream stream) {
    if (peer < 0) return invalid_argument;
    return submit(comm, stream, part_of(Kind::send, from, nullptr, count, type, 0, 0, peer));
}
XB_NCCL Result ncclRecv(void* to, size_t count, int type, int peer, ncclComm_t comm, CUstream stream) {
    if (peer < 0) return invalid_argument;
    return submit(comm, stream, part_of(Kind::receive, nullptr, to, count, type, 0, 0, peer));
}
