// The double of NCCL: right results of every collective in every type, and their order in streams and graphs.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstring>

#include "tests/nccl_double/rank.h"

namespace xbench::nccl {
namespace {

constexpr size_t several_windows = 40000;

void try_collectives(const Ranks& ranks) {
    const Rank rank(ranks);
    const auto n = static_cast<size_t>(ranks.count);
    const CUdeviceptr mine = upload(pattern(ranks.rank, several_windows)), out = allocate(several_windows * 4 * n);
    std::vector<float> total(several_windows);
    for (int r = 0; r < ranks.count; ++r) {
        const std::vector<float> other = pattern(r, several_windows);
        for (size_t i = 0; i < several_windows; ++i) total[i] += other[i];
    }

    XB_WANT(rank.all_reduce(mine, out, several_windows) == success && rank.synchronize() == CUDA_SUCCESS);
    XB_WANT(download<float>(out, several_windows) == total);
    XB_WANT(rank.rooted("ncclBroadcast", mine, out, several_windows, 1) == success && rank.synchronize() == CUDA_SUCCESS);
    XB_WANT(download<float>(out, several_windows) == pattern(1, several_windows));
    XB_WANT(rank.all_gather(mine, out, several_windows) == success && rank.synchronize() == CUDA_SUCCESS);
    for (int r = 0; r < ranks.count; ++r)
        XB_WANT(download<float>(out + static_cast<size_t>(r) * several_windows * 4, several_windows) ==
                pattern(r, several_windows));
    const size_t part = several_windows / n;
    XB_WANT(rank.reduce_scatter(mine, out, part) == success && rank.synchronize() == CUDA_SUCCESS);
    const auto begin = total.begin() + ranks.rank * static_cast<ptrdiff_t>(part);
    XB_WANT(download<float>(out, part) == std::vector<float>(begin, begin + static_cast<ptrdiff_t>(part)));
    XB_WANT(rank.rooted("ncclReduce", mine, mine, several_windows, 0) == success && rank.synchronize() == CUDA_SUCCESS);
    XB_WANT(download<float>(mine, several_windows) == (ranks.rank == 0 ? total : pattern(ranks.rank, several_windows)));
    XB_WANT(reports() == 0);
    rank.destroy();
}

TEST(NcclDouble, CollectivesOfProcesses) {
    for (const int count : {2, 3, 4}) EXPECT_EQ(run_processes(count, try_collectives), "") << count;
}
TEST(NcclDouble, CollectivesOfThreads) { EXPECT_EQ(run_threads(3, try_collectives), ""); }

template <class T>
void try_type(const Rank& rank, const Ranks& ranks, int type, T (*of)(int)) {
    const CUdeviceptr at = upload(std::vector<T>(100, of(ranks.rank + 1)));
    XB_WANT(rank.all_reduce(at, at, 100, type) == success && rank.synchronize() == CUDA_SUCCESS);
    XB_WANT(download<T>(at, 100)[99] == of(6));
    const CUdeviceptr most = upload(std::vector<T>(100, of(ranks.rank + 1)));
    XB_WANT(rank.all_reduce(most, most, 100, type, maximum) == success && rank.synchronize() == CUDA_SUCCESS);
    XB_WANT(download<T>(most, 100)[0] == of(3));
}
uint16_t bf16_of(int value) {
    const auto real = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &real, 4);
    return static_cast<uint16_t>(bits >> 16);
}
uint16_t f16_of(int value) {
    static constexpr uint16_t bits[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600};
    return bits[value];
}

TEST(NcclDouble, EveryType) {
    EXPECT_EQ(run_processes(3,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                try_type<float>(rank, ranks, type_f32, [](int v) { return static_cast<float>(v); });
                                try_type<double>(rank, ranks, type_f64, [](int v) { return static_cast<double>(v); });
                                try_type<int32_t>(rank, ranks, type_i32, [](int v) { return v; });
                                try_type<int64_t>(rank, ranks, type_i64, [](int v) { return int64_t{v}; });
                                try_type<uint8_t>(rank, ranks, type_u8, [](int v) { return static_cast<uint8_t>(v); });
                                try_type<uint16_t>(rank, ranks, type_bf16, bf16_of);
                                try_type<uint16_t>(rank, ranks, type_f16, f16_of);
                                rank.destroy();
                            }),
              "");
}

