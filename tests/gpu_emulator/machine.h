// What the driver functions of libcuda_*.cpp work on: modules, streams, events and graphs.
//
// Streams run as late as they may, when somebody waits for them, and only those that are waited for, so that a wait that is
// missing shows. An operation may say that it is not ready (a collective whose other ranks have not come): then other
// streams run, and then other threads and processes get their turn. A graph keeps what each node comes after, and runs what
// was captured last first where nothing forbids it.
#pragma once

#include <cuda.h>

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/warp.h"

// CUDA_ERROR_NOT_READY: ask again.
using Operation = std::function<CUresult()>;

struct CUctx_st {
    int device;
};
struct CUfunc_st {
    xbench::ptx::Kernel* kernel;
};
struct CUmod_st {
    int device = 0;
    std::map<std::string, std::unique_ptr<xbench::ptx::Kernel>> kernels;
    std::map<std::string, xbench::ptx::Variable> variables;
};
namespace xbench::ptx {

struct Work {
    CUgraphNodeType kind = CU_GRAPH_NODE_TYPE_EMPTY;
    Operation run;
    CUstream other = nullptr;  // runs before it is ready
    bool collective = false;   // other processes may wait for it
};

}  // namespace xbench::ptx

struct CUgraphNode_st {
    xbench::ptx::Work work;
    std::vector<size_t> after;  // nodes of the same graph
};
struct CUgraph_st {
    std::deque<CUgraphNode_st> nodes;  // in the order of capture
};
struct CUgraphExec_st {
    std::vector<CUgraphNodeType> kinds;    // in the order of capture
    std::vector<xbench::ptx::Work> works;  // in the order of running
};

namespace xbench::ptx {

// A capture that is under way, of one or several streams.
struct Capture {
    std::unique_ptr<CUgraph_st> graph = std::make_unique<CUgraph_st>();
    CUstream origin = nullptr;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    bool invalid = false;
};

}  // namespace xbench::ptx

struct CUstream_st {
    int device = 0;
    bool blocking = true;  // waits for the null stream, which waits for it
    bool busy = false;     // an operation of it runs
    std::deque<xbench::ptx::Work> queue;
    std::shared_ptr<xbench::ptx::Capture> capture;
    std::vector<size_t> tips;  // nodes that the next one comes after
};
struct CUevent_st {
    uint64_t recorded = 0, done = 0;
    CUstream stream = nullptr;
    std::shared_ptr<xbench::ptx::Capture> capture;
    std::vector<size_t> tips;
    double seconds = 0;
    bool timed = true;
};

namespace xbench::ptx {

class Machine {
public:
    // Of the machine, for whoever touches it. A thread that has it may take it again.
    class Lock {
    public:
        Lock();
        ~Lock();
        Lock(const Lock&) = delete;
        Lock& operator=(const Lock&) = delete;
    };
    // Lets other threads run for as long as it lives, for what may take long.
    class Open {
    public:
        Open();
        ~Open();
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
    };

    bool initialised = false;
    // What a kernel did wrong stays with its device, as on a GPU: the others go on.
    CUresult sticky(int device) const { return sticky_[static_cast<size_t>(device)]; }
    CUresult sticky_of_current() const { return sticky(current_device()); }
    void forgive();

    static void write_counts_at_exit();
    CUcontext context(int device);
    // Of the calling thread; null: none is set.
    static CUcontext& current();
    static int current_device() { return current() ? current()->device : 0; }

    CUresult load(CUmodule* module, const void* image);
    void unload(CUmodule module);
    CUfunction function(CUmodule module, const std::string& name);

    CUstream create_stream(bool blocking);
    CUresult destroy_stream(CUstream stream);
    bool knows(CUstream stream) const { return is_null(stream) || streams_.count(stream) > 0; }
    static bool is_null(CUstream stream);
    CUevent create_event(bool timed);
    void destroy_event(CUevent event);
    bool knows(CUevent event) const { return events_.count(event) > 0; }

    // Behind what the stream has to do, or a node of the graph that is being captured.
    CUresult enqueue(CUstream stream, Work work);
    CUresult enqueue(CUstream stream, CUgraphNodeType kind, Operation run) {
        return enqueue(stream, Work{kind, std::move(run), nullptr, false});
    }
    // Now, behind all blocking streams of the device.
    CUresult at_once(const Operation& operation);
    // Runs the stream, and what it waits for, until `done` or the stream is empty.
    CUresult run_until(CUstream stream, const std::function<bool()>& done);
    CUresult run_all(CUstream stream);
    CUresult run_device(int device, bool blocking_only);
    // What can be run without waiting. True: the stream has nothing left to do.
    bool advance(CUstream stream);
    // What other processes may wait for, and what comes before it.
    void advance_collectives(int device);

    CUresult begin_capture(CUstream stream, CUstreamCaptureMode mode);
    CUresult end_capture(CUstream stream, CUgraph* graph);
    // A function that a capture forbids: CUDA_SUCCESS, or the error, having spoilt the capture.
    CUresult forbidden_in_capture();
    static CUgraphExec instantiate(const CUgraph_st& graph);

    void* allocate_pinned(size_t bytes);
    bool free_pinned(void* address);
    bool is_pinned(const void* address) const;

private:
    enum class Step { did, blocked, empty };
    Step step(CUstream stream);
    bool step_others(CUstream but);
    void fail(int device, CUresult result);
    void pause();
    static int device_of_stream(CUstream stream) { return is_null(stream) ? current_device() : stream->device; }

    std::array<std::atomic<CUresult>, most_devices> sticky_{};

    std::map<int, std::unique_ptr<CUctx_st>> contexts_;
    std::map<Kernel*, std::unique_ptr<CUfunc_st>> functions_;
    std::vector<std::unique_ptr<CUmod_st>> old_modules_;
    std::map<const void*, size_t> pinned_;
    std::set<CUstream> streams_;
    std::set<CUevent> events_;
    std::vector<std::unique_ptr<CUevent_st>> old_events_;  // that operations in streams may still name
};

Machine& machine();

CUresult copy(uint64_t to, uint64_t from, size_t bytes);  // either side may be the host's or a device's
CUresult fill(CUdeviceptr to, uint32_t value, size_t count, int width);
bool is_device_address(uint64_t address);

}  // namespace xbench::ptx
