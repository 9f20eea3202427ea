// One rank of a test of the NCCL double: its communicator and stream, the calls of NCCL on them, and buffers.
#pragma once

#include <unistd.h>

#include <string>
#include <vector>

#include "tests/nccl_double/ranks.h"

namespace xbench::nccl {

class Rank {
public:
    explicit Rank(const Ranks& ranks, bool blocking = true) : ranks_(ranks) {
        XB_WANT(XB_CU(cuStreamCreate)(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
        Config config{sizeof(Config), config_magic, version_code, blocking};
        const Result result = XB_NCCL_CALL(ncclCommInitRankConfig, Handle*, int, UniqueId, int, Config*)(
            &comm, ranks.count, ranks.id, ranks.rank, &config);
        XB_WANT(result == (blocking ? success : in_progress));
        wait();
    }
    // Until nothing is in progress.
    void wait() const {
        while (error() == in_progress) usleep(100);
    }
    Result error() const {
        Result now = success;
        XB_NCCL_CALL(ncclCommGetAsyncError, Handle, Result*)(comm, &now);
        return now;
    }
    void destroy() const { XB_WANT(XB_NCCL_CALL(ncclCommDestroy, Handle)(comm) == success); }
    void abort() const { XB_WANT(XB_NCCL_CALL(ncclCommAbort, Handle)(comm) == success); }
    CUresult synchronize() const { return XB_CU(cuStreamSynchronize)(stream); }

    Result all_reduce(CUdeviceptr from, CUdeviceptr to, size_t n, int type = type_f32, int reduction = sum) const {
        return XB_NCCL_CALL(ncclAllReduce, CUdeviceptr, CUdeviceptr, size_t, int, int, Handle, CUstream)(
            from, to, n, type, reduction, comm, stream);
    }
    Result rooted(const char* name, CUdeviceptr from, CUdeviceptr to, size_t n, int root) const {
        if (std::string(name) == "ncclBroadcast")
            return XB_NCCL_CALL(ncclBroadcast, CUdeviceptr, CUdeviceptr, size_t, int, int, Handle, CUstream)(
                from, to, n, type_f32, root, comm, stream);
        return XB_NCCL_CALL(ncclReduce, CUdeviceptr, CUdeviceptr, size_t, int, int, int, Handle, CUstream)(
            from, to, n, type_f32, sum, root, comm, stream);
    }
    Result reduce_scatter(CUdeviceptr from, CUdeviceptr to, size_t n) const {
        return XB_NCCL_CALL(ncclReduceScatter, CUdeviceptr, CUdeviceptr, size_t, int, int, Handle, CUstream)(
            from, to, n, type_f32, sum, comm, stream);
    }
    Result all_gather(CUdeviceptr from, CUdeviceptr to, size_t n) const {
        return XB_NCCL_CALL(ncclAllGather, CUdeviceptr, CUdeviceptr, size_t, int, Handle, CUstream)(from, to, n, type_f32,
                                                                                                    comm, stream);
    }

    Handle comm = nullptr;
    CUstream stream = nullptr;

private:
    Ranks ranks_;
};

inline CUdeviceptr allocate(size_t bytes) {
    CUdeviceptr at = 0;
    XB_WANT(XB_CU(cuMemAlloc)(&at, bytes) == CUDA_SUCCESS);
    return at;
}
template <class T>
CUdeviceptr upload(const std::vector<T>& values) {
    const CUdeviceptr at = allocate(values.size() * sizeof(T));
    XB_WANT(XB_CU(cuMemcpyHtoD)(at, values.data(), values.size() * sizeof(T)) == CUDA_SUCCESS);
    return at;
}
template <class T>
std::vector<T> download(CUdeviceptr at, size_t n) {
    std::vector<T> values(n);
    XB_WANT(XB_CU(cuMemcpyDtoH)(values.data(), at, n * sizeof(T)) == CUDA_SUCCESS);
    return values;
}
inline unsigned long long reports() { return XB_EMU(unsigned long long(), emu_reports)(); }
inline std::string last_report() { return XB_EMU(const char*(), emu_last_report)(); }

inline std::vector<float> pattern(int rank, size_t n) {
    std::vector<float> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>((i * 7 + static_cast<size_t>(rank) * 3) % 101);
    return values;
}

}  // namespace xbench::nccl