// x[c+1] + x[c+2] + x[c] of chunk c: no tree gives these bits in all chunks.
TEST(NcclDouble, SumsGoRoundARing) {
    EXPECT_EQ(run_processes(3,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                const float values[3] = {1e8f, 1.0f, -1e8f};
                                const CUdeviceptr at = upload(std::vector<float>(3, values[ranks.rank]));
                                XB_WANT(rank.all_reduce(at, at, 3) == success && rank.synchronize() == CUDA_SUCCESS);
                                const std::vector<float> sums = download<float>(at, 3);
                                for (size_t c = 0; c < 3; ++c)
                                    XB_WANT(sums[c] == (values[(c + 1) % 3] + values[(c + 2) % 3]) + values[c]);
                                rank.destroy();
                            }),
              "");
}

TEST(NcclDouble, MessagesInAGroup) {
    EXPECT_EQ(run_processes(3,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                const int right = (ranks.rank + 1) % 3, left = (ranks.rank + 2) % 3;
                                const CUdeviceptr mine = upload(pattern(ranks.rank, several_windows)),
                                                  other = allocate(several_windows * 4);
                                XB_NCCL_CALL(ncclGroupStart)();
                                XB_NCCL_CALL(ncclSend, CUdeviceptr, size_t, int, int, Handle, CUstream)
                                (mine, several_windows, type_f32, right, rank.comm, rank.stream);
                                XB_NCCL_CALL(ncclRecv, CUdeviceptr, size_t, int, int, Handle, CUstream)
                                (other, several_windows, type_f32, left, rank.comm, rank.stream);
                                XB_WANT(XB_NCCL_CALL(ncclGroupEnd)() == success && rank.synchronize() == CUDA_SUCCESS);
                                XB_WANT(download<float>(other, several_windows) == pattern(left, several_windows));
                                rank.destroy();
                            }),
              "");
}

// As a sum in a tree sends a rank's blocks: long messages between the same two ranks, one behind the other.
TEST(NcclDouble, LongMessagesBetweenTwoRanksKeepTheirOrder) {
    EXPECT_EQ(run_processes(2,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                constexpr size_t messages = 3, many_windows = 10 * several_windows;
                                const int peer = 1 - ranks.rank;
                                std::vector<CUdeviceptr> mine, others;
                                for (size_t m = 0; m < messages; ++m) {
                                    mine.push_back(upload(pattern(ranks.rank + 2 * static_cast<int>(m), many_windows)));
                                    others.push_back(allocate(many_windows * 4));
                                }
                                for (int times = 0; times < 20; ++times) {
                                    XB_NCCL_CALL(ncclGroupStart)();
                                    for (size_t m = 0; m < messages; ++m)
                                        XB_NCCL_CALL(ncclSend, CUdeviceptr, size_t, int, int, Handle, CUstream)
                                    (mine[m], many_windows, type_f32, peer, rank.comm, rank.stream);
                                    for (size_t m = 0; m < messages; ++m)
                                        XB_NCCL_CALL(ncclRecv, CUdeviceptr, size_t, int, int, Handle, CUstream)
                                    (others[m], many_windows, type_f32, peer, rank.comm, rank.stream);
                                    XB_WANT(XB_NCCL_CALL(ncclGroupEnd)() == success && rank.synchronize() == CUDA_SUCCESS);
                                    for (size_t m = 0; m < messages; ++m)
                                        XB_WANT(download<float>(others[m], many_windows) ==
                                                pattern(peer + 2 * static_cast<int>(m), many_windows));
                                }
                                rank.destroy();
                            }),
              "");
}

