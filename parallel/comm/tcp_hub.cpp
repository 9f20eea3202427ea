// The thread.
#include "parallel/comm/tcp_hub.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "core/error.h"

namespace xbench {
namespace {

constexpr double patience_seconds = 30;  // with a rank that reads nothing
constexpr size_t piece_bytes = size_t{256} << 10;

template <class T>
T message(const std::vector<char>& in) {
    T whole;
    std::memcpy(static_cast<void*>(&whole), in.data(), sizeof whole);
    return whole;
}

template <class T>
void append(std::vector<char>& to, const T* data, size_t count) {
    const auto* const bytes = reinterpret_cast<const char*>(data);
    to.insert(to.end(), bytes, bytes + count * sizeof(T));
}

}  // namespace

const char* name_of(TcpOperation operation) {
    static constexpr const char* names[] = {"nothing",        "barrier",    "gather_bytes", "all_reduce", "all_reduce_max",
                                            "reduce_scatter", "all_gather", "broadcast",    "shift",      "split"};
    return names[static_cast<size_t>(operation)];
}

TcpHub::TcpHub(int ranks, std::string secret)
    : ranks_(ranks),
      secret_(std::move(secret)),
      listening_(listen_for_ranks()),
      watches_(static_cast<size_t>(ranks)),
      said_goodbye_(static_cast<size_t>(ranks)) {
    if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) throw Error(std::strerror(errno), "TCP, making a pipe");
    thread_ = std::thread([this] { serve(); });
}

TcpHub::~TcpHub() {
    stop_ = true;
    [[maybe_unused]] const ssize_t written = ::write(wake_[1], "", 1);
    thread_.join();
    for (const int end : wake_) ::close(end);
}

void TcpHub::serve() {
    std::vector<pollfd> entries;
    while (!stop_) {
        entries = {{wake_[0], POLLIN, 0}, {listening_.socket.descriptor(), POLLIN, 0}};
        for (const auto& connection : connections_) entries.push_back({connection->socket.descriptor(), POLLIN, 0});
        if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return;
        const std::lock_guard lock(mutex_);
        for (size_t i = 2; i < entries.size(); ++i) {
            Connection& connection = *connections_[i - 2];
            if (entries[i].revents != 0 && !read(connection)) close(connection);
        }
        std::erase_if(connections_, [](const auto& connection) { return !connection->socket.is_open(); });
        if (entries[1].revents == 0) continue;
        connections_.push_back(std::make_unique<Connection>());
        connections_.back()->socket = accept_rank(listening_.socket);
        if (!connections_.back()->socket.is_open()) connections_.pop_back();
    }
}

// False: it has ended, or is none of ours.
bool TcpHub::read(Connection& connection) {
    for (;;) {
        const size_t before = connection.in.size();
        connection.in.resize(before + piece_bytes);
        const ptrdiff_t got = connection.socket.receive(connection.in.data() + before, piece_bytes, 0);
        connection.in.resize(before + static_cast<size_t>(std::max<ptrdiff_t>(got, 0)));
        if (!take_messages(connection) || got < 0) return false;
        if (got < static_cast<ptrdiff_t>(piece_bytes)) return true;
    }
}

bool TcpHub::take_messages(Connection& connection) {
    std::vector<char>& in = connection.in;
    const auto drop = [&](size_t bytes) { in.erase(in.begin(), in.begin() + static_cast<ptrdiff_t>(bytes)); };
    for (;;) {
        if (!connection.greeted) {
            if (in.size() < sizeof(TcpHello)) return true;
            connection.hello = message<TcpHello>(in);
            constexpr uint64_t longest_name = 4096;
            if (std::memcmp(connection.hello.secret, secret_.data(), sizeof connection.hello.secret) != 0 ||
                connection.hello.bytes > longest_name)
                return false;
            const size_t all = sizeof(TcpHello) + connection.hello.bytes;
            if (in.size() < all) return true;
            connection.node.assign(in.begin() + sizeof(TcpHello), in.begin() + static_cast<ptrdiff_t>(all));
            drop(all);
            if (!greet(connection)) return false;
        } else if (connection.hello.purpose == TcpPurpose::watch) {
            if (in.size() < sizeof(TcpNotice)) return true;
            const auto notice = message<TcpNotice>(in);
            drop(sizeof notice);
            if (!hear(connection, notice)) return false;
        } else {
            if (in.size() < sizeof(TcpRequest)) return true;
            const auto request = message<TcpRequest>(in);
            if (in.size() < sizeof request + request.bytes) return true;
            if (request.operation != TcpOperation::who_is_missing) {
                connection.request = request;
                connection.payload.assign(in.begin() + sizeof request,
                                          in.begin() + static_cast<ptrdiff_t>(sizeof request + request.bytes));
                connection.ready = true;
            }
            drop(sizeof request + request.bytes);
            if (request.operation == TcpOperation::who_is_missing ? !ask(connection) : false) return false;
            auto& members = channels_[connection.hello.channel];
            if (std::all_of(members.begin(), members.end(), [](const Connection* c) { return c && c->ready; }))
                answer(members);
        }
    }
}

bool TcpHub::greet(Connection& connection) {
    connection.greeted = true;
    const TcpHello& hello = connection.hello;
    if (hello.size <= 0 || hello.rank < 0 || hello.rank >= hello.size || hello.size > ranks_) return false;
    if (hello.purpose == TcpPurpose::watch) return admit(connection);
    auto& members = channels_[hello.channel];
    members.resize(static_cast<size_t>(hello.size));
    members[static_cast<size_t>(hello.rank)] = &connection;
    return true;
}

