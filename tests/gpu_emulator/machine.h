// What the driver functions of libcuda.cpp work on: modules, streams, events and graphs.
//
// Streams run as late as they may, when somebody synchronises, so that a wait that is missing shows. A graph is the list of
// operations that were captured, in the order in which they were asked for, which respects every dependency.
#pragma once

#include <cuda.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/gpu_emulator/warp.h"

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
struct CUgraph_st {
    std::vector<Operation> operations;
};
struct CUgraphExec_st {
    std::vector<Operation> operations;
};
struct CUstream_st {
    int device = 0;
    std::deque<Operation> queue;
    CUgraph captured = nullptr;
    bool busy = false;
};
struct CUevent_st {
    uint64_t recorded = 0, done = 0;
    CUstream stream = nullptr;
    CUgraph captured = nullptr;
    double seconds = 0;
};

namespace xbench::ptx {

class Machine {
public:
    std::recursive_mutex mutex;

    CUcontext context(int device);
    // Of the calling thread; null: none is set.
    static CUcontext& current();
    static int current_device() { return current() ? current()->device : 0; }

    CUresult load(CUmodule* module, const void* image);
    CUfunction function(CUmodule module, const std::string& name);

    CUstream create_stream();
    void destroy_stream(CUstream stream);
    // Behind what the stream has to do; at once for the null stream, which waits for all others.
    CUresult enqueue(CUstream stream, Operation operation);
    CUresult run_all(CUstream stream);
    CUresult run_everything();
    // Now, behind everything.
    CUresult at_once(const Operation& operation);
    CUresult end_capture(CUstream stream, CUgraph* graph);
    std::set<CUstream> streams;
    // What a kernel did wrong stays, as on a GPU.
    CUresult sticky = CUDA_SUCCESS;

    void* allocate_pinned(size_t bytes);
    bool free_pinned(void* address);
    bool is_pinned(const void* address) const;

private:
    std::map<int, std::unique_ptr<CUctx_st>> contexts_;
    std::map<Kernel*, std::unique_ptr<CUfunc_st>> functions_;
    std::map<const void*, size_t> pinned_;
};

Machine& machine();

CUresult copy_to_device(CUdeviceptr to, const void* from, size_t bytes);
CUresult copy_to_host(void* to, CUdeviceptr from, size_t bytes);
CUresult copy_on_device(CUdeviceptr to, CUdeviceptr from, size_t bytes);
CUresult fill(CUdeviceptr to, uint32_t value, size_t count, int width);

}  // namespace xbench::ptx
