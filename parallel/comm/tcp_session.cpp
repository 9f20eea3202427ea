// Coming together and watching.
#include "parallel/comm/tcp_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "core/seconds_since.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double short_while = 0.05, try_seconds = 2;
// What a rank that is known to be lost leaves the others for a line of their own, which names what they waited in.
constexpr double grace_seconds = 2;

// Two containers of one machine are two nodes, and so are two machines of one name. XBENCH_NODE_OF_RANK as of MPI's ranks.
std::string node_name(int rank) {
    if (const char* pretended = std::getenv("XBENCH_NODE_OF_RANK")) {
        std::stringstream words(pretended);
        std::string word;
        for (int r = 0; r <= rank; ++r) std::getline(words, word, ',');
        return word;
    }
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot;
    file >> boot;
    return std::string(host) + " " + boot;
}

TcpHello hello_of(const Meetingplace& place, TcpPurpose purpose, int rank, int size) {
    TcpHello hello;
    std::memcpy(hello.secret, place.secret.data(), sizeof hello.secret);
    hello.purpose = purpose;
    hello.rank = hello.known_as = rank;
    hello.size = size;
    return hello;
}

}  // namespace

TcpSession::TcpSession(int rank, int ranks, Meeting& meeting, std::shared_ptr<WaitLimit> limit)
    : limit_(std::move(limit)), rank_(rank) {
    if (rank < 0 || rank >= ranks)
        throw UsageError(fmt::format("there is no rank {} of {}", rank, ranks), "RANK, WORLD_SIZE");
    if (rank == 0) open_hub(ranks, meeting);
    try {
        for (const auto start = Clock::now();; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
            const auto place = rank == 0 ? std::optional(place_) : meeting.find(limit_->seconds);
            if (place && come(rank, ranks, *place)) break;
            if (limit_->seconds > 0 && seconds_since(start) > limit_->seconds) nobody_came(rank, ranks, meeting);
        }
    } catch (...) {
        if (hub_) meeting.end();
        throw;
    }
    if (hub_) meeting.end();
    thread_ = std::thread([this] { watch(); });
}

// On the way out of a failure the others do not come to an orderly end.
TcpSession::~TcpSession() {
    const TcpNotice goodbye{TcpNews::goodbye, 0};
    watch_.send(&goodbye, sizeof goodbye, try_seconds);
    if (hub_ && std::uncaught_exceptions() == 0)
        hub_->wait_for_goodbyes(limit_->seconds > 0 ? limit_->seconds.load() : HUGE_VAL, rank_);
    done_ = true;
    thread_.join();
}

void TcpSession::open_hub(int ranks, Meeting& meeting) {
    place_.secret = fresh_secret();
    hub_ = std::make_unique<TcpHub>(ranks, place_.secret);
    place_.port = hub_->port();
    place_.addresses = own_addresses();
    meeting.announce(place_, limit_->seconds);
    place_.addresses = {"127.0.0.1"};
}

// False: not there; try again.
bool TcpSession::come(int rank, int ranks, const Meetingplace& place) {
    const std::string node = node_name(rank);
    TcpHello hello = hello_of(place, TcpPurpose::watch, rank, ranks);
    hello.bytes = node.size();
    for (const std::string& address : place.addresses) {
        TcpSocket line = connect_to_rank(address, place.port, try_seconds);
        if (!line.is_open() || !line.send(&hello, sizeof hello, try_seconds) ||
            !line.send(node.data(), node.size(), try_seconds))
            continue;
        if (!hear_welcome(line, ranks)) continue;
        place_ = place;
        address_ = address;
        watch_ = std::move(line);
        return true;
    }
    return false;
}

// Comes when all have come. False: turned away, or rank 0 gave up.
bool TcpSession::hear_welcome(const TcpSocket& line, int ranks) {
    std::vector<char> text(sizeof(TcpWelcome) + static_cast<size_t>(ranks) * sizeof(int32_t));
    const auto start = Clock::now();
    for (size_t got = 0; got < text.size();) {
        const ptrdiff_t more = line.receive(text.data() + got, text.size() - got, short_while);
        if (more < 0 || (limit_->seconds > 0 && seconds_since(start) > limit_->seconds)) return false;
        got += static_cast<size_t>(more);
    }
    TcpWelcome welcome;
    std::memcpy(&welcome, text.data(), sizeof welcome);
    rank_ = welcome.rank;
    nodes_.resize(static_cast<size_t>(ranks));
    std::memcpy(nodes_.data(), text.data() + sizeof welcome, nodes_.size() * sizeof(int32_t));
    return welcome.accepted != 0;
}

void TcpSession::nobody_came(int rank, int ranks, const Meeting& meeting) {
    const int missing = hub_ ? hub_->first_missing() : 0;
    const std::string what =
        fmt::format("rank {} of {} waited {:.3g} s for rank {} in connecting", rank, ranks, limit_->seconds.load(), missing);
    throw Error(what, meeting.name(), meeting.remedy());
}

TcpSocket TcpSession::open_line(uint64_t channel, int place, int size) {
    TcpHello hello = hello_of(place_, TcpPurpose::line, place, size);
    hello.known_as = rank_;
    hello.channel = channel;
    TcpSocket line = connect_to_rank(address_, place_.port, try_seconds);
    if (!line.is_open() || !line.send(&hello, sizeof hello, try_seconds))
        throw Error("no line to rank 0", fmt::format("{}, port {}", address_, place_.port));
    return line;
}

void TcpSession::watch() {
    TcpNotice notice;
    for (size_t got = 0; !done_;) {
        const ptrdiff_t more = watch_.receive(reinterpret_cast<char*>(&notice) + got, sizeof notice - got, short_while);
        if (more < 0) return lose(0);
        got += static_cast<size_t>(more);
        if (got < sizeof notice) continue;
        got = 0;
        if (notice.news == TcpNews::abort) std::_Exit(notice.number);  // that rank has said why
        if (notice.news == TcpNews::lost) return lose(notice.number);
    }
}

// Whoever waits ends with a line; where nobody does, this thread says one.
void TcpSession::lose(int rank) {
    limit_->lost = rank;
    for (const auto start = Clock::now(); !done_ && seconds_since(start) < grace_seconds;)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (done_ || !limit_->expired) return;
    const uint32_t step = limit_->step;
    limit_->expired(Error(fmt::format("rank {} has ended{}", rank, step > 0 ? fmt::format(" at step {}", step) : ""),
                          fmt::format("rank {}", rank_), lost_remedy));
}

void TcpSession::abort(int code) noexcept {
    const TcpNotice notice{TcpNews::abort, code};
    if (hub_)
        hub_->abort(code);
    else
        watch_.send(&notice, sizeof notice, try_seconds);
    std::_Exit(code);
}

}  // namespace xbench
