// How long a collective may wait for the other ranks, and the message when that time is over. All communicators of a process
// that stem from one another (Communicator::split) share one object, so the trainer sets it once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "core/error.h"

namespace xbench {

struct WaitLimit {
    std::atomic<double> seconds{300};  // in one collective without any progress; 0: no limit
    std::atomic<uint32_t> step{0};     // the training step under way; 0: none
    std::atomic<int> lost{-1};         // a rank that is known to have ended too early; negative: none
    // Called by another thread where the waiting call cannot throw any more because it is inside a library; must not
    // return. Set before the limit is first reached.
    std::function<void(const Error&)> expired;
    // Called once, by another thread too, when a signal to stop came while a call waited inside a library: what the launcher
    // sends when another rank has died. May return. Set as `expired`.
    std::function<void(const std::string&)> stopped;
};

// "rank 1 waited 20 s for rank 0 in all_reduce of 4 MiB at step 17". `peer` is negative where nobody knows for whom.
std::string waited_text(const WaitLimit& limit, int rank, int peer, const char* operation, uint64_t bytes);
// "rank 1 has ended; rank 0 waited for it in all_reduce of 4 MiB at step 17", of the rank that is lost.
std::string lost_text(const WaitLimit& limit, int rank, const char* operation, uint64_t bytes);
constexpr const char* lost_remedy = "was it killed for memory, or by hand? train --resume goes on from the last checkpoint";
std::string size_text(uint64_t bytes);  // "390 KiB"

}  // namespace xbench
