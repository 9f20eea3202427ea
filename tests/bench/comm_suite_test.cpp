// The collectives' suite: sizes, the bandwidths of nccl-tests, and that a wrong result is counted.
#include "bench/comm/comm_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "parallel/comm/comm_staged.h"
#include "tests/parallel/guarded_device.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommSuiteOptions short_suite() {
    CommSuiteOptions options;
    options.begin_bytes = options.end_bytes = 4000;
    options.rounds = 2;
    options.seconds = 1e-4;
    return options;
}

// Like the threads it stands on, but it loses one element of every buffer on one rank.
class Forgetful final : public test::ThreadCommunicator {
public:
    using test::ThreadCommunicator::ThreadCommunicator;
    void all_reduce_sum(float* data, size_t count, Reduction how) override {
        ThreadCommunicator::all_reduce_sum(data, count, how);
        if (rank() == 1) data[count / 2] = 0;
    }
    void broadcast(void* data, size_t bytes, int root) override {
        ThreadCommunicator::broadcast(data, bytes, root);
        if (rank() == 1) static_cast<float*>(data)[7] = -5;
    }
};

std::vector<CommTiming> timings_of(bool forgetful, int ranks) {
    test::ThreadTeam team(ranks);
    std::vector<CommTiming> all;
    test::on_ranks(team, [&](Communicator& good) {
        Forgetful bad(team, good.rank());
        run_comm_suite({{"threads", forgetful ? &bad : &good, Reduction::invariant}}, short_suite(),
                       [&](const std::vector<CommTiming>& timings) {
                           if (good.rank() == 0) all.insert(all.end(), timings.begin(), timings.end());
                       });
    });
    return all;
}

TEST(CommSuite, EveryOperationIsRightOnEveryRank) {
    const auto timings = timings_of(false, 3);
    ASSERT_EQ(timings.size(), comm_operations().size());
    for (const CommTiming& timing : timings) {
        EXPECT_EQ(timing.wrong, 0u) << timing.operation;
        EXPECT_EQ(timing.count, 1000u);
        EXPECT_EQ(timing.ranks, 3);
        EXPECT_NEAR(timing.algbw, 4000 / timing.microseconds * 1e-3, 1e-9);
        EXPECT_NEAR(timing.busbw, timing.algbw * bus_factor(timing.operation, 3), 1e-9);
    }
}

// Whose clock counts calls, and whose memory the host may not touch.
TEST(CommSuite, ThroughTheMemoryOfADevice) {
    std::vector<CommTiming> all;
    test::on_ranks(2, [&](Communicator& ranks) {
        test::GuardedDevice device;
        const auto staged = make_staged_communicator(ranks, device);
        CommSuiteOptions options = short_suite();
        options.seconds = 1e-9;  // of a clock that counts calls: the fewest
        run_comm_suite({{"staged", staged.get(), Reduction::invariant, &device}}, options,
                       [&](const std::vector<CommTiming>& timings) {
                           if (ranks.rank() == 0) all.insert(all.end(), timings.begin(), timings.end());
                       });
    });
    ASSERT_EQ(all.size(), comm_operations().size());
    for (const CommTiming& timing : all) {
        EXPECT_EQ(timing.wrong, 0u) << timing.operation;
        EXPECT_GT(timing.microseconds, 0) << timing.operation;
    }
}

TEST(CommSuite, OfAnEmulatedGpuNoTimeIsShown) {
    CommTiming timing;
    timing.bytes = 4000;
    timing.count = 1000;
    timing.microseconds = 123.45;
    timing.wrong = 7;
    timing.emulated = true;
    const std::string row = comm_table_row({timing, timing});
    EXPECT_THAT(row, HasSubstr("emulated        7"));
    EXPECT_THAT(row, testing::Not(HasSubstr("123")));
    const Json json = to_json(timing);
    EXPECT_TRUE(json["time_us"].is_null() && json["busbw_gb_s"].is_null());
    EXPECT_EQ(json["wrong"], 7);
}

TEST(CommSuite, AWrongElementIsCounted) {
    for (const CommTiming& timing : timings_of(true, 2))
        EXPECT_EQ(timing.wrong, timing.operation == "all_reduce" || timing.operation == "broadcast" ? 1u : 0u)
            << timing.operation;
}

TEST(CommSuite, BusBandwidthIsThatOfNcclTests) {
    EXPECT_DOUBLE_EQ(bus_factor("all_reduce", 4), 1.5);
    EXPECT_DOUBLE_EQ(bus_factor("reduce_scatter", 4), 0.75);
    EXPECT_DOUBLE_EQ(bus_factor("all_gather", 4), 0.75);
    EXPECT_DOUBLE_EQ(bus_factor("broadcast", 4), 1);
    EXPECT_DOUBLE_EQ(bus_factor("sendrecv", 4), 1);
}

TEST(CommSuite, SizesAndTheirText) {
    CommSuiteOptions options;
    options.begin_bytes = parse_bytes("1K");
    options.end_bytes = parse_bytes("8K");
    EXPECT_THAT(comm_sizes(options), ElementsAre(1024, 2048, 4096, 8192));
    EXPECT_EQ(parse_bytes("3M"), uint64_t{3} << 20);
    EXPECT_THROW(parse_bytes("3T"), UsageError);
    EXPECT_THROW(parse_bytes(""), UsageError);
}

TEST(CommSuite, TheTableHasTheColumnsOfNcclTests) {
    const std::string head = comm_table_head("all_reduce", {{"shm", nullptr, Reduction::invariant}}, 2);
    for (const char* column : {"size", "count", "type", "time", "algbw", "busbw", "#wrong"})
        EXPECT_THAT(head, HasSubstr(column));
}

}  // namespace
}  // namespace xbench
