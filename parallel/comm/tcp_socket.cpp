// BSD sockets.
#include "parallel/comm/tcp_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/error.h"

namespace xbench {
namespace {

constexpr int waiting_connections = 1024;

int milliseconds(double seconds) { return static_cast<int>(seconds * 1e3); }

// Whether the descriptor became ready for this in time.
bool is_ready(int descriptor, short event, double seconds) {
    pollfd entry{descriptor, event, 0};
    int ready = 0;
    do {
        ready = poll(&entry, 1, milliseconds(seconds));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

// Messages are small and somebody waits for each.
void prepare(int descriptor) {
    const int yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

[[noreturn]] void fail(const char* doing) {
    throw Error(std::string(doing) + ": " + std::strerror(errno), "TCP",
                "the ranks meet over IPv4: look at this node's network");
}

}  // namespace

TcpSocket::~TcpSocket() {
    if (descriptor_ >= 0) close(descriptor_);
}

bool TcpSocket::send(const void* data, size_t bytes, double seconds) const noexcept {
    for (const char* at = static_cast<const char*>(data); bytes > 0;) {
        const ssize_t sent = ::send(descriptor_, at, bytes, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            bytes -= static_cast<size_t>(sent);
        } else if (errno != EINTR && (errno != EAGAIN || !is_ready(descriptor_, POLLOUT, seconds))) {
            return false;
        }
    }
    return true;
}

ptrdiff_t TcpSocket::receive(void* data, size_t bytes, double seconds) const noexcept {
    for (;;) {
        const ssize_t got = recv(descriptor_, data, bytes, 0);
        if (got > 0) return got;
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) return -1;
        if (errno == EAGAIN && (seconds <= 0 || !is_ready(descriptor_, POLLIN, seconds))) return 0;
    }
}

Listening listen_for_ranks() {
    Listening listening{TcpSocket(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    const int descriptor = listening.socket.descriptor();
    if (descriptor < 0) fail("making a socket");
    sockaddr_in any{};
    any.sin_family = AF_INET;
    socklen_t bytes = sizeof any;
    auto* const address = reinterpret_cast<sockaddr*>(&any);
    if (bind(descriptor, address, bytes) != 0 || listen(descriptor, waiting_connections) != 0) fail("listening for ranks");
    if (getsockname(descriptor, address, &bytes) != 0) fail("asking for a port");
    listening.port = ntohs(any.sin_port);
    return listening;
}

TcpSocket accept_rank(const TcpSocket& listening) {
    TcpSocket accepted(accept4(listening.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted.is_open()) prepare(accepted.descriptor());
    return accepted;
}

TcpSocket connect_to_rank(const std::string& address, int port, double seconds) {
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET, address.c_str(), &there.sin_addr) != 1) return {};
    TcpSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return {};
    prepare(socket.descriptor());
    const int result = connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&there), sizeof there);
    if (result != 0 && (errno != EINPROGRESS || !is_ready(socket.descriptor(), POLLOUT, seconds))) return {};
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &bytes) != 0 || error != 0) return {};
    return socket;
}

std::vector<std::string> own_addresses() {
    std::vector<std::string> addresses;
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0) return {"127.0.0.1"};
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, freeifaddrs);
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET) continue;
        if (!(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK)) continue;
        char text[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text, sizeof text);
        addresses.emplace_back(text);
    }
    addresses.emplace_back("127.0.0.1");
    return addresses;
}

}  // namespace xbench
