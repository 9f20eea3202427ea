// What every communicator must do, against exactly known results. Each check returns what is wrong, or "".
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "core/communicator.h"

namespace xbench::test {

// Memory as a trainer has it, or as the communicator likes it best.
struct Numbers {
    Numbers(Communicator& c, size_t count, bool shared)
        : memory(shared ? c.allocate(count * sizeof(float)) : AlignedBuffer(count * sizeof(float))),
          data(memory.as<float>()) {}
    AlignedBuffer memory;
    float* data;
};

// Small integers: their sums are exact in any order.
inline float addend(size_t i, int rank) { return static_cast<float>((i % 97) * static_cast<size_t>(rank + 1)); }
inline float exact_sum(size_t i, int ranks) {
    return static_cast<float>((i % 97) * static_cast<size_t>(ranks * (ranks + 1) / 2));
}

inline std::string check_all_reduce(Communicator& c, Reduction how, size_t count, bool shared) {
    Numbers numbers(c, count, shared);
    for (int round = 0; round < 3; ++round) {
        for (size_t i = 0; i < count; ++i) numbers.data[i] = addend(i + static_cast<size_t>(round), c.rank());
        c.all_reduce_sum(numbers.data, count, how);
        for (size_t i = 0; i < count; ++i)
            if (numbers.data[i] != exact_sum(i + static_cast<size_t>(round), c.size()))
                return fmt::format("all_reduce of {} floats is wrong at {} in round {}", count, i, round);
    }
    return {};
}

// An odd part in the middle of a buffer, as a bucket is.
inline std::string check_part(Communicator& c, bool shared) {
    constexpr size_t count = 30000, begin = 1234, part = 20011;
    Numbers numbers(c, count, shared);
    for (size_t i = 0; i < count; ++i) numbers.data[i] = addend(i, c.rank());
    c.all_reduce_sum(numbers.data + begin, part, Reduction::invariant);
    for (size_t i = 0; i < count; ++i) {
        const bool inside = i >= begin && i < begin + part;
        if (numbers.data[i] != (inside ? exact_sum(i, c.size()) : addend(i, c.rank())))
            return fmt::format("all_reduce of a part is wrong at {}", i);
    }
    return {};
}

inline std::string check_scatter_and_gather(Communicator& c, Reduction how, size_t count, bool shared) {
    Numbers numbers(c, count, shared);
    for (size_t i = 0; i < count; ++i) numbers.data[i] = addend(i, c.rank());
    c.reduce_scatter_sum(numbers.data, count, how);
    const RankRange mine = range_of_rank(count, c.rank(), c.size());
    for (size_t i = mine.begin; i < mine.end; ++i)
        if (numbers.data[i] != exact_sum(i, c.size())) return fmt::format("reduce_scatter of {} is wrong at {}", count, i);
    for (size_t i = 0; i < count; ++i)
        if (i < mine.begin || i >= mine.end) numbers.data[i] = -1;
    c.barrier();
    c.all_gather(numbers.data, count);
    for (size_t i = 0; i < count; ++i)
        if (numbers.data[i] != exact_sum(i, c.size())) return fmt::format("all_gather of {} is wrong at {}", count, i);
    return {};
}

// The sum of rounded numbers must have the bits of the tree of kernels/leaf_tree.h over ranks, wherever the element lies.
inline std::string check_tree(Communicator& c, size_t count, bool shared) {
    const auto share = [](int rank, size_t i) {
        return 1.0f / static_cast<float>(3 + rank * 7 + static_cast<int>(i % 1000));
    };
    Numbers numbers(c, count, shared);
    for (size_t i = 0; i < count; ++i) numbers.data[i] = share(c.rank(), i);
    c.all_reduce_sum(numbers.data, count, Reduction::invariant);
    for (size_t i = 0; i < count; ++i) {
        std::vector<std::pair<float, int>> stack;  // sum and ranks of a subtree
        for (int r = 0; r < c.size(); ++r) {
            stack.emplace_back(share(r, i), 1);
            while (stack.size() > 1 && stack[stack.size() - 2].second == stack.back().second) {
                const auto right = stack.back();
                stack.pop_back();
                stack.back() = {stack.back().first + right.first, 2 * right.second};
            }
        }
        for (; stack.size() > 1; stack.pop_back()) stack[stack.size() - 2].first += stack.back().first;
        if (numbers.data[i] != stack[0].first) return fmt::format("the sum of {} at {} is not that of the tree", count, i);
    }
    return {};
}

inline std::string check_small_ones(Communicator& c) {
    std::vector<double> values{static_cast<double>(c.rank()), static_cast<double>(-c.rank())};
    c.all_reduce_max(values.data(), values.size());
    if (values[0] != c.size() - 1 || values[1] != 0) return "maximum";
    std::vector<double> sums(5000, c.rank() + 1.0);
    c.all_reduce_sum(sums.data(), sums.size(), Reduction::invariant);
    for (const double sum : sums)
        if (sum != c.size() * (c.size() + 1) / 2) return "sum of doubles";
    std::vector<int> numbers(100'000, c.rank() == c.size() - 1 ? 4711 : 0);
    c.broadcast(numbers.data(), numbers.size() * sizeof(int), c.size() - 1);
    for (const int number : numbers)
        if (number != 4711) return "broadcast";
    for (int distance = 1; distance < c.size(); ++distance) {
        const std::vector<int> mine(100'000, c.rank());
        std::vector<int> theirs(mine.size(), -1);
        c.shift(mine.data(), theirs.data(), mine.size() * sizeof(int), distance);
        for (const int number : theirs)
            if (number != (c.rank() - distance + c.size()) % c.size()) return "shift";
    }
    return {};
}

// A sum in two halves has the bits of one at once; the second half may come late.
inline std::string check_begun_sum(Communicator& c) {
    const SumTree tree = sum_tree(8, c.size());
    const auto addends = static_cast<size_t>(tree.addends[static_cast<size_t>(c.rank())]);
    for (const Reduction how : {Reduction::invariant, Reduction::fast})
        for (const size_t count : {size_t{1}, size_t{700}, size_t{5000}}) {
            std::vector<double> begun(addends * count);
            for (size_t i = 0; i < begun.size(); ++i) begun[i] = 1.0 / static_cast<double>(3 + i % 1000 + 7 * c.rank());
            std::vector<double> at_once = begun;
            c.begin_sum(begun.data(), count, count, tree, how);
            if (c.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
            c.end_sum();
            if (how == Reduction::invariant)
                c.all_reduce_tree(at_once.data(), count, count, tree);
            else
                c.all_reduce_sum(at_once.data(), count, how);
            for (size_t i = 0; i < count; ++i)
                if (begun[i] != at_once[i]) return fmt::format("a sum of {} doubles in two halves is wrong at {}", count, i);
        }
    return {};
}

// Sizes that differ, one of them nothing, one longer than any staging buffer.
inline std::string check_gather_bytes(Communicator& c) {
    const auto bytes_of = [](int rank) { return static_cast<size_t>(rank) * 200'000; };
    const auto all = c.all_gather_bytes(std::vector<std::byte>(bytes_of(c.rank()), static_cast<std::byte>(c.rank())));
    size_t at = 0;
    for (int r = 0; r < c.size(); ++r)
        for (size_t k = 0; k < bytes_of(r); ++k)
            if (at >= all.size() || all[at++] != static_cast<std::byte>(r)) return "gathered bytes";
    return at == all.size() ? "" : "gathered size";
}

// Odd and even ranks apart; a part has its own ranks, sums and memory.
inline std::string check_split(Communicator& c) {
    const auto part = c.split(c.rank() % 2);
    const int members = (c.size() + 1 - c.rank() % 2) / 2;
    if (part->size() != members || part->rank() != c.rank() / 2) return "ranks of a part";
    if (part->known_as() != c.known_as()) return "names of a part's ranks";
    for (const bool shared : {false, true}) {
        if (const auto wrong = check_all_reduce(*part, Reduction::invariant, 20'000, shared); !wrong.empty())
            return "in a part, " + wrong;
        if (const auto wrong = check_all_reduce(c, Reduction::invariant, 20'000, shared); !wrong.empty())
            return "beside a part, " + wrong;
    }
    std::vector<double> sum{static_cast<double>(c.rank())};
    part->all_reduce_sum(sum.data(), 1, Reduction::invariant);
    return sum[0] == members * (members - 1) + members * (c.rank() % 2) ? "" : "sum over a part";
}

inline std::string check_collectives(Communicator& c) {
    std::string wrong;
    const auto note = [&](const std::string& what) {
        if (wrong.empty()) wrong = what;
    };
    for (const bool shared : {false, true})
        for (const size_t count : {size_t{1}, size_t{1000}, size_t{5000}, size_t{300'001}})
            for (const Reduction how : {Reduction::invariant, Reduction::fast}) {
                note(check_all_reduce(c, how, count, shared));
                note(check_scatter_and_gather(c, how, count, shared));
                if (how == Reduction::invariant) note(check_tree(c, count, shared));
            }
    for (const bool shared : {false, true}) note(check_part(c, shared));
    note(check_small_ones(c));
    note(check_begun_sum(c));
    note(check_gather_bytes(c));
    note(check_split(c));
    return wrong;
}

}  // namespace xbench::test
