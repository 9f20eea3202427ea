// When operations of streams run, and what captures make of them.
#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/gpu_emulator/machine.h"

namespace xbench::ptx {
namespace {

std::mutex& machine_mutex() {
    static std::mutex mutex;
    return mutex;
}
int& depth_of_thread() {
    static thread_local int depth = 0;
    return depth;
}

constexpr auto shortest_pause = std::chrono::microseconds(50);

}  // namespace

Machine::Lock::Lock() {
    if (depth_of_thread()++ == 0) machine_mutex().lock();
}
Machine::Lock::~Lock() {
    if (--depth_of_thread() == 0) machine_mutex().unlock();
}
Machine::Open::Open() {
    if (depth_of_thread() > 0) machine_mutex().unlock();
}
Machine::Open::~Open() {
    if (depth_of_thread() > 0) machine_mutex().lock();
}

Machine& machine() {
    static Machine* const machine = new Machine;  // threads may outlive main
    return *machine;
}

bool Machine::is_null(CUstream stream) {
    return stream == nullptr || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD;
}

CUstream Machine::create_stream(bool blocking) {
    auto* const stream = new CUstream_st;
    stream->device = current_device();
    stream->blocking = blocking;
    streams_.insert(stream);
    return stream;
}

CUresult Machine::destroy_stream(CUstream stream) {
    if (is_null(stream) || !knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = run_all(stream);
    streams_.erase(stream);
    for (const CUevent event : events_)
        if (event->stream == stream) event->stream = nullptr;
    delete stream;
    return result;
}

CUevent Machine::create_event(bool timed) {
    auto* const event = new CUevent_st;
    event->timed = timed;
    events_.insert(event);
    return event;
}

void Machine::destroy_event(CUevent event) {
    events_.erase(event);
    old_events_.emplace_back(event);
}

void Machine::fail(int device, CUresult result) {
    auto& kept = sticky_[static_cast<size_t>(device)];
    if (kept == CUDA_SUCCESS) kept = result;
    for (const CUstream stream : streams_)
        if (!stream->busy && stream->device == device) stream->queue.clear();
}

void Machine::forgive() {
    for (auto& kept : sticky_) kept = CUDA_SUCCESS;
    for (const CUstream stream : streams_) stream->queue.clear();
}

void Machine::pause() {
    const Open open;
    std::this_thread::sleep_for(shortest_pause);
}

Machine::Step Machine::step(CUstream stream) {
    if (!knows(stream) || stream->queue.empty()) return Step::empty;
    if (stream->busy) return Step::blocked;
    stream->busy = true;
    const Work& work = stream->queue.front();
    const CUresult result = work.run();
    Step step_done = Step::did;
    if (result == CUDA_ERROR_NOT_READY)
        step_done = !is_null(work.other) && step(work.other) == Step::did ? Step::did : Step::blocked;
    else
        stream->queue.pop_front();
    stream->busy = false;
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY) fail(stream->device, result);
    return step_done;
}

bool Machine::step_others(CUstream but) {
    bool did = false;
    for (const CUstream stream : std::set<CUstream>(streams_))
        if (stream != but) did |= step(stream) == Step::did;
    return did;
}

CUresult Machine::run_until(CUstream stream, const std::function<bool()>& done) {
    const int device = device_of_stream(stream);
    while (sticky(device) == CUDA_SUCCESS && knows(stream) && !done()) {
        const Step now = step(stream);
        if (now == Step::empty) break;
        if (now == Step::blocked && !step_others(stream)) pause();
    }
    return sticky(device);
}

CUresult Machine::run_all(CUstream stream) {
    if (is_null(stream)) return run_device(current_device(), true);
    return run_until(stream, [] { return false; });
}

CUresult Machine::run_device(int device, bool blocking_only) {
    for (const CUstream stream : std::set<CUstream>(streams_))
        if (knows(stream) && stream->device == device && (stream->blocking || !blocking_only)) run_all(stream);
    return sticky(device);
}

bool Machine::advance(CUstream stream) {
    if (is_null(stream)) return true;
    while (sticky(stream->device) == CUDA_SUCCESS && step(stream) == Step::did) {
    }
    return stream->queue.empty();
}

void Machine::advance_collectives(int device) {
    const auto waits = [](const Work& work) { return work.collective; };
    for (const CUstream stream : std::set<CUstream>(streams_))
        while (sticky(device) == CUDA_SUCCESS && knows(stream) && stream->device == device &&
               std::any_of(stream->queue.begin(), stream->queue.end(), waits) && step(stream) == Step::did) {
        }
}

CUresult Machine::enqueue(CUstream stream, Work work) {
    if (!knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult result = sticky(device_of_stream(stream))) return result;
    if (is_null(stream)) return at_once(work.run);
    if (!stream->capture) {
        stream->queue.push_back(std::move(work));
        return CUDA_SUCCESS;
    }
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    auto& nodes = stream->capture->graph->nodes;
    nodes.push_back({std::move(work), stream->tips});
    stream->tips = {nodes.size() - 1};
    return CUDA_SUCCESS;
}

CUresult Machine::at_once(const Operation& operation) {
    const Lock lock;
    if (const CUresult result = forbidden_in_capture()) return result;
    const int device = current_device();
    CUresult result = run_device(device, true);
    while (result == CUDA_SUCCESS && (result = operation()) == CUDA_ERROR_NOT_READY) {
        if (!step_others(nullptr)) pause();
        result = sticky(device);
    }
    // What only the call got wrong is its own affair; what a kernel did stays.
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_INVALID_VALUE) fail(device, result);
    return result;
}

