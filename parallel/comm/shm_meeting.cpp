// The barrier in shared memory.
#include "parallel/comm/shm_meeting.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <new>
#include <thread>

#include "core/pause_processor.h"
#include "core/seconds_since.h"
#include "core/wait_word.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int spins_on_own_cores = 1 << 16, spins_on_shared_cores = 1 << 6, yields = 1 << 10;
constexpr long sleep_ns = 50'000'000;  // then it looks whether the peer is alive
constexpr uint64_t ready_mark = 0x58424e4348534d31;

// A dead process whose parent has not taken it away yet still answers to signals.
bool is_alive(pid_t pid) {
    if (kill(pid, 0) != 0 && errno == ESRCH) return false;
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(file, line);
    const size_t state = line.rfind(") ");
    return state == std::string::npos || (line[state + 2] != 'Z' && line[state + 2] != 'X');
}

std::string text_of(const Purpose& purpose) {
    return fmt::format("{} of {}", name_of(purpose.operation), size_text(purpose.bytes));
}

}  // namespace

const char* name_of(MeetingCall operation) {
    static constexpr std::array names{"join",   "barrier",        "all_reduce", "all_reduce_max",
                                      "reduce", "reduce_scatter", "all_gather", "broadcast",
                                      "shift",  "gather_bytes",   "allocate",   "update"};
    return names[static_cast<size_t>(operation)];
}

struct alignas(128) Meeting::Slot {
    WaitWord count;  // meetings that the rank has come to
    std::atomic<int32_t> pid{0}, known_as{0};
    // Of the last two meetings: a peer can be one ahead of a rank that still reads.
    std::array<Purpose, 2> purpose{};
    std::array<bool, 2> well{};  // of all_well
};

struct Meeting::Control {
    std::atomic<uint64_t> ready{0};
    std::atomic<int32_t> failed_code{0}, failed_rank{-1};
    Slot* slots() { return reinterpret_cast<Slot*>(reinterpret_cast<char*>(this) + sizeof(Slot)); }
};

Meeting::Meeting(const MeetingOptions& options) : options_(options) {
    static_assert(sizeof(Control) <= sizeof(Slot));
    const size_t bytes = (static_cast<size_t>(options.ranks) + 1) * sizeof(Slot);
    if (options.rank == 0) {
        memory_ = SharedMemory::create(options.name, bytes);
        control_ = new (memory_.data()) Control;
        for (int r = 0; r < options.ranks; ++r) new (control_->slots() + r) Slot;
        control_->ready.store(ready_mark, std::memory_order_release);
    } else {
        for (const auto start = Clock::now();; std::this_thread::sleep_for(std::chrono::milliseconds(2))) {
            try {
                memory_ = SharedMemory::open(options.name, bytes);
                control_ = memory_.as<Control>();
                if (control_->ready.load(std::memory_order_acquire) == ready_mark) break;
            } catch (const Error&) {  // rank 0 is not there yet
                if (is_over(start)) throw;
            }
        }
    }
    if (options_.known_as < 0) options_.known_as = options.rank;
    control_->slots()[options.rank].known_as.store(options_.known_as);
    control_->slots()[options.rank].pid.store(getpid());
    try {
        meet({MeetingCall::join, 0, 0, 0});
    } catch (...) {
        if (options.rank == 0) SharedMemory::remove(options.name);
        throw;
    }
    if (options.rank == 0) SharedMemory::remove(options.name);
}

// A peer that has not joined yet has not said how it is known.
int Meeting::name_of_rank(int peer) const {
    const Slot& slot = control_->slots()[peer];
    return slot.pid.load() == 0 ? peer : slot.known_as.load();
}

void Meeting::meet(const Purpose& purpose) {
    arrive(purpose);
    wait_for_others();
}

bool Meeting::all_well(bool mine, const Purpose& purpose) {
    control_->slots()[options_.rank].well[(count_ + 1) & 1] = mine;
    meet(purpose);
    bool all = true;
    for (int r = 0; r < options_.ranks; ++r) all = all && control_->slots()[r].well[count_ & 1];
    return all;
}

