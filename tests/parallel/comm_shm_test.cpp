// The shared-memory communicator: results, and what happens when a rank is late, lost, gone or dead. Ranks are threads
// here where their memory does not matter, and processes where it does.
#include "parallel/comm/comm_shm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "core/error.h"
#include "tests/parallel/collectives.h"
#include "tests/parallel/shm_ranks.h"

namespace xbench {
namespace {

using test::fresh_name;
using test::on_threads;
using test::options_of;
using testing::HasSubstr;

class CommShm : public testing::TestWithParam<int> {};

TEST_P(CommShm, Collectives) {
    for (const std::string& said : on_threads(GetParam(), 60, test::check_collectives)) EXPECT_EQ(said, "");
}

INSTANTIATE_TEST_SUITE_P(Ranks, CommShm, testing::Values(1, 2, 3, 4, 8));

// Runs body as a rank of its own process and returns its exit status.
pid_t start(const MeetingOptions& options, const std::function<int(Communicator&)>& body) {
    const pid_t child = fork();
    if (child != 0) return child;
    int status = 99;
    try {
        status = body(*make_shm_communicator(options));
    } catch (const PeerFailure&) {
        status = 40;
    } catch (const Error&) {
        status = 41;
    }
    _exit(status);
}

int status_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(CommShmProcesses, Collectives) {
    const std::string name = fresh_name();
    std::vector<pid_t> children;
    for (int rank = 0; rank < 3; ++rank)
        children.push_back(
            start(options_of(name, rank, 3), [](Communicator& c) { return test::check_collectives(c).empty() ? 0 : 1; }));
    for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
}

TEST(CommShmProcesses, AKilledRankIsNoticed) {
    const std::string name = fresh_name();
    const pid_t victim = start(options_of(name, 1, 2), [](Communicator& c) {
        c.barrier();
        raise(SIGKILL);
        return 0;
    });
    const pid_t waiter = start(options_of(name, 0, 2), [](Communicator& c) {
        c.barrier();
        c.barrier();
        return 0;
    });
    EXPECT_EQ(status_of(waiter), 41);  // nobody has taken the dead process away; it has said nothing, so the waiter does
    EXPECT_EQ(status_of(victim), 128 + SIGKILL);
}

TEST(CommShmProcesses, AnAbortEndsEveryRank) {
    const std::string name = fresh_name();
    const pid_t first = start(options_of(name, 0, 2), [](Communicator& c) {
        c.barrier();
        c.abort(7);
        return 0;
    });
    const pid_t second = start(options_of(name, 1, 2), [](Communicator& c) {
        c.barrier();
        c.barrier();
        return 0;
    });
    EXPECT_EQ(status_of(first), 7);
    EXPECT_EQ(status_of(second), 40);
}

TEST(CommShm, DifferentCollectivesAreNamed) {
    const auto said = on_threads(2, 60, [](Communicator& c) {
        float number = 1;
        if (c.rank() == 0) c.all_reduce_sum(&number, 1, Reduction::invariant);
        if (c.rank() == 1) c.barrier();
        return std::string("went on");
    });
    EXPECT_THAT(said[0], HasSubstr("rank 0 came for all_reduce of 4 bytes and rank 1 for barrier"));
    EXPECT_THAT(said[1], HasSubstr("rank 1 came for barrier of 0 bytes and rank 0 for all_reduce"));
}

TEST(CommShm, ALateRankIsNamed) {
    const auto said = on_threads(2, 0.3, [](Communicator& c) {
        c.wait_limit()->step = 17;
        if (c.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        std::vector<float> numbers(100'000);
        c.all_reduce_sum(numbers.data(), numbers.size(), Reduction::invariant);
        c.barrier();
        return std::string("went on");
    });
    EXPECT_THAT(said[0], HasSubstr("rank 0 waited 0.3 s for rank 1 in all_reduce of 390 KiB at step 17"));
    EXPECT_THAT(said[1], HasSubstr("rank 0 has given up"));
}

TEST(CommShm, NothingMayComeInsideASum) {
    const std::vector<std::string> said = on_threads(2, 60, [](Communicator& c) {
        double one = 1;
        c.begin_sum(&one, 1, 1, sum_tree(2, 2), Reduction::invariant);
        c.barrier();
        return std::string("went on");
    });
    EXPECT_THAT(said[0], HasSubstr("rank 0 came for barrier of 0 bytes inside a sum that it had not ended"));
    EXPECT_THAT(said[1], HasSubstr("rank 1 came for barrier"));
}

TEST(CommShm, CommonMemoryIsOneBuffer) {
    const std::vector<std::string> said = on_threads(3, 60, [](Communicator& c) {
        const AlignedBuffer common = c.allocate_common(3 * sizeof(int)), another = c.allocate_common(3 * sizeof(int));
        common.as<int>()[c.rank()] = 10 + c.rank();
        c.barrier();
        return fmt::format("{} / {}", fmt::join(common.as<int>(), common.as<int>() + 3, " "),
                           fmt::join(another.as<int>(), another.as<int>() + 3, " "));
    });
    EXPECT_THAT(said, testing::Each("10 11 12 / 0 0 0"));
}

TEST(CommShm, NothingIsLeftBehind) {
    on_threads(2, 60, [](Communicator& c) {
        const AlignedBuffer memory = c.allocate(1 << 20), common = c.allocate_common(1 << 20);
        return std::string();
    });
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
        EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr(fmt::format("xbench-test-{}-", getpid()))));
}

}  // namespace
}  // namespace xbench
