// A word that threads sleep on: no wake-up is lost, whenever the value changes while another goes to sleep.
#include "core/wait_word.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

namespace xbench {
namespace {

TEST(WaitWord, WakesWhoeverGoesToSleepWhileItChanges) {
    constexpr uint32_t rounds = 50'000;
    constexpr uint64_t seed = 20261130;
    SCOPED_TRACE(seed);
    WaitWord there, go;
    std::thread sleeper([&] {
        for (uint32_t round = 0; round < rounds; ++round) {
            there.store_and_wake(round + 1);
            while (go.load() == round) go.sleep_unless([round](uint32_t seen) { return seen != round; });
        }
    });
    std::mt19937_64 random(seed);
    for (uint32_t round = 0; round < rounds; ++round) {
        while (there.load() == round) there.sleep_unless([round](uint32_t seen) { return seen != round; });
        // About as long as the other needs to fall asleep: before it, in the middle of it, after it.
        for (auto left = random() % 400; left > 0; --left) std::atomic_signal_fence(std::memory_order_seq_cst);
        go.store_and_wake(round + 1);
    }
    sleeper.join();
    EXPECT_EQ(go.load(), rounds);
}

TEST(WaitWord, ASleepEndsAtItsLimit) {
    WaitWord word;
    const timespec moment{0, 1'000'000};
    word.sleep_unless([](uint32_t) { return false; }, &moment);
    EXPECT_EQ(word.load(), 0u);
}

TEST(WaitWord, AValueThatIsThereAlreadyNeedsNoSleep) {
    WaitWord word;
    word.store_and_wake(7);
    word.sleep_unless([](uint32_t seen) { return seen == 7; });
    EXPECT_EQ(word.load(), 7u);
}

}  // namespace
}  // namespace xbench
