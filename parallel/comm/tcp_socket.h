// A TCP connection (IPv4) and its two ways to come about. Waits end at a limit; what goes wrong is an Error.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace xbench {

class TcpSocket {
public:
    TcpSocket() = default;
    explicit TcpSocket(int descriptor) : descriptor_(descriptor) {}
    ~TcpSocket();
    TcpSocket(TcpSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    TcpSocket& operator=(TcpSocket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    int descriptor() const { return descriptor_; }
    bool is_open() const { return descriptor_ >= 0; }

    // All of it. False: the other end is gone, or took nothing for `seconds`.
    bool send(const void* data, size_t bytes, double seconds) const noexcept;
    // Up to `bytes`, as many as have come; 0: nothing came for `seconds`; negative: the other end is gone.
    ptrdiff_t receive(void* data, size_t bytes, double seconds) const noexcept;

private:
    int descriptor_ = -1;
};

struct Listening {
    TcpSocket socket;
    int port = 0;
};
Listening listen_for_ranks();                       // on all addresses, at a free port; throws Error
TcpSocket accept_rank(const TcpSocket& listening);  // not open: nobody is there any more
// Not open: nobody listens there.
TcpSocket connect_to_rank(const std::string& address, int port, double seconds);
std::vector<std::string> own_addresses();  // loopback last

}  // namespace xbench
