// Ranks that meet by a file and talk over TCP: collectives, who is turned away, and how they end when one of them does not
// come, hangs, dies or gives up. Ranks are threads, or processes where their end matters.
#include "parallel/comm/comm_tcp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "parallel/comm/comm_hierarchical.h"
#include "parallel/comm/rendezvous.h"
#include "parallel/comm/tcp_hub.h"
#include "tests/parallel/collectives.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

using testing::HasSubstr;

using Body = std::function<std::string(Communicator&)>;

std::shared_ptr<WaitLimit> limit_of(double seconds) {
    auto limit = std::make_shared<WaitLimit>();
    limit->seconds = seconds;
    return limit;
}

// What a rank's body said or threw.
std::string run_rank(int rank, int ranks, const std::filesystem::path& file, double seconds, const Body& body) try {
    return body(*make_tcp_communicator(rank, ranks, *meeting_by_file(file), limit_of(seconds)));
} catch (const Error& error) {
    return error.what();
}

std::vector<std::string> on_threads(int ranks, double seconds, const Body& body,
                                    const std::function<void(const std::filesystem::path&)>& before = {}) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "ranks";
    if (before) before(file);
    std::vector<std::string> said(static_cast<size_t>(ranks));
    std::vector<std::thread> threads;
    for (int rank = ranks - 1; rank >= 0; --rank)
        threads.emplace_back([&, rank] { said[static_cast<size_t>(rank)] = run_rank(rank, ranks, file, seconds, body); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(path_exists(file)) << "the file stays behind";
    return said;
}

TEST(TcpCommunicator, Collectives) {
    for (const int ranks : {1, 2, 3, 4})
        for (const std::string& said : on_threads(ranks, 60, check_collectives)) EXPECT_EQ(said, "") << ranks << " ranks";
}

TEST(TcpCommunicator, RanksOfANodeShareMemory) {
    const Body body = [](Communicator& ranks) {
        const auto inside = connect_nodes(ranks.split(0), false);
        return std::string(inside->name()) == "shm" ? check_all_reduce(*inside, Reduction::invariant, 20'000, true)
                                                    : "over " + std::string(inside->name());
    };
    EXPECT_THAT(on_threads(2, 60, body), testing::Each(""));
}

TEST(TcpCommunicator, RanksAreNumberedNodeByNode) {
    setenv("XBENCH_NODE_OF_RANK", "0,1,0,1", 1);
    const auto said = on_threads(
        4, 60, [](Communicator& ranks) { return fmt::format("{} of {}", ranks.rank(), fmt::join(ranks.nodes(), ",")); });
    unsetenv("XBENCH_NODE_OF_RANK");
    EXPECT_THAT(said, testing::ElementsAre("0 of 0,0,1,1", "2 of 0,0,1,1", "1 of 0,0,1,1", "3 of 0,0,1,1"));
}

std::string barrier(Communicator& ranks) {
    ranks.barrier();
    return "";
}

// Of an earlier job: one that has ended, one that still listens, and one that left half a file.
TEST(TcpCommunicator, AnOldFileLeadsNobodyAstray) {
    TcpHub other_job(2, std::string(32, 'a'));
    const Meetingplace closed{std::string(32, 'b'), 1, {"127.0.0.1"}};
    const Meetingplace other{std::string(32, 'c'), other_job.port(), {"127.0.0.1"}};
    for (const Meetingplace& place : {closed, other})
        EXPECT_THAT(on_threads(2, 20, barrier, [&](const auto& file) { announce(file, place); }), testing::Each(""));
    EXPECT_THAT(on_threads(2, 20, barrier, [&](const auto& file) { std::ofstream(file) << "xbench-ranks-meet 12"; }),
                testing::Each(""));
    EXPECT_EQ(other_job.first_missing(), 1) << "a rank came to the other job";
}

TEST(TcpCommunicator, TheNameOfTheFileIsTheJobs) {
    for (const char* name : {"XBENCH_JOB", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "TORCHELASTIC_RUN_ID"})
        unsetenv(name);
    setenv("XBENCH_RENDEZVOUS", "/shared/folder", 1);
    EXPECT_EQ(rendezvous_file(), "/shared/folder/.xbench-ranks-job");
    setenv("SLURM_JOB_ID", "12", 1);
    setenv("SLURM_STEP_ID", "3", 1);
    EXPECT_EQ(rendezvous_file(), "/shared/folder/.xbench-ranks-12.3.");
    setenv("XBENCH_JOB", "a/b", 1);
    EXPECT_EQ(rendezvous_file(), "/shared/folder/.xbench-ranks-a_b");
    for (const char* name : {"XBENCH_JOB", "SLURM_JOB_ID", "SLURM_STEP_ID", "XBENCH_RENDEZVOUS"}) unsetenv(name);
}

// What a launcher carries is one short line.
TEST(TcpCommunicator, APlaceGoesIntoALine) {
    Meetingplace place{std::string(32, 'd'), 40001, {"10.0.0.7", "127.0.0.1"}};
    EXPECT_EQ(one_line(place), std::string(32, 'd') + ":40001:10.0.0.7,127.0.0.1");
    const auto same = meetingplace_from(one_line(place));
    ASSERT_TRUE(same);
    EXPECT_EQ(same->secret, place.secret);
    EXPECT_EQ(same->port, place.port);
    EXPECT_EQ(same->addresses, place.addresses);
    place.addresses.assign(500, "192.168.100.200");
    EXPECT_LE(one_line(place).size(), 1000u);
    EXPECT_EQ(meetingplace_from(one_line(place))->addresses.front(), "192.168.100.200");
    for (const char* wrong : {"", ":", "short:40001:1.2.3.4", "dddddddddddddddddddddddddddddddd:0:1.2.3.4",
                              "dddddddddddddddddddddddddddddddd:70000:1.2.3.4", "dddddddddddddddddddddddddddddddd"})
        EXPECT_FALSE(meetingplace_from(wrong)) << wrong;
}

TEST(TcpCommunicator, TheMeetingFollowsTheLauncher) {
    const std::vector<const char*> names{"XBENCH_RENDEZVOUS", "PMIX_RANK", "PMIX_NAMESPACE", "PMI_FD", "SLURM_STEP_ID"};
    const auto only = [&](std::initializer_list<std::pair<const char*, const char*>> variables) {
        for (const char* name : names) unsetenv(name);
        for (const auto& [name, value] : variables) setenv(name, value, 1);
    };
    only({});
    EXPECT_EQ(pmi_of_launcher(), PmiKind::none);
    EXPECT_THAT(choose_meeting()->name(), HasSubstr(".xbench-ranks-"));
    only({{"PMIX_RANK", "0"}, {"PMIX_NAMESPACE", "slurm.1.0"}});
    EXPECT_EQ(pmi_of_launcher(), PmiKind::pmix);
    only({{"PMI_FD", "9"}});  // MPICH's mpiexec, which speaks PMI-1
    EXPECT_EQ(pmi_of_launcher(), PmiKind::none);
    only({{"PMI_FD", "9"}, {"SLURM_STEP_ID", "0"}});
    EXPECT_EQ(pmi_of_launcher(), PmiKind::pmi2);
    only({{"PMI_FD", "9"}, {"SLURM_STEP_ID", "0"}, {"XBENCH_RENDEZVOUS", "/folder"}});  // who names a folder gets it
    EXPECT_THAT(choose_meeting()->name(), HasSubstr("/folder/.xbench-ranks-"));
    only({{"XBENCH_RENDEZVOUS", "pmi3"}});
    EXPECT_THAT(choose_meeting()->name(), HasSubstr("pmi3/.xbench-ranks-"));
    only({});
}

TEST(TcpCommunicator, ARankThatDoesNotComeIsNamed) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "ranks";
    EXPECT_THAT(run_rank(0, 2, file, 0.2, barrier), HasSubstr("rank 0 of 2 waited 0.2 s for rank 1 in connecting"));
    EXPECT_FALSE(path_exists(file));
    EXPECT_THAT(run_rank(1, 2, file, 0.2, barrier), HasSubstr("rank 1 of 2 waited 0.2 s for rank 0 in connecting"));
    EXPECT_THAT(run_rank(2, 2, file, 0.2, barrier), HasSubstr("there is no rank 2 of 2"));
}

TEST(TcpCommunicator, ARankThatHangsIsNamed) {
    const auto said = on_threads(3, 0.3, [](Communicator& ranks) {
        ranks.wait_limit()->step = 7;
        if (ranks.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(700));
        std::vector<double> numbers(100);
        ranks.all_reduce_max(numbers.data(), numbers.size());
        return std::string();
    });
    for (const size_t rank : {0u, 2u})
        EXPECT_THAT(said[rank], HasSubstr(fmt::format(
                                    "rank {} waited 0.3 s for rank 1 in all_reduce_max of 800 bytes at step 7", rank)));
}

TEST(TcpCommunicator, RanksThatDisagreeAreNamed) {
    const auto said = on_threads(2, 20, [](Communicator& ranks) {
        if (ranks.rank() == 0) return barrier(ranks);
        ranks.all_gather_bytes({});
        return std::string();
    });
    EXPECT_THAT(said[0], HasSubstr("rank 0 came for barrier and rank 1 for gather_bytes"));
    EXPECT_THAT(said[1], HasSubstr("rank 1 came for gather_bytes and others for something else"));
}

// Ranks that are processes: what each said, then its exit code.
std::vector<std::string> on_processes(int ranks, const Body& body) {
    const TemporaryFolder folder;
    std::vector<pid_t> children;
    for (int rank = 0; rank < ranks; ++rank) {
        children.push_back(fork());
        if (children.back() != 0) continue;
        std::ofstream(folder.path() / std::to_string(rank)) << run_rank(rank, ranks, folder.path() / "ranks", 20, body);
        _exit(3);
    }
    std::vector<std::string> said;
    for (int rank = 0; rank < ranks; ++rank) {
        int status = 0;
        waitpid(children[static_cast<size_t>(rank)], &status, 0);
        said.push_back(file_text(folder.path() / std::to_string(rank)).value_or("") + " " +
                       std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1));
    }
    return said;
}

TEST(TcpCommunicator, ARankThatDiesIsNamed) {
    for (const int dead : {0, 1}) {
        const auto said = on_processes(3, [&](Communicator& ranks) {
            ranks.wait_limit()->step = 7;
            ranks.barrier();
            if (ranks.rank() == dead) _exit(9);
            ranks.barrier();
            return std::string("came through");
        });
        EXPECT_EQ(said[static_cast<size_t>(dead)], " 9");
        const std::string line =
            fmt::format("rank {} has ended; rank 2 waited for it in barrier of 0 bytes at step 7", dead);
        EXPECT_THAT(said[2], HasSubstr(line));
    }
}

TEST(TcpCommunicator, AbortEndsAllWithItsCode) {
    for (const int who : {0, 2}) {
        const auto said = on_processes(3, [&](Communicator& ranks) {
            ranks.barrier();
            if (ranks.rank() == who) ranks.abort(75);
            ranks.barrier();
            return std::string("came through");
        });
        EXPECT_THAT(said, testing::Each(" 75"));
    }
}

}  // namespace
}  // namespace xbench::test