TEST(NcclDouble, OrderInStreamsAndGraphs) {
    EXPECT_EQ(run_processes(2,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                const CUdeviceptr at = upload(std::vector<float>(64, 1));
                                CUstream second = nullptr;
                                CUevent begun = nullptr, ended = nullptr;
                                XB_CU(cuStreamCreate)(&second, CU_STREAM_NON_BLOCKING);
                                XB_CU(cuEventCreate)(&begun, CU_EVENT_DISABLE_TIMING);
                                XB_CU(cuEventCreate)(&ended, CU_EVENT_DISABLE_TIMING);
                                CUgraph graph = nullptr;
                                CUgraphExec exec = nullptr;
                                // As a step overlaps its reduction: a branch of the graph on the communicator's stream.
                                XB_WANT(XB_CU(cuStreamBeginCapture)(second, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
                                XB_WANT(XB_CU(cuEventRecord)(begun, second) == CUDA_SUCCESS);
                                XB_WANT(XB_CU(cuStreamWaitEvent)(rank.stream, begun, 0) == CUDA_SUCCESS);
                                XB_WANT(rank.all_reduce(at, at, 64) == success);
                                XB_WANT(XB_CU(cuEventRecord)(ended, rank.stream) == CUDA_SUCCESS);
                                XB_WANT(XB_CU(cuStreamWaitEvent)(second, ended, 0) == CUDA_SUCCESS);
                                XB_WANT(XB_CU(cuStreamEndCapture)(second, &graph) == CUDA_SUCCESS);
                                XB_WANT(XB_CU(cuGraphInstantiateWithFlags)(&exec, graph, 0) == CUDA_SUCCESS);
                                for (int launch = 0; launch < 3; ++launch)
                                    XB_WANT(XB_CU(cuGraphLaunch)(exec, second) == CUDA_SUCCESS);
                                XB_WANT(XB_CU(cuStreamSynchronize)(second) == CUDA_SUCCESS);
                                XB_WANT(download<float>(at, 64)[63] == 8);
                                XB_CU(cuGraphExecDestroy)(exec);
                                XB_CU(cuGraphDestroy)(graph);
                                rank.destroy();
                            }),
              "");
}

// As on a GPU: a rank whose host waits for something else, and asks no stream, still does its part.
TEST(NcclDouble, CallsGoOnWithoutTheirHost) {
    setenv("XBENCH_NCCL_TIMEOUT", "5", 1);
    auto* const through = static_cast<std::atomic<int>*>(
        mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (const bool message : {false, true}) {
        *through = 0;
        const std::string said = run_processes(3, [&](const Ranks& ranks) {
            const Rank rank(ranks);
            const CUdeviceptr at = upload(pattern(ranks.rank, several_windows));
            const auto between = [&](const char* name, int peer) {
                XB_WANT((*libraries().nccl<Result(CUdeviceptr, size_t, int, int, Handle, CUstream)>(name))(
                            at, several_windows, type_f32, peer, rank.comm, rank.stream) == success);
            };
            if (!message) XB_WANT(rank.all_reduce(at, at, several_windows) == success);
            if (message && ranks.rank == 0) between("ncclRecv", 1);
            if (message && ranks.rank == 1) between("ncclSend", 0);
            if (ranks.rank == 0) {
                XB_WANT(rank.synchronize() == CUDA_SUCCESS);
                *through = 1;
            }
            for (int tries = 0; tries < 10000 && !*through; ++tries) usleep(1000);
            XB_WANT(rank.synchronize() == CUDA_SUCCESS);
            rank.destroy();
        });
        EXPECT_EQ(said, "") << (message ? "message" : "collective");
    }
    unsetenv("XBENCH_NCCL_TIMEOUT");
}

TEST(NcclDouble, FreeingPinnedMemoryWaitsForNoOtherRank) {
    setenv("XBENCH_NCCL_TIMEOUT", "5", 1);
    std::atomic<bool> enqueued{false};
    EXPECT_EQ(run_threads(2,
                          [&](const Ranks& ranks) {
                              const Rank rank(ranks);
                              const CUdeviceptr at = upload(pattern(ranks.rank, 100));
                              void* pinned = nullptr;
                              XB_WANT(XB_CU(cuMemHostAlloc)(&pinned, 64, 0) == CUDA_SUCCESS);
                              for (int tries = 0; ranks.rank == 1 && tries < 10000 && !enqueued; ++tries) usleep(1000);
                              if (ranks.rank == 1) XB_WANT(XB_CU(cuMemFreeHost)(pinned) == CUDA_SUCCESS);
                              XB_WANT(rank.all_reduce(at, at, 100) == success);
                              enqueued = true;
                              XB_WANT(rank.synchronize() == CUDA_SUCCESS);
                              rank.destroy();
                          }),
              "");
    unsetenv("XBENCH_NCCL_TIMEOUT");
}

TEST(NcclDouble, DestroyedBeforeItsGraphIsReported) {
    for (const bool graph_first : {true, false})
        EXPECT_EQ(run_processes(2,
                                [&](const Ranks& ranks) {
                                    const Rank rank(ranks);
                                    const CUdeviceptr at = upload(std::vector<float>(64, 1));
                                    CUgraph graph = nullptr;
                                    XB_WANT(XB_CU(cuStreamBeginCapture)(rank.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) ==
                                            CUDA_SUCCESS);
                                    XB_WANT(rank.all_reduce(at, at, 64) == success);
                                    XB_WANT(XB_CU(cuStreamEndCapture)(rank.stream, &graph) == CUDA_SUCCESS);
                                    if (graph_first) XB_CU(cuGraphDestroy)(graph);
                                    XB_NCCL_CALL(ncclCommDestroy, Handle)(rank.comm);
                                    XB_WANT(reports() == (graph_first ? 0u : 1u));
                                }),
                  "");
}

TEST(NcclDouble, Split) {
    EXPECT_EQ(run_processes(4,
                            [](const Ranks& ranks) {
                                Rank rank(ranks);
                                Handle part = nullptr;
                                XB_WANT(XB_NCCL_CALL(ncclCommSplit, Handle, int, int, Handle*, Config*)(
                                            rank.comm, ranks.rank % 2, -ranks.rank, &part, nullptr) == success);
                                const Handle whole = std::exchange(rank.comm, part);
                                const CUdeviceptr at = upload(std::vector<float>(10, static_cast<float>(ranks.rank)));
                                const CUdeviceptr all = allocate(80);
                                XB_WANT(rank.all_gather(at, all, 10) == success && rank.synchronize() == CUDA_SUCCESS);
                                XB_WANT(download<float>(all, 20)[0] ==
                                        static_cast<float>(ranks.rank % 2 + 2));  // the larger key comes last
                                XB_WANT(download<float>(all, 20)[19] == static_cast<float>(ranks.rank % 2));
                                rank.destroy();
                                rank.comm = whole;
                                rank.destroy();
                            }),
              "");
}

TEST(NcclDouble, WithoutBlocking) {
    EXPECT_EQ(run_processes(2,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks, false);
                                const CUdeviceptr at = upload(std::vector<float>(64, 1));
                                XB_WANT(rank.all_reduce(at, at, 64) == in_progress);
                                rank.wait();
                                XB_WANT(rank.all_reduce(at, at, 64) == success && rank.synchronize() == CUDA_SUCCESS);
                                XB_WANT(download<float>(at, 64)[5] == 4);
                                rank.destroy();
                                const Rank hasty({1, 0, fresh_id()}, false);
                                XB_WANT(hasty.all_reduce(at, at, 64) == in_progress &&
                                        hasty.all_reduce(at, at, 64) == invalid_usage);
                            }),
              "");
}

// A rank whose host waits for something else still takes part in what it has put into its stream.
TEST(NcclDouble, StreamGoesOnWhileTheHostWaits) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_EQ(run_processes(2,
                            [&](const Ranks& ranks) {
                                const Rank rank(ranks);
                                const CUdeviceptr at = upload(std::vector<float>(64, 1));
                                XB_WANT(rank.all_reduce(at, at, 64) == success);
                                char byte = 0;
                                if (ranks.rank == 0) {
                                    XB_WANT(rank.synchronize() == CUDA_SUCCESS && write(ends[1], &byte, 1) == 1);
                                } else {
                                    XB_WANT(read(ends[0], &byte, 1) == 1 && rank.synchronize() == CUDA_SUCCESS);
                                }
                                rank.destroy();
                            }),
              "");
    close(ends[0]);
    close(ends[1]);
}

}  // namespace
}  // namespace xbench::nccl
