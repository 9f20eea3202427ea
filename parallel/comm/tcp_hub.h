// Where the connections of ranks that meet without MPI end: a thread in the process of rank 0. It brings together what the
// ranks of each communicator send, tells all when one of them gives up or ends without a goodbye, and computes nothing.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "parallel/comm/tcp_messages.h"
#include "parallel/comm/tcp_socket.h"

namespace xbench {

class TcpHub {
public:
    TcpHub(int ranks, std::string secret);  // throws Error
    ~TcpHub();
    TcpHub(const TcpHub&) = delete;
    TcpHub& operator=(const TcpHub&) = delete;

    int port() const { return listening_.port; }
    bool is_complete() const { return complete_; }
    int first_missing();                              // of the ranks that should come to rank 0; negative: none
    void abort(int code) noexcept;                    // tells all other ranks
    bool wait_for_goodbyes(double seconds, int own);  // of all but this one

private:
    struct Connection {
        TcpSocket socket;
        bool greeted = false;
        TcpHello hello;
        std::string node;
        std::vector<char> in;
        bool ready = false;  // its request is complete
        TcpRequest request;
        std::vector<char> payload;
    };
    void serve();
    bool read(Connection& connection);
    bool take_messages(Connection& connection);
    bool greet(Connection& connection);
    bool admit(Connection& connection);
    void welcome();
    bool hear(Connection& connection, const TcpNotice& notice);
    bool ask(Connection& connection);
    void answer(std::vector<Connection*>& members);
    void close(Connection& connection);
    void tell(const TcpNotice& notice, const Connection* but) noexcept;

    const int ranks_;
    const std::string secret_;
    const Listening listening_;
    int wake_[2] = {-1, -1};  // a pipe
    std::timed_mutex mutex_;  // over what follows
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<Connection*> watches_;  // by the launcher's rank; null: not come, or gone
    std::vector<char> said_goodbye_;    // by rank
    std::map<uint64_t, std::vector<Connection*>> channels_;
    std::atomic<bool> stop_{false}, complete_{false};
    std::thread thread_;
};

}  // namespace xbench
