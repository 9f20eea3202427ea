// Everything is one exchange: each rank sends some bytes, and receives everybody's.
#include "parallel/comm/comm_tcp.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/error.h"
#include "core/hardware.h"
#include "core/seconds_since.h"
#include "kernels/rank_sum/rank_sum.h"
#include "parallel/comm/tcp_session.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double short_while = 0.05, patience_for_the_watch = 2;

// Of a part of a communicator's ranks: another number for each split and each group.
uint64_t channel_of_part(uint64_t parent, uint64_t split, int group) {
    uint64_t mixed = parent + 0x9e3779b97f4a7c15u * (split + 1) + 0xd1b54a32d192ed03u * (static_cast<uint64_t>(group) + 1);
    for (const int shift : {30, 27}) mixed = (mixed ^ (mixed >> shift)) * 0xbf58476d1ce4e5b9u;
    return mixed ^ (mixed >> 31);
}

class TcpCommunicator final : public Communicator {
public:
    TcpCommunicator(std::shared_ptr<TcpSession> session, uint64_t channel, int rank, std::vector<int> nodes)
        : Communicator(session->limit()),
          session_(std::move(session)),
          channel_(channel),
          rank_(rank),
          nodes_(std::move(nodes)),
          over_ranks_(sum_tree(size(), size())),
          line_(session_->open_line(channel, rank, size())) {}

    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(nodes_.size()); }
    int known_as() const override { return session_->rank(); }
    const char* name() const override { return "tcp"; }
    std::vector<int> nodes() const override { return nodes_; }
    bool moves_by_this_core() const override { return false; }
    bool has_channels() const override { return true; }
    std::unique_ptr<Communicator> channel() override { return split(0); }
    std::unique_ptr<Communicator> split(int group) override;
    void abort(int code) override { session_->abort(code); }

    void barrier() override { exchange(TcpOperation::barrier, 0, nullptr, 0); }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        exchange(TcpOperation::gather_bytes, mine.size(), mine.data(), mine.size());
        return {bytes_.begin(), bytes_.end()};
    }
    void all_reduce_max(double* data, size_t count) override {
        exchange(TcpOperation::all_reduce_max, count * sizeof(double), data, count * sizeof(double));
        const double* const all = numbers<double>();
        for (size_t i = 0; i < count * nodes_.size(); ++i) data[i % count] = std::max(data[i % count], all[i]);
    }
    void all_reduce_sum(float* data, size_t count, Reduction) override { sum(data, count, count, over_ranks_); }
    void all_reduce_sum(double* data, size_t count, Reduction) override { sum(data, count, count, over_ranks_); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        sum(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        sum(data, count, stride, tree);
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction) override {
        sum(data, count, count, over_ranks_, TcpOperation::reduce_scatter);
    }
    void all_gather(float* data, size_t count) override {
        const RankRange mine = range_of_rank(count, rank_, size());
        exchange(TcpOperation::all_gather, count * sizeof(float), data + mine.begin,
                 (mine.end - mine.begin) * sizeof(float));
        std::copy_n(numbers<float>(), count, data);  // ranges follow each other
    }
    void broadcast(void* data, size_t bytes, int root) override {
        exchange(TcpOperation::broadcast, bytes, data, root == rank_ ? bytes : 0);
        if (bytes > 0) std::memcpy(data, bytes_.data(), bytes);
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        exchange(TcpOperation::shift, bytes, send, bytes);
        const auto from = static_cast<size_t>((rank_ - distance + size()) % size());
        if (bytes > 0) std::memcpy(receive, bytes_.data() + from * bytes, bytes);
    }

private:
    void exchange(TcpOperation operation, size_t said_bytes, const void* data, size_t bytes);
    void receive(void* data, size_t bytes, TcpOperation operation, size_t said_bytes);
    [[noreturn]] void give_up(TcpOperation operation, size_t said_bytes);
    int ask_who_is_missing();
    void check(const TcpReply& reply, TcpOperation operation) const;
    template <class T>
    const T* numbers() const {
        return reinterpret_cast<const T*>(bytes_.data());
    }
    template <class T>
    void sum(T* data, size_t count, size_t stride, const SumTree& tree, TcpOperation as = TcpOperation::all_reduce);

    const std::shared_ptr<TcpSession> session_;
    const uint64_t channel_;
    const int rank_;
    const std::vector<int> nodes_;  // by rank
    const SumTree over_ranks_;      // one addend a rank
    const TcpSocket line_;
    uint64_t splits_ = 0;
    std::vector<uint64_t> sizes_;     // of what each rank sent in the last exchange
    std::vector<std::byte> bytes_;    // one after the other
    std::vector<std::byte> addends_;  // of sum, of this rank
};

