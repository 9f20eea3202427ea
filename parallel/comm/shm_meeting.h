// Where the ranks of a node meet: a barrier in shared memory that knows what each rank came for, how long it may take,
// and whether the others are still alive.
//
// Each rank counts its meetings in a slot of its own. For a rank, a meeting is over when every other rank's count has got
// as far. A rank with cores of its own spins for a while before it sleeps in the kernel (futex). A rank that shares its core
// with others yields it first, because they need it to arrive.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/wait_limit.h"
#include "parallel/comm/shared_memory.h"

namespace xbench {

enum class MeetingCall : int32_t {
    join,
    barrier,
    all_reduce,
    all_reduce_max,
    reduce,
    reduce_scatter,
    all_gather,
    broadcast,
    shift,
    gather_bytes,
    allocate,
    update
};
const char* name_of(MeetingCall operation);

// What a rank comes to a meeting for. All ranks must come for the same: a difference is an error on every rank.
struct Purpose {
    MeetingCall operation;
    int32_t staged;  // 1 through the staging buffers, 0 in place in shared buffers
    uint64_t bytes;
    uint64_t offset;  // in a shared buffer
    bool operator==(const Purpose&) const = default;
};

struct MeetingOptions {
    std::string name;  // of the shared memory object: "/xbench-1234", the same on all ranks and on nobody else's
    int rank = 0, ranks = 1;
    int known_as = -1;      // what messages call this rank; negative: by its rank
    bool own_cores = true;  // no other rank computes on this rank's cores
    // The caller is a thread beside those that compute: it sleeps at once. Whoever yields instead comes back only when the
    // computing thread's time slice is over, milliseconds after the peer has come.
    bool beside_computing = false;
    std::shared_ptr<WaitLimit> limit = std::make_shared<WaitLimit>();
    double patience_seconds =
        0;  // longer than the limit: another communicator's wait, which this one's depends on, ends first
};

class Meeting {
public:
    // Rank 0 makes the memory, the others wait for it; collective. The name is gone when it returns.
    explicit Meeting(const MeetingOptions& options);

    // Returns when all ranks have come to it; what they wrote before is visible then. Throws Error naming the rank that is
    // late and what for, when purposes differ or the limit is over (the job is then aborted for all), and PeerFailure
    // when a peer has aborted or is dead.
    void meet(const Purpose& purpose);
    // The same in two halves, so that a rank that comes early may do something else meanwhile. No meeting may lie between.
    void arrive(const Purpose& purpose);
    void wait_for_others();
    // meet() that also tells whether every rank went well so far: nobody is left waiting for one that could not go on.
    bool all_well(bool mine, const Purpose& purpose);
    void fail(int code) noexcept;  // this rank comes to no meeting any more; the peers throw PeerFailure with this code

    int rank() const { return options_.rank; }
    int ranks() const { return options_.ranks; }
    const std::string& name() const { return options_.name; }
    const MeetingOptions& options() const { return options_; }

private:
    struct Slot;
    struct Control;
    void wait_for(int peer, uint32_t count, const Purpose& purpose);
    void sleep(Slot& slot, uint32_t count) const;
    bool is_over(std::chrono::steady_clock::time_point start) const;
    int name_of_rank(int peer) const;
    void check_alive(int peer, const Purpose& purpose);
    void check_purpose(int peer, const Purpose& purpose);
    [[noreturn]] void give_up(int peer, const Purpose& purpose);

    MeetingOptions options_;
    SharedMemory memory_;
    Control* control_ = nullptr;
    uint32_t count_ = 0;    // meetings so far
    bool waiting_ = false;  // this rank has arrived at the last one and not waited for the others
};

}  // namespace xbench