void Meeting::arrive(const Purpose& purpose) {
    if (waiting_)
        throw Error(
            fmt::format("rank {} came for {} inside a sum that it had not ended", options_.known_as, text_of(purpose)),
            fmt::format("collective {}", count_));
    waiting_ = true;
    ++count_;
    Slot& mine = control_->slots()[options_.rank];
    mine.purpose[count_ & 1] = purpose;
    mine.count.store_and_wake(count_);
}

void Meeting::wait_for_others() {
    const Purpose purpose = control_->slots()[options_.rank].purpose[count_ & 1];
    for (int step = 1; step < options_.ranks; ++step) {
        const int peer = (options_.rank + step) % options_.ranks;
        wait_for(peer, count_, purpose);
        check_purpose(peer, purpose);
    }
    waiting_ = false;
}

void Meeting::wait_for(int peer, uint32_t count, const Purpose& purpose) {
    Slot& slot = control_->slots()[peer];
    const auto come = [&] { return static_cast<int32_t>(slot.count.load() - count) >= 0; };
    for (int i = options_.own_cores ? spins_on_own_cores : spins_on_shared_cores; i > 0; --i) {
        if (come()) return;
        pause_processor();
    }
    for (int i = options_.own_cores || options_.beside_computing ? 0 : yields; i > 0; --i) {
        if (come()) return;
        sched_yield();
    }
    for (const auto start = Clock::now(); !come();) {
        sleep(slot, count);
        if (come()) return;
        check_alive(peer, purpose);
        if (is_over(start)) give_up(peer, purpose);
    }
}

bool Meeting::is_over(Clock::time_point start) const {
    const double limit = options_.limit->seconds;
    return limit > 0 && seconds_since(start) > limit + options_.patience_seconds;
}

// Until the peer's count moves, or a moment has passed.
void Meeting::sleep(Slot& slot, uint32_t count) const {
    const timespec moment{0, sleep_ns};
    slot.count.sleep_unless([count](uint32_t seen) { return static_cast<int32_t>(seen - count) >= 0; }, &moment);
}

// The first rank that finds a dead one says so; the others only end.
void Meeting::check_alive(int peer, const Purpose& purpose) {
    const int failed = control_->failed_rank.load();
    if (failed >= 0)
        throw PeerFailure(fmt::format("rank {} has given up", failed), fmt::format("rank {}", options_.known_as), {},
                          static_cast<ExitCode>(control_->failed_code.load()));
    const pid_t pid = control_->slots()[peer].pid.load();
    if (pid == 0 || is_alive(pid)) return;
    const uint32_t step = options_.limit->step;
    const std::string text =
        fmt::format("rank {} (process {}) is dead; rank {} waited for it in {}{}", name_of_rank(peer), pid,
                    options_.known_as, text_of(purpose), step > 0 ? fmt::format(" at step {}", step) : "");
    int32_t nobody = -1;
    control_->failed_code.store(static_cast<int>(ExitCode::failed));
    if (!control_->failed_rank.compare_exchange_strong(nobody, options_.known_as))
        throw PeerFailure(text, fmt::format("rank {}", options_.known_as));
    throw Error(text, fmt::format("collective {}", count_),
                "was it killed for memory, or by hand? train --resume goes on from the last checkpoint");
}

void Meeting::check_purpose(int peer, const Purpose& purpose) {
    const Purpose& other = control_->slots()[peer].purpose[count_ & 1];
    if (other == purpose) return;
    fail(static_cast<int>(ExitCode::failed));
    throw Error(fmt::format("rank {} came for {} and rank {} for {}", options_.known_as, text_of(purpose),
                            name_of_rank(peer), text_of(other)),
                fmt::format("collective {}", count_), "all ranks must call the same collectives in the same order");
}

void Meeting::give_up(int peer, const Purpose& purpose) {
    fail(static_cast<int>(ExitCode::failed));
    throw Error(
        waited_text(*options_.limit, options_.known_as, name_of_rank(peer), name_of(purpose.operation), purpose.bytes),
        fmt::format("collective {}", count_), "look at what that rank does, or whether its node is overloaded");
}

void Meeting::fail(int code) noexcept {
    control_->failed_code.store(code);
    int32_t nobody = -1;
    control_->failed_rank.compare_exchange_strong(nobody, options_.known_as);
    control_->slots()[options_.rank].count.wake();
}

}  // namespace xbench
