// Ranks that are threads of one process and talk through shared memory all the same.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "parallel/comm/comm_shm.h"

namespace xbench::test {

inline std::string fresh_name() {
    static int made = 0;
    return fmt::format("/xbench-test-{}-{}", getpid(), made++);
}

inline MeetingOptions options_of(const std::string& name, int rank, int ranks) {
    MeetingOptions options;
    options.name = name;
    options.rank = rank;
    options.ranks = ranks;
    options.own_cores = false;
    return options;
}

// What each rank's body said or threw.
inline std::vector<std::string> on_threads(int ranks, double limit_seconds,
                                           const std::function<std::string(Communicator&)>& body) {
    const std::string name = fresh_name();
    std::vector<std::string> said(static_cast<size_t>(ranks));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank)
        threads.emplace_back([&, rank] {
            try {
                MeetingOptions options = options_of(name, rank, ranks);
                options.limit->seconds = limit_seconds;
                said[static_cast<size_t>(rank)] = body(*make_shm_communicator(options));
            } catch (const PeerFailure& failure) {
                said[static_cast<size_t>(rank)] = std::string("peer: ") + failure.what();
            } catch (const Error& error) {
                said[static_cast<size_t>(rank)] = error.what();
            }
        });
    for (std::thread& thread : threads) thread.join();
    return said;
}

}  // namespace xbench::test
