// Threads of a team, also more of them than there are cores.
#include "kernels/team.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace xbench {
namespace {

TEST(Team, NobodyPassesAMeetingBeforeAllAreThere) {
    for (const int threads : {1, 2, 3, 8}) {
        constexpr int rounds = 300;
        std::vector<int> done(static_cast<size_t>(threads), 0), wrong(static_cast<size_t>(threads), 0);
        run_team(threads, [&](const Team& team) {
            const auto me = static_cast<size_t>(team.rank);
            for (int round = 1; round <= rounds; ++round) {
                done[me] = round;
                team.barrier();
                for (const int other : done) wrong[me] += other != round;  // plain memory: a meeting is a fence
                team.barrier();
            }
        });
        for (const int mistakes : wrong) EXPECT_EQ(mistakes, 0) << threads << " threads";
        for (const int last : done) EXPECT_EQ(last, rounds) << threads << " threads";
    }
}

TEST(Team, AThreadThatWaitsLongSleepsAndIsWoken) {
    int turns = 0;
    std::vector<int> seen(2, 0);
    run_team(2, [&](const Team& team) {
        for (int turn = 0; turn < 3; ++turn) {
            if (team.rank == 0) {
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                ++turns;
            }
            team.barrier();
            seen[static_cast<size_t>(team.rank)] += turns;
            team.barrier();
        }
    });
    EXPECT_EQ(seen, (std::vector<int>{6, 6}));  // 1 + 2 + 3
}

}  // namespace
}  // namespace xbench