CUresult Machine::begin_capture(CUstream stream, CUstreamCaptureMode mode) {
    if (is_null(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (!knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream;
    stream->capture->mode = mode;
    stream->tips.clear();
    return CUDA_SUCCESS;
}

// Every stream that took part must have come back to the first one: its last node is before one of the first stream's.
CUresult Machine::end_capture(CUstream stream, CUgraph* graph) {
    *graph = nullptr;
    if (!knows(stream) || is_null(stream) || !stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    const std::shared_ptr<Capture> capture = stream->capture;
    if (capture->origin != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    const auto& nodes = capture->graph->nodes;
    std::vector<bool> joined(nodes.size());
    for (std::vector<size_t> todo = stream->tips; !todo.empty();) {
        const size_t node = todo.back();
        todo.pop_back();
        if (joined[node]) continue;
        joined[node] = true;
        todo.insert(todo.end(), nodes[node].after.begin(), nodes[node].after.end());
    }
    bool all = true;
    for (const CUstream other : streams_) {
        if (other->capture != capture) continue;
        for (const size_t tip : other->tips) all &= static_cast<bool>(joined[tip]);
        other->capture = nullptr;
        other->tips.clear();
    }
    if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!all) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    *graph = capture->graph.release();
    return CUDA_SUCCESS;
}

CUresult Machine::forbidden_in_capture() {
    CUresult result = CUDA_SUCCESS;
    for (const CUstream stream : streams_)
        if (stream->capture && stream->capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL) {
            stream->capture->invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    return result;
}

CUgraphExec Machine::instantiate(const CUgraph_st& graph) {
    auto* const exec = new CUgraphExec_st;
    std::vector<size_t> missing(graph.nodes.size());
    std::vector<std::vector<size_t>> later(graph.nodes.size());
    std::set<size_t> ready;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
        exec->kinds.push_back(graph.nodes[n].work.kind);
        missing[n] = graph.nodes[n].after.size();
        for (const size_t before : graph.nodes[n].after) later[before].push_back(n);
        if (missing[n] == 0) ready.insert(n);
    }
    while (!ready.empty()) {
        const size_t last = *std::prev(ready.end());
        ready.erase(last);
        exec->works.push_back(graph.nodes[last].work);
        for (const size_t n : later[last])
            if (--missing[n] == 0) ready.insert(n);
    }
    return exec;
}

}  // namespace xbench::ptx
