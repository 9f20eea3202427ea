// What the double of NCCL says when ranks disagree, do not come or end, and of buffers that are none.
#include <gtest/gtest.h>

#include "tests/nccl_double/rank.h"

namespace xbench::nccl {
namespace {

TEST(NcclDouble, DisagreementIsReported) {
    const auto other_count = [](const Ranks& ranks) {
        const Rank rank(ranks);
        const CUdeviceptr at = upload(std::vector<float>(64, 1));
        rank.all_reduce(at, at, ranks.rank == 0 ? 64 : 63);
        XB_WANT(rank.synchronize() != CUDA_SUCCESS);
        XB_WANT(last_report().find("the ranks disagree: here AllReduce of 6") != std::string::npos);
        XB_WANT(rank.error() == invalid_usage);
    };
    EXPECT_EQ(run_processes(2, other_count), "");
    const auto other_call = [](const Ranks& ranks) {
        const Rank rank(ranks);
        const CUdeviceptr at = upload(std::vector<float>(64, 1));
        if (ranks.rank == 0)
            rank.all_reduce(at, at, 64);
        else
            rank.rooted("ncclBroadcast", at, at, 64, 0);
        XB_WANT(rank.synchronize() != CUDA_SUCCESS && reports() == 1);
    };
    EXPECT_EQ(run_processes(2, other_call), "");
}

TEST(NcclDouble, RankThatDoesNotComeIsNamed) {
    setenv("XBENCH_NCCL_TIMEOUT", "0.5", 1);
    EXPECT_EQ(
        run_processes(2,
                      [](const Ranks& ranks) {
                          const Rank rank(ranks);
                          const CUdeviceptr at = upload(std::vector<float>(64, 1));
                          if (ranks.rank == 1) {
                              usleep(1000000);
                              return;
                          }
                          rank.all_reduce(at, at, 64);
                          XB_WANT(rank.synchronize() != CUDA_SUCCESS);
                          XB_WANT(last_report().find("rank 1 has not come; its last was nothing") != std::string::npos);
                      }),
        "");
    EXPECT_EQ(run_processes(1,
                            [](Ranks ranks) {
                                ranks.count = 2;
                                Handle comm = nullptr;
                                XB_WANT(XB_NCCL_CALL(ncclCommInitRankConfig, Handle*, int, UniqueId, int, Config*)(
                                            &comm, 2, ranks.id, 0, nullptr) == remote_error);
                                XB_WANT(last_report().find("rank 1 of 2 has not joined") != std::string::npos);
                            }),
              "");
    unsetenv("XBENCH_NCCL_TIMEOUT");
}

TEST(NcclDouble, AbortEndsWhatWaits) {
    EXPECT_EQ(run_processes(2,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                const CUdeviceptr at = upload(std::vector<float>(64, 1));
                                if (ranks.rank == 1) return rank.abort();
                                rank.all_reduce(at, at, 64);
                                for (int tries = 0; rank.error() == success && tries < 10000; ++tries) {
                                    XB_WANT(XB_CU(cuStreamQuery)(rank.stream) == CUDA_ERROR_NOT_READY);
                                    usleep(1000);
                                }
                                XB_WANT(rank.error() == remote_error);
                                rank.abort();
                                XB_WANT(rank.synchronize() == CUDA_SUCCESS && reports() == 0);
                            }),
              "");
}

TEST(NcclDouble, ProcessThatEndsIsNoticed) {
    EXPECT_EQ(run_processes(2,
                            [](const Ranks& ranks) {
                                const Rank rank(ranks);
                                const CUdeviceptr at = upload(std::vector<float>(64, 1));
                                if (ranks.rank == 1) _exit(0);
                                rank.all_reduce(at, at, 64);
                                XB_CU(cuStreamQuery)(rank.stream);
                                for (int tries = 0; rank.error() == success && tries < 10000; ++tries) {
                                    XB_CU(cuStreamQuery)(rank.stream);
                                    usleep(1000);
                                }
                                XB_WANT(rank.error() == remote_error);
                                rank.abort();
                            }),
              "");
}

TEST(NcclDouble, BuffersAreLivingDeviceMemory) {
    EXPECT_EQ(run_processes(1,
                            [](const Ranks& ranks) {
                                std::vector<float> host(64);
                                const CUdeviceptr at = upload(std::vector<float>(64, 1)), freed = allocate(256);
                                XB_CU(cuMemFree)(freed);
                                const CUdeviceptr bad[] = {reinterpret_cast<CUdeviceptr>(host.data()), freed, at + 4};
                                for (size_t i = 0; i < std::size(bad); ++i) {
                                    Ranks own = ranks;
                                    own.id.internal[20] = static_cast<char>(i + 1);
                                    const Rank rank(own);
                                    XB_WANT(rank.all_reduce(at, bad[i], 64) == invalid_argument && reports() == i + 1);
                                    rank.abort();
                                }
                            }),
              "");
}

}  // namespace
}  // namespace xbench::nccl