void TcpCommunicator::exchange(TcpOperation operation, size_t said_bytes, const void* data, size_t bytes) {
    const TcpRequest request{operation, 0, bytes};
    const double patience = std::max(1.0, wait_limit()->seconds.load());
    if (!line_.send(&request, sizeof request, patience) || !line_.send(data, bytes, patience))
        give_up(operation, said_bytes);
    TcpReply reply;
    receive(&reply, sizeof reply, operation, said_bytes);
    check(reply, operation);
    sizes_.resize(nodes_.size());
    bytes_.resize(reply.bytes);
    receive(sizes_.data(), sizes_.size() * sizeof(uint64_t), operation, said_bytes);
    receive(bytes_.data(), bytes_.size(), operation, said_bytes);
}

void TcpCommunicator::receive(void* data, size_t bytes, TcpOperation operation, size_t said_bytes) {
    const WaitLimit& limit = *wait_limit();
    auto start = Clock::now();
    for (size_t got = 0; got < bytes;) {
        const ptrdiff_t more = line_.receive(static_cast<char*>(data) + got, bytes - got, short_while);
        if (more > 0) start = Clock::now();
        if (more > 0) got += static_cast<size_t>(more);
        const bool too_long = limit.seconds > 0 && seconds_since(start) > limit.seconds;
        if (more < 0 || too_long || limit.lost >= 0) give_up(operation, said_bytes);
    }
}

void TcpCommunicator::give_up(TcpOperation operation, size_t said_bytes) {
    WaitLimit& limit = *wait_limit();
    const int missing = limit.lost < 0 ? ask_who_is_missing() : -1;  // negative as well where the hub is gone
    if (limit.lost < 0 && missing >= 0)
        throw Error(waited_text(limit, known_as(), missing, name_of(operation), said_bytes), "TCP",
                    "look at what that rank does, or whether its node is overloaded");
    // Rank 0's process has ended. The watch says why in a moment: it ends this rank with an abort's code, or knows who is
    // lost.
    for (const auto start = Clock::now(); limit.lost < 0 && seconds_since(start) < patience_for_the_watch;)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    int nobody = -1;
    limit.lost.compare_exchange_strong(nobody, 0);
    throw Error(lost_text(limit, known_as(), name_of(operation), said_bytes), "TCP", lost_remedy);
}

int TcpCommunicator::ask_who_is_missing() {
    constexpr double patience = 2;
    const TcpRequest who{TcpOperation::who_is_missing, 0, 0};
    TcpReply reply;
    if (!line_.send(&who, sizeof who, patience)) return -1;
    for (size_t got = 0; got < sizeof reply;) {
        const ptrdiff_t more = line_.receive(reinterpret_cast<char*>(&reply) + got, sizeof reply - got, patience);
        if (more <= 0) return -1;
        got += static_cast<size_t>(more);
    }
    return reply.status == TcpReply::missing ? reply.rank : -1;
}

void TcpCommunicator::check(const TcpReply& reply, TcpOperation operation) const {
    if (reply.status == TcpReply::gathered) return;
    const std::string others = reply.rank == known_as()
                                   ? "others for something else"
                                   : fmt::format("rank {} for {}", reply.rank, name_of(reply.operation));
    throw Error(fmt::format("rank {} came for {} and {}", known_as(), name_of(operation), others), "TCP",
                "all ranks must call the same collectives in the same order");
}

template <class T>
void TcpCommunicator::sum(T* data, size_t count, size_t stride, const SumTree& tree, TcpOperation as) {
    const auto own = static_cast<size_t>(tree.addends[static_cast<size_t>(rank_)]);
    addends_.resize(own * count * sizeof(T));
    for (size_t a = 0; a < own; ++a)
        std::memcpy(addends_.data() + a * count * sizeof(T), data + a * stride, count * sizeof(T));
    exchange(as, count * sizeof(T), addends_.data(), addends_.size());
    std::vector<const T*> from;
    for (size_t a = 0; a < tree.merges.size(); ++a) from.push_back(numbers<T>() + a * count);
    sum_over_ranks(usable_isa(), {from.data(), static_cast<int>(from.size()), tree.merges.data()}, &data, 1, 0, count);
}

std::unique_ptr<Communicator> TcpCommunicator::split(int group) {
    exchange(TcpOperation::split, sizeof group, &group, sizeof group);
    std::vector<int> nodes;
    int place = 0;
    for (size_t r = 0; r < nodes_.size(); ++r) {
        if (numbers<int>()[r] != group) continue;
        if (static_cast<int>(r) == rank_) place = static_cast<int>(nodes.size());
        nodes.push_back(nodes_[r]);
    }
    return std::make_unique<TcpCommunicator>(session_, channel_of_part(channel_, splits_++, group), place,
                                             numbered_in_order(nodes));
}

}  // namespace

std::unique_ptr<Communicator> make_tcp_communicator(int rank, int ranks, Meeting& meeting,
                                                    std::shared_ptr<WaitLimit> limit) {
    auto session = std::make_shared<TcpSession>(rank, ranks, meeting, std::move(limit));
    const int numbered = session->rank();
    std::vector<int> nodes = session->nodes();
    return std::make_unique<TcpCommunicator>(std::move(session), 0, numbered, std::move(nodes));
}

}  // namespace xbench