// One that another job has sent here, or a second one of the same number, is turned away.
bool TcpHub::admit(Connection& connection) {
    Connection*& place = watches_[static_cast<size_t>(connection.hello.rank)];
    if (connection.hello.size != ranks_ || complete_ || place) return false;
    place = &connection;
    if (std::count(watches_.begin(), watches_.end(), nullptr) == 0) welcome();
    return true;
}

// Ranks are numbered node by node, in the order in which nodes and launcher's ranks appear.
void TcpHub::welcome() {
    std::vector<std::string> names;
    std::vector<int32_t> node_of;
    for (const Connection* rank : watches_) {
        const auto known = std::find(names.begin(), names.end(), rank->node) - names.begin();
        if (known == static_cast<ptrdiff_t>(names.size())) names.push_back(rank->node);
        node_of.push_back(static_cast<int32_t>(known));
    }
    std::vector<size_t> order(watches_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return node_of[a] < node_of[b]; });
    std::stable_sort(node_of.begin(), node_of.end());
    std::vector<Connection*> numbered;
    for (const size_t rank : order) numbered.push_back(watches_[rank]);
    watches_ = numbered;
    complete_ = true;
    for (size_t rank = 0; rank < watches_.size(); ++rank) {
        watches_[rank]->hello.rank = watches_[rank]->hello.known_as = static_cast<int32_t>(rank);
        std::vector<char> text;
        const TcpWelcome welcome{static_cast<int32_t>(rank), 1};
        append(text, &welcome, 1);
        append(text, node_of.data(), node_of.size());
        watches_[rank]->socket.send(text.data(), text.size(), patience_seconds);
    }
}

bool TcpHub::hear(Connection& connection, const TcpNotice& notice) {
    if (notice.news == TcpNews::goodbye) said_goodbye_[static_cast<size_t>(connection.hello.rank)] = 1;
    if (notice.news == TcpNews::abort) {
        said_goodbye_[static_cast<size_t>(connection.hello.rank)] = 1;
        tell(notice, &connection);
    }
    return true;
}

// Who of the communicator has not come.
bool TcpHub::ask(Connection& connection) {
    TcpReply reply;
    reply.status = TcpReply::missing;
    for (const Connection* member : channels_[connection.hello.channel])
        if (member && !member->ready && reply.rank < 0) reply.rank = member->hello.known_as;
    return connection.socket.send(&reply, sizeof reply, patience_seconds);
}

void TcpHub::answer(std::vector<Connection*>& members) {
    TcpReply reply;
    std::vector<uint64_t> sizes;
    for (Connection* member : members) {
        sizes.push_back(member->payload.size());
        reply.bytes += member->payload.size();
        if (member->request.operation == members[0]->request.operation) continue;
        reply = {TcpReply::disagree, member->hello.known_as, member->request.operation, 0, 0};
        break;
    }
    std::vector<char> text;
    append(text, &reply, 1);
    if (reply.status == TcpReply::gathered) {
        text.reserve(sizeof reply + sizes.size() * sizeof(uint64_t) + reply.bytes);
        append(text, sizes.data(), sizes.size());
        for (const Connection* member : members) append(text, member->payload.data(), member->payload.size());
    }
    for (Connection* member : members) member->ready = false;
    for (const Connection* member : members) member->socket.send(text.data(), text.size(), patience_seconds);
}

void TcpHub::close(Connection& connection) {
    connection.socket = {};
    if (!connection.greeted) return;
    if (connection.hello.purpose == TcpPurpose::line) {
        const auto channel = channels_.find(connection.hello.channel);
        if (channel == channels_.end()) return;
        std::replace(channel->second.begin(), channel->second.end(), &connection, static_cast<Connection*>(nullptr));
        if (std::count(channel->second.begin(), channel->second.end(), nullptr) ==
            static_cast<ptrdiff_t>(channel->second.size()))
            channels_.erase(channel);
        return;
    }
    const auto place = std::find(watches_.begin(), watches_.end(), &connection);
    if (place == watches_.end()) return;  // turned away
    *place = nullptr;
    const auto rank = static_cast<size_t>(place - watches_.begin());
    if (complete_ && !said_goodbye_[rank]) tell({TcpNews::lost, static_cast<int32_t>(rank)}, nullptr);
    said_goodbye_[rank] = complete_;
}

void TcpHub::tell(const TcpNotice& notice, const Connection* but) noexcept {
    constexpr double no_time = 1;
    // Rank 0 last: the hub is in its process, which an abort ends at once.
    for (auto watch = watches_.rbegin(); watch != watches_.rend(); ++watch)
        if (*watch && *watch != but) (*watch)->socket.send(&notice, sizeof notice, no_time);
}

int TcpHub::first_missing() {
    const std::lock_guard lock(mutex_);
    const auto place = std::find(watches_.begin() + 1, watches_.end(), nullptr);
    return complete_ || place == watches_.end() ? -1 : static_cast<int>(place - watches_.begin());
}

void TcpHub::abort(int code) noexcept {
    const std::unique_lock lock(mutex_, std::chrono::seconds(1));
    if (lock.owns_lock()) tell({TcpNews::abort, code}, watches_[0]);
}

bool TcpHub::wait_for_goodbyes(double seconds, int own) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            bool all = true;
            for (size_t rank = 0; rank < said_goodbye_.size(); ++rank)
                all = all && (static_cast<int>(rank) == own || said_goodbye_[rank]);
            if (all) return true;
        }
        if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace xbench
