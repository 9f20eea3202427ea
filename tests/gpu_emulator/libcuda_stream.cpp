// Streams, events, graphs, functions of the host in streams.
#include <algorithm>
#include <chrono>

#include "tests/gpu_emulator/driver.h"

using namespace xbench::ptx;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::shared_ptr<Capture> capture_of(CUstream stream) { return Machine::is_null(stream) ? nullptr : stream->capture; }

CUresult run_on_host(CUhostFn function, void* data) {
    const Machine::Open open;
    function(data);
    return CUDA_SUCCESS;
}

// What the stream's device answers.
CUresult error_of(CUstream stream) {
    return machine().sticky(Machine::is_null(stream) ? Machine::current_device() : stream->device);
}

CUgraphNodeType kind_of(const CUgraphNode_st& node) { return node.work.kind; }

}  // namespace

XB_DRIVER cuStreamCreate(CUstream* stream, unsigned flags) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    *stream = machine().create_stream(!(flags & CU_STREAM_NON_BLOCKING));
    return CUDA_SUCCESS;
}
XB_DRIVER cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
XB_DRIVER cuStreamDestroy_v2(CUstream stream) {
    const Machine::Lock lock;
    return machine().destroy_stream(stream);
}
XB_DRIVER cuStreamSynchronize(CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    if (!machine().knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (const auto capture = capture_of(stream)) {
        capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return machine().run_all(stream);
}
// Who asks waits: the work is done for the next time that somebody asks.
XB_DRIVER cuStreamQuery(CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    if (!machine().knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (Machine::is_null(stream)) return machine().run_all(stream);
    if (stream->queue.empty()) return CUDA_SUCCESS;
    machine().advance(stream);
    const CUresult result = machine().sticky(stream->device);
    return result != CUDA_SUCCESS ? result : CUDA_ERROR_NOT_READY;
}
XB_DRIVER cuStreamGetPriority(CUstream, int* priority) {
    *priority = 0;
    return CUDA_SUCCESS;
}
XB_DRIVER cuStreamGetCtx(CUstream stream, CUcontext* context) {
    *context = Machine::is_null(stream) ? Machine::current() : machine().context(stream->device);
    return CUDA_SUCCESS;
}
XB_DRIVER cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
    const Machine::Lock lock;
    if (!machine().knows(stream) || !machine().knows(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) {
        if (Machine::is_null(stream) || (stream->capture && stream->capture != event->capture))
            return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
        if (!stream->capture) stream->tips.clear();
        stream->capture = event->capture;
        for (const size_t tip : event->tips)
            if (std::find(stream->tips.begin(), stream->tips.end(), tip) == stream->tips.end()) stream->tips.push_back(tip);
        return CUDA_SUCCESS;
    }
    if (capture_of(stream)) return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;  // of what was recorded outside
    const uint64_t wanted = event->recorded;
    // Nobody waits for a device that has failed: what was before the event is gone.
    const auto passed = [=] {
        const bool comes = event->stream && error_of(event->stream) == CUDA_SUCCESS;
        return event->done < wanted && comes ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
    };
    return machine().enqueue(stream, Work{CU_GRAPH_NODE_TYPE_WAIT_EVENT, passed, event->stream, false});
}
XB_DRIVER cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    return machine().enqueue(stream, CU_GRAPH_NODE_TYPE_HOST, [=] { return run_on_host(function, data); });
}

XB_DRIVER cuEventCreate(CUevent* event, unsigned flags) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    *event = machine().create_event(!(flags & CU_EVENT_DISABLE_TIMING));
    return CUDA_SUCCESS;
}
XB_DRIVER cuEventDestroy_v2(CUevent event) {
    const Machine::Lock lock;
    if (!machine().knows(event)) return CUDA_ERROR_INVALID_HANDLE;
    machine().destroy_event(event);
    return CUDA_SUCCESS;
}
XB_DRIVER cuEventRecord(CUevent event, CUstream stream) {
    const Machine::Lock lock;
    if (!machine().knows(stream) || !machine().knows(event)) return CUDA_ERROR_INVALID_HANDLE;
    event->capture = capture_of(stream);
    if (event->capture) {
        event->tips = stream->tips;
        return CUDA_SUCCESS;
    }
    const uint64_t number = ++event->recorded;
    event->stream = stream;
    return machine().enqueue(stream, CU_GRAPH_NODE_TYPE_EVENT_RECORD, [=] {
        event->done = std::max(event->done, number);
        event->seconds = now();
        return CUDA_SUCCESS;
    });
}
XB_DRIVER cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) { return cuEventRecord(event, stream); }
XB_DRIVER cuEventSynchronize(CUevent event) {
    const Machine::Lock lock;
    if (!machine().knows(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
    const uint64_t wanted = event->recorded;
    return machine().run_until(event->stream, [=] { return event->done >= wanted; });
}
XB_DRIVER cuEventQuery(CUevent event) {
    const Machine::Lock lock;
    if (!machine().knows(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
    if (const CUresult result = error_of(event->stream)) return result;
    if (event->done >= event->recorded) return CUDA_SUCCESS;
    machine().advance(event->stream);
    const CUresult result = error_of(event->stream);
    return result != CUDA_SUCCESS ? result : CUDA_ERROR_NOT_READY;
}
XB_DRIVER cuEventElapsedTime_v2(float* milliseconds, CUevent from, CUevent to) {
    const Machine::Lock lock;
    if (!machine().knows(from) || !machine().knows(to) || !from->timed || !to->timed || from->recorded == 0 ||
        to->recorded == 0)
        return CUDA_ERROR_INVALID_HANDLE;
    if (from->done < from->recorded || to->done < to->recorded) return CUDA_ERROR_NOT_READY;
    *milliseconds = static_cast<float>((to->seconds - from->seconds) * 1e3);
    return CUDA_SUCCESS;
}

XB_DRIVER cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    return machine().begin_capture(stream, mode);
}
XB_DRIVER cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    const Machine::Lock lock;
    return machine().end_capture(stream, graph);
}
XB_DRIVER cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
    const Machine::Lock lock;
    const auto capture = capture_of(stream);
    *status = !capture           ? CU_STREAM_CAPTURE_STATUS_NONE
              : capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                 : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return CUDA_SUCCESS;
}
XB_DRIVER cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode*) { return CUDA_SUCCESS; }
XB_DRIVER cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
    const Machine::Lock lock;
    *exec = Machine::instantiate(*graph);
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS*) {
    return cuGraphInstantiateWithFlags(exec, graph, 0);
}
// Only what a node does may change: not their number, their kinds or their order.
XB_DRIVER cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* info) {
    const Machine::Lock lock;
    std::vector<CUgraphNodeType> kinds(graph->nodes.size());
    std::transform(graph->nodes.begin(), graph->nodes.end(), kinds.begin(), kind_of);
    const bool same = kinds == exec->kinds;
    if (info) *info = {same ? CU_GRAPH_EXEC_UPDATE_SUCCESS : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, nullptr, nullptr};
    if (!same) return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    const std::unique_ptr<CUgraphExec_st> fresh(Machine::instantiate(*graph));
    exec->works = fresh->works;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
    const Machine::Lock lock;
    if (nodes)
        for (size_t n = 0; n < std::min(*count, graph->nodes.size()); ++n) nodes[n] = &graph->nodes[n];
    *count = graph->nodes.size();
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType* type) {
    *type = node->work.kind;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphUpload(CUgraphExec, CUstream) { return CUDA_SUCCESS; }
XB_DRIVER cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    for (const Work& work : exec->works)
        if (const CUresult result = machine().enqueue(stream, work)) return result;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphExecDestroy(CUgraphExec exec) {
    const Machine::Lock lock;
    delete exec;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphDestroy(CUgraph graph) {
    const Machine::Lock lock;
    delete graph;
    return CUDA_SUCCESS;
}
