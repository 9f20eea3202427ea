// Ranks that are threads of one process: the trainers' collectives without MPI, for tests.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "core/communicator.h"

namespace xbench::test {

// What the ranks share.
struct ThreadTeam {
    explicit ThreadTeam(int ranks) : ThreadTeam(std::vector<int>(static_cast<size_t>(ranks), 0)) {}
    explicit ThreadTeam(std::vector<int> nodes_of_ranks)
        : size(static_cast<int>(nodes_of_ranks.size())),
          nodes(std::move(nodes_of_ranks)),
          meet(size),
          pointer(nodes.size()) {}
    int size;
    std::vector<int> nodes;  // as if the ranks were on several
    std::barrier<> meet;
    std::vector<const void*> pointer;
};

class ThreadCommunicator : public Communicator {
public:
    ThreadCommunicator(ThreadTeam& team, int rank) : team_(team), rank_(rank), known_as_(rank) {}
    ThreadCommunicator(std::shared_ptr<ThreadTeam> part, int rank, int known_as, const std::shared_ptr<WaitLimit>& limit)
        : Communicator(limit), part_(std::move(part)), team_(*part_), rank_(rank), known_as_(known_as) {}
    int rank() const override { return rank_; }
    int size() const override { return team_.size; }
    int known_as() const override { return known_as_; }
    const char* name() const override { return "threads"; }
    std::vector<int> nodes() const override { return team_.nodes; }
    std::unique_ptr<Communicator> split(int group) override {
        std::vector<int> members;
        share(&group, [&] {
            for (int r = 0; r < team_.size; ++r)
                if (*of<int>(r) == group) members.push_back(r);
        });
        std::shared_ptr<ThreadTeam> team;
        if (members[0] == rank_) {
            std::vector<int> nodes;
            for (const int r : members) nodes.push_back(team_.nodes[static_cast<size_t>(r)]);
            team = std::make_shared<ThreadTeam>(numbered_in_order(nodes));
        }
        share(&team, [&] {
            if (members[0] != rank_) team = *of<std::shared_ptr<ThreadTeam>>(members[0]);
        });
        const auto place = std::find(members.begin(), members.end(), rank_) - members.begin();
        return std::make_unique<ThreadCommunicator>(std::move(team), static_cast<int>(place), known_as_, wait_limit());
    }
    void all_reduce_sum(float* data, size_t count, Reduction) override { sum(data, count); }
    void all_reduce_sum(double* data, size_t count, Reduction) override { sum(data, count); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        add(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        add(data, count, stride, tree);
    }
    void all_reduce_max(double* data, size_t count) override {
        std::vector<double> result(data, data + count);
        share(data, [&] {
            for (int r = 0; r < team_.size; ++r)
                for (size_t i = 0; i < count; ++i) result[i] = std::max(result[i], of<double>(r)[i]);
        });
        std::copy(result.begin(), result.end(), data);
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction) override { sum(data, count); }
    void all_gather(float* data, size_t count) override {
        std::vector<float> result(data, data + count);
        share(data, [&] {
            for (int r = 0; r < team_.size; ++r)
                for (size_t i = range_of_rank(count, r, team_.size).begin; i < range_of_rank(count, r, team_.size).end; ++i)
                    result[i] = of<float>(r)[i];
        });
        std::copy(result.begin(), result.end(), data);
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        share(send, [&] { std::memcpy(receive, of<char>((rank_ - distance + team_.size) % team_.size), bytes); });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        std::vector<char> result(bytes);
        share(data, [&] { std::memcpy(result.data(), team_.pointer[static_cast<size_t>(root)], bytes); });
        std::memcpy(data, result.data(), bytes);
    }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        std::vector<std::byte> result;
        share(&mine, [&] {
            for (int r = 0; r < team_.size; ++r) {
                const auto& other = *of<std::vector<std::byte>>(r);
                result.insert(result.end(), other.begin(), other.end());
            }
        });
        return result;
    }
    bool has_channels() const override { return true; }
    std::unique_ptr<Communicator> channel() override {
        auto team = rank_ == 0 ? std::make_shared<ThreadTeam>(team_.nodes) : nullptr;
        share(&team, [&] {  // rank 0 would write, of the same value, while others read
            if (rank_ != 0) team = *of<std::shared_ptr<ThreadTeam>>(0);
        });
        return std::make_unique<ThreadCommunicator>(team, rank_, known_as_, wait_limit());
    }
    void barrier() override { team_.meet.arrive_and_wait(); }
    void abort(int code) override { std::_Exit(code); }

private:
    template <class T>
    const T* of(int r) const {
        return static_cast<const T*>(team_.pointer[static_cast<size_t>(r)]);
    }
    // Every rank shows its memory; `look` reads the others'; nobody writes before all have read.
    template <class F>
    void share(const void* mine, F&& look) {
        team_.pointer[static_cast<size_t>(rank_)] = mine;
        barrier();
        look();
        barrier();
    }
    template <class T>
    struct Strided {
        const T* data;
        size_t stride;
    };
    template <class T>
    void sum(T* data, size_t count) {
        add(data, count, 0, sum_tree(team_.size, team_.size));
    }
    template <class T>
    void add(T* data, size_t count, size_t stride, const SumTree& tree) {
        std::vector<T> total;
        const Strided<T> mine{data, stride};
        share(&mine, [&] {
            std::vector<const T*> addends;  // in the order of the tree
            for (int r = 0; r < team_.size; ++r)
                for (size_t a = 0; a < static_cast<size_t>(tree.addends[static_cast<size_t>(r)]); ++a)
                    addends.push_back(of<Strided<T>>(r)->data + a * of<Strided<T>>(r)->stride);
            std::vector<std::vector<T>> stack;
            for (size_t a = 0; a < addends.size(); ++a) {
                stack.emplace_back(addends[a], addends[a] + count);
                for (int left = tree.merges[a]; left > 0; --left) merge(stack);
            }
            while (stack.size() > 1) merge(stack);
            total = std::move(stack[0]);
        });
        std::copy(total.begin(), total.end(), data);
    }
    template <class T>
    static void merge(std::vector<std::vector<T>>& stack) {
        std::vector<T>& sum = stack[stack.size() - 2];
        std::transform(sum.begin(), sum.end(), stack.back().begin(), sum.begin(), std::plus<T>());
        stack.pop_back();
    }

    std::shared_ptr<ThreadTeam> part_;  // the team of a channel or of a part of the ranks
    ThreadTeam& team_;
    int rank_, known_as_;
};

// Calls body(communicator) on one thread a rank. The first rank's exception is thrown after all have ended.
inline void on_ranks(ThreadTeam& team, const std::function<void(Communicator&)>& body) {
    const int ranks = team.size;
    std::vector<std::thread> threads;
    std::vector<std::exception_ptr> failures(static_cast<size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank)
        threads.emplace_back([&, rank] {
            try {
                ThreadCommunicator communicator(team, rank);
                body(communicator);
            } catch (...) {
                failures[static_cast<size_t>(rank)] = std::current_exception();
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const auto& failure : failures)
        if (failure) std::rethrow_exception(failure);
}
inline void on_ranks(int ranks, const std::function<void(Communicator&)>& body) {
    ThreadTeam team(ranks);
    on_ranks(team, body);
}

}  // namespace xbench::test
