// A communicator as its rank has it. What streams still have to do keeps the world alive; the communicator itself may be
// destroyed before.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "tests/nccl_double/world.h"

namespace xbench::nccl {

struct State {
    int device = 0;
    bool blocking = true;
    std::unique_ptr<World> world;  // null until all that is needed to join is there
    std::atomic<int> error{success};
    std::atomic<bool> joining{true}, aborted{false}, destroyed{false};
    std::atomic<int> polls_in_progress{0};  // how often GetAsyncError still says "in progress"
    std::atomic<bool> launched{false};
    std::atomic<int> pending{0};   // operations in streams
    std::atomic<int> captured{0};  // operations that graphs hold
    std::atomic<int> begun{0};     // of them and of those in graphs: began and are not through
    std::atomic<uint64_t> calls{0}, rounds{0};
    std::mutex mutex;
    std::string last_error;

    // A program's mistake: printed and counted by the emulated GPU as well.
    void misuse(int code, const std::string& text);
    void fail(int code, const std::string& text);
};

double seconds_to_wait();  // for a rank that does not come: XBENCH_NCCL_TIMEOUT, 120 unless set

}  // namespace xbench::nccl

struct ncclComm {
    std::shared_ptr<xbench::nccl::State> state = std::make_shared<xbench::nccl::State>();
    std::thread joiner;
    int ranks = 0, rank = 0;
    uint64_t splits = 0;
};
using ncclComm_t = ncclComm*;

namespace xbench::nccl {

// Begins to join; `wait_to_join` ends it.
Result begin_to_join(ncclComm_t* comm, int ranks, const UniqueId& id, int rank, const Config* config);
Result wait_to_join(ncclComm_t comm);
// Until the streams are through with it.
Result finish(ncclComm_t comm);
// Runs what other ranks wait for, whatever this process does meanwhile.
void keep_going(const std::shared_ptr<State>& state);

}  // namespace xbench::nccl
