// The ranks of a communicator in shared memory: who is there, and windows through which they pass pieces of their buffers.
// Ranks may be processes or threads of one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/nccl_double/nccl_abi.h"

namespace xbench::nccl {

constexpr int most_ranks = 16;
constexpr size_t window_bytes = 64 << 10;

enum class Kind : uint32_t { none, all_reduce, broadcast, reduce, reduce_scatter, all_gather, send, receive };
const char* name_of(Kind kind);

// What ranks must agree on.
struct Call {
    Kind kind = Kind::none;
    int32_t type = 0, reduction = 0, root = 0;
    uint64_t count = 0;   // elements, as the caller gave them
    uint64_t number = 0;  // of the communicator's calls, from 1 on; not compared
    bool operator==(const Call& o) const {
        return kind == o.kind && type == o.type && reduction == o.reduction && root == o.root && count == o.count;
    }
};
std::string text_of(const Call& call);

struct Window {
    unsigned char data[window_bytes], shadow[window_bytes];
};

struct Mailbox {                                // of one sender to one receiver
    std::atomic<uint64_t> sent, taken, wanted;  // windows
    Call call;
    Window window;
};

struct Slot {  // of a rank
    std::atomic<uint32_t> joined, aborted, left;
    std::atomic<int32_t> process;
    std::atomic<uint64_t> arrived, consumed;  // rounds
    Call call;                                // of the round that it came to last
    std::atomic<uint64_t> splits;
    int32_t color, key;
    Window window;
};

class World {
public:
    // Throws std::runtime_error: no shared memory, or the rank is taken.
    World(const UniqueId& id, int ranks, int rank);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    int ranks() const { return ranks_; }
    int rank() const { return rank_; }
    const UniqueId& id() const { return id_; }
    Slot& slot(int rank) const { return slots_[rank]; }
    Mailbox& mailbox(int from, int to) const { return mailboxes_[from * ranks_ + to]; }
    // -1: all have joined.
    int first_missing() const;
    // A rank whose process ended without leaving, or that aborted; -1: none.
    int first_lost() const;
    void everybody_is_here();  // the name in the file system is not needed any more
    void abort();

private:
    std::string name_;
    UniqueId id_;
    int ranks_, rank_;
    size_t bytes_ = 0;
    void* memory_ = nullptr;
    Slot* slots_ = nullptr;
    Mailbox* mailboxes_ = nullptr;
};

}  // namespace xbench::nccl
