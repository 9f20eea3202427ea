// What is wrong with a call that one rank can see alone, and grouping.
#include "tests/nccl_double/group.h"

#include <utility>

#include "tests/nccl_double/elements.h"
#include "tests/nccl_double/emulator.h"

namespace xbench::nccl {
namespace {

constexpr int polls_of_first_launch = 2;  // that say "in progress", of a communicator that does not block

struct Pending {
    ncclComm_t comm;
    CUstream stream;
    std::vector<Part> parts;
};
struct Group {
    int depth = 0;
    std::vector<Pending> pending;
    std::vector<ncclComm_t> joining;
};
Group& group() {
    static thread_local Group group;
    return group;
}

std::string device_text(int device) { return device < 0 ? "no living device memory" : "device " + std::to_string(device); }

Result misused(State& state, const Part& part, const std::string& what) {
    state.misuse(invalid_argument, text_of(part.call) + ": " + what);
    return invalid_argument;
}

Result check_buffers(State& state, const Part& part) {
    const int ranks = state.world->ranks(), rank = state.world->rank();
    const size_t read = bytes_read(part, ranks, rank), written = bytes_written(part, ranks, rank);
    const auto wrong = [&](CUdeviceptr at, size_t bytes) {
        return bytes > 0 && emulator()->device_of(at, bytes) != state.device;
    };
    const auto where = [&](CUdeviceptr at, size_t bytes) {
        return std::to_string(bytes) + " bytes in " + device_text(emulator()->device_of(at, bytes)) + ", of device " +
               std::to_string(state.device) + "'s communicator";
    };
    if (wrong(part.from, read)) return misused(state, part, "it sends " + where(part.from, read));
    if (wrong(part.to, written)) return misused(state, part, "it receives " + where(part.to, written));
    const CUdeviceptr offset =
        part.call.kind == Kind::all_gather ? part.call.count * bytes_of(part.call.type) * static_cast<size_t>(rank) : 0;
    const CUdeviceptr in_place = part.call.kind == Kind::reduce_scatter
                                     ? part.from + part.call.count * bytes_of(part.call.type) * static_cast<size_t>(rank)
                                     : part.from;
    const bool overlap = read > 0 && written > 0 && part.from < part.to + written && part.to < part.from + read;
    if (overlap && in_place != part.to + offset)
        return misused(state, part, "source and destination overlap, and not as in-place calls may");
    return success;
}

Result check(ncclComm_t comm, CUstream stream, const Part& part) {
    State& state = *comm->state;
    if (state.joining) {
        state.misuse(invalid_usage, "a call on a communicator that is still being made");
        return invalid_usage;
    }
    if (state.error != success) return static_cast<Result>(state.error.load());
    if (state.polls_in_progress > 0) {
        state.misuse(invalid_usage, "a call while the one before is in progress: ask ncclCommGetAsyncError first");
        return invalid_usage;
    }
    if (part.call.type < 0 || part.call.type >= types || part.call.reduction < 0 || part.call.reduction >= reductions ||
        part.call.root < 0 || part.call.root >= comm->ranks || part.peer >= comm->ranks)
        return invalid_argument;
    if (emulator()->stream_device(stream) != state.device)
        return misused(state, part, "its stream belongs to another device, or to none");
    return check_buffers(state, part);
}

bool is_captured(CUstream stream) {
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    emulator()->is_capturing(stream, &status);
    return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

Result launch(Pending& pending) {
    State& state = *pending.comm->state;
    auto* const operation = new Operation(pending.comm->state, std::move(pending.parts), is_captured(pending.stream));
    const CUresult result = emulator()->enqueue(pending.stream, Operation::poll, operation, Operation::release);
    if (result != CUDA_SUCCESS) {
        state.fail(unhandled_cuda_error, "the stream takes no collective: CUDA error " + std::to_string(result));
        return unhandled_cuda_error;
    }
    // As a real one connects its ranks then.
    if (!state.launched.exchange(true) && !state.blocking) state.polls_in_progress = polls_of_first_launch;
    return state.polls_in_progress > 0 ? in_progress : success;
}

}  // namespace

void start_group() { ++group().depth; }

Result end_group() {
    if (group().depth == 0) return invalid_usage;
    if (--group().depth > 0) return success;
    const Group all = std::exchange(group(), Group{});
    Result result = success;
    const auto note = [&](Result one) {
        if (one != success && (result == success || result == in_progress)) result = one;
    };
    for (const ncclComm_t comm : all.joining) note(comm->state->blocking ? wait_to_join(comm) : in_progress);
    for (Pending pending : all.pending) note(launch(pending));
    return result;
}

Result submit(ncclComm_t comm, CUstream stream, Part part) {
    if (!comm) return invalid_argument;
    if (const Result result = check(comm, stream, part); result != success) return result;
    start_group();
    bool fresh = true;
    for (Pending& pending : group().pending) {
        if (pending.comm != comm || pending.stream != stream) continue;
        pending.parts.push_back(part);
        fresh = false;
    }
    if (fresh) group().pending.push_back({comm, stream, {part}});
    return end_group();
}

Result submit_join(ncclComm_t comm) {
    start_group();
    group().joining.push_back(comm);
    return end_group();
}

}  // namespace xbench::nccl
