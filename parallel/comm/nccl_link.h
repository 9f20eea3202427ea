// A rank's NCCL communicator in the order of its device: how it connects, how calls are made, and who looks after them. A
// call returns at once. Where the host then waits for the device, the link looks whether what it waits for can still come:
// NCCL says an error, a rank is known to be lost, or the time is over. Then all links of the rank are aborted, and the wait
// ends with a line that names rank, step, operation and bytes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "core/communicator.h"
#include "kernels/device.h"
#include "parallel/comm/nccl_library.h"

namespace xbench {

class NcclLink {
public:
    NcclLink(Communicator& ranks, Device& device);  // collective; throws Error. Both outlive it
    ~NcclLink();
    NcclLink(const NcclLink&) = delete;
    NcclLink& operator=(const NcclLink&) = delete;

    const Nccl& library() const { return nccl_; }
    NcclComm comm() const { return comm_; }
    // `submit` puts an operation into the order and gives NCCL's result.
    template <class F>
    void call(const char* operation, uint64_t bytes, F&& submit) {
        check_connected();
        settle(submit(), operation, bytes);
        note(operation, bytes);
    }
    // The same of several that are one to NCCL; `submit` stops at the first that fails.
    template <class F>
    void grouped(const char* operation, uint64_t bytes, F&& submit) {
        call(operation, bytes, [&] {
            int result = nccl_.ncclGroupStart();
            if (result == nccl_success) result = submit();
            const int ended = nccl_.ncclGroupEnd();
            return result == nccl_success || result == nccl_in_progress ? ended : result;
        });
    }
    void abandon() noexcept;  // this link and all others of the rank

private:
    using Clock = std::chrono::steady_clock;
    struct Pending {
        DeviceEvent done;
        const char* operation = nullptr;
        uint64_t bytes = 0;
        Clock::time_point since;
    };
    void connect();
    void check_connected() const;
    [[noreturn]] void give_up(const std::string& what, const std::string& remedy = "NCCL_DEBUG=INFO says more");
    std::string failure(int result, const char* operation, uint64_t bytes) const;
    void settle(int result, const char* operation, uint64_t bytes);
    bool may_be_explained(int result);
    void check_lost(const char* operation, uint64_t bytes);
    void check_time(double waited_seconds, const char* operation, uint64_t bytes);
    void note(const char* operation, uint64_t bytes);
    void look(double waited_seconds);
    std::optional<Pending> oldest_pending();

    const Nccl& nccl_;
    Communicator& ranks_;
    Device& device_;
    const int rank_, size_;
    std::atomic<NcclComm> comm_{nullptr};
    std::mutex mutex_;                               // over what follows: any thread that waits for the device looks
    std::deque<Pending> pending_;                    // in the order of the device
    std::atomic<uint64_t> recorded_bytes_{0};        // of calls in steps that the device replays
    std::optional<Clock::time_point> remote_error_;  // since when
};

}  // namespace xbench
