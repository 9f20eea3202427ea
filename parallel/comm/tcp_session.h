// A rank's membership in a job whose ranks met without MPI: its watch line, by which it learns that another one has given up
// or ended, and new lines for communicators. The process of rank 0 holds the hub, and stays until all have said goodbye.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/wait_limit.h"
#include "parallel/comm/rendezvous.h"
#include "parallel/comm/tcp_hub.h"

namespace xbench {

class TcpSession {
public:
    // As the launcher numbers it; waits for all, at most for the limit. Throws Error.
    TcpSession(int rank, int ranks, Meeting& meeting, std::shared_ptr<WaitLimit> limit);
    ~TcpSession();
    TcpSession(const TcpSession&) = delete;
    TcpSession& operator=(const TcpSession&) = delete;

    int rank() const { return rank_; }                        // numbered node by node
    const std::vector<int>& nodes() const { return nodes_; }  // by rank
    const std::shared_ptr<WaitLimit>& limit() const { return limit_; }
    TcpSocket open_line(uint64_t channel, int place, int size);  // throws Error
    [[noreturn]] void abort(int code) noexcept;

private:
    void open_hub(int ranks, Meeting& meeting);
    bool come(int rank, int ranks, const Meetingplace& place);
    bool hear_welcome(const TcpSocket& line, int ranks);
    [[noreturn]] void nobody_came(int rank, int ranks, const Meeting& meeting);
    void watch();
    void lose(int rank);

    const std::shared_ptr<WaitLimit> limit_;
    std::unique_ptr<TcpHub> hub_;  // of rank 0
    Meetingplace place_;
    std::string address_;  // of those, the one that answers
    TcpSocket watch_;
    int rank_ = 0;
    std::vector<int> nodes_;
    std::atomic<bool> done_{false};
    std::thread thread_;
};

}  // namespace xbench
