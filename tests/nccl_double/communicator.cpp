// Joining, ending, and the thread that keeps a process going when others wait for it.
#include "tests/nccl_double/communicator.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "tests/nccl_double/emulator.h"

namespace xbench::nccl {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto short_while = std::chrono::microseconds(200);

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void join(const std::shared_ptr<State>& state, int ranks, const UniqueId& id, int rank) {
    const auto begin = Clock::now();
    try {
        state->world = std::make_unique<World>(id, ranks, rank);
        while (state->world->first_missing() >= 0 && !state->aborted) {
            if (seconds_since(begin) > seconds_to_wait())
                throw std::runtime_error("rank " + std::to_string(state->world->first_missing()) + " of " +
                                         std::to_string(ranks) + " has not joined");
            std::this_thread::sleep_for(short_while);
        }
        if (!state->aborted) state->world->everybody_is_here();
    } catch (const std::exception& error) {
        state->misuse(remote_error, error.what());
    }
    state->joining = false;
}

// Somebody has come to a round that this rank has not come to. What has begun goes on by itself, as on a GPU: others wait
// for its next window, or for this rank to have taken theirs, while its host may wait for them elsewhere.
bool is_waited_for(const World& world) {
    const int rank = world.rank();
    const uint64_t mine = world.slot(rank).arrived;
    for (int r = 0; r < world.ranks(); ++r) {
        if (r == rank) continue;
        const Mailbox &from = world.mailbox(r, rank), &to = world.mailbox(rank, r);
        if (world.slot(r).arrived > mine || from.sent > from.taken || to.wanted > to.sent) return true;
    }
    return false;
}

class Keeper {
public:
    void add(const std::shared_ptr<State>& state) {
        const std::scoped_lock lock(mutex_);
        states_.push_back(state);
        if (!started_) std::thread([this] { run(); }).detach();
        started_ = true;
    }

private:
    [[noreturn]] void run() {
        for (;;) {
            for (const int device : waited_for()) emulator()->advance_collectives(device);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }
    std::vector<int> waited_for() {
        const std::scoped_lock lock(mutex_);
        std::vector<int> devices;
        for (size_t s = 0; s < states_.size();) {
            const auto state = states_[s].lock();
            if (!state || state->destroyed) {
                states_.erase(states_.begin() + static_cast<ptrdiff_t>(s));
                continue;
            }
            if (!state->joining && state->world && (state->begun > 0 || is_waited_for(*state->world)))
                devices.push_back(state->device);
            ++s;
        }
        return devices;
    }
    std::mutex mutex_;
    std::vector<std::weak_ptr<State>> states_;
    bool started_ = false;
};

}  // namespace

double seconds_to_wait() {
    const char* const asked = std::getenv("XBENCH_NCCL_TIMEOUT");
    return asked ? std::atof(asked) : 120;
}

void State::fail(int code, const std::string& text) {
    const std::scoped_lock lock(mutex);
    if (error != success) return;
    last_error = text;
    error = code;
}

void State::misuse(int code, const std::string& text) {
    emulator()->report(("rank " + std::to_string(world ? world->rank() : -1) + ": " + text).c_str());
    fail(code, text);
}

void keep_going(const std::shared_ptr<State>& state) {
    static auto& keeper = *new Keeper;  // its thread outlives main
    keeper.add(state);
}

Result begin_to_join(ncclComm_t* comm, int ranks, const UniqueId& id, int rank, const Config* config) {
    *comm = nullptr;
    if (ranks < 1 || ranks > most_ranks || rank < 0 || rank >= ranks) return invalid_argument;
    if (config && config->magic != config_magic) return invalid_argument;
    CUdevice device = 0;
    if (!emulator() || emulator()->current_device(&device) != CUDA_SUCCESS) return unhandled_cuda_error;
    auto* const made = new ncclComm;
    made->ranks = ranks;
    made->rank = rank;
    made->state->device = device;
    made->state->blocking = !config || config->blocking != 0;  // undefined means blocking
    made->joiner = std::thread(join, made->state, ranks, id, rank);
    keep_going(made->state);
    *comm = made;
    return made->state->blocking ? success : in_progress;
}

Result wait_to_join(ncclComm_t comm) {
    if (comm->joiner.joinable()) comm->joiner.join();
    return static_cast<Result>(comm->state->error.load());
}

Result finish(ncclComm_t comm) {
    State& state = *comm->state;
    while (state.pending > 0 && !state.aborted && state.error == success) {
        emulator()->advance_collectives(state.device);
        std::this_thread::sleep_for(short_while);
    }
    return static_cast<Result>(state.error.load());
}

}  // namespace xbench::nccl
