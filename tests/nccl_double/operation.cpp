// A collective goes in rounds: each rank lays a window's length of its contribution into its window, waits until all have,
// takes what it needs from all windows, and says so. Sums go round a ring, as a bandwidth-optimal all-reduce does it: the
// elements of chunk c (of as many as there are ranks) are added up as x[c+1] + x[c+2] + ... + x[c], rounded to the type
// after each addition. That is on purpose not the tree that the product adds in.
#include "tests/nccl_double/operation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/nccl_double/elements.h"
#include "tests/nccl_double/emulator.h"

namespace xbench::nccl {
namespace {

bool is_message(const Part& part) { return part.call.kind == Kind::send || part.call.kind == Kind::receive; }
bool reduces(Kind kind) { return kind == Kind::all_reduce || kind == Kind::reduce || kind == Kind::reduce_scatter; }

bool gives(const Part& part, int rank) { return part.call.kind != Kind::broadcast || rank == part.call.root; }
bool gets(const Part& part, int rank) { return part.call.kind != Kind::reduce || rank == part.call.root; }

}  // namespace

size_t bytes_read(const Part& part, int ranks, int rank) {
    const size_t one = part.call.count * bytes_of(part.call.type);
    if (part.call.kind == Kind::receive || !gives(part, rank)) return 0;
    return part.call.kind == Kind::reduce_scatter ? one * static_cast<size_t>(ranks) : one;
}
size_t bytes_written(const Part& part, int ranks, int rank) {
    const size_t one = part.call.count * bytes_of(part.call.type);
    if (part.call.kind == Kind::send || !gets(part, rank)) return 0;
    return part.call.kind == Kind::all_gather ? one * static_cast<size_t>(ranks) : one;
}

Operation::Operation(std::shared_ptr<State> state, std::vector<Part> parts, bool captured)
    : state_(std::move(state)), parts_(std::move(parts)), captured_(captured) {
    ++(captured_ ? state_->captured : state_->pending);
}
Operation::~Operation() {
    --(captured_ ? state_->captured : state_->pending);
    if (running_) --state_->begun;
}

CUresult Operation::poll(void* self) { return static_cast<Operation*>(self)->go_on(); }
void Operation::release(void* self) { delete static_cast<Operation*>(self); }

CUresult Operation::go_on() {
    if (state_->aborted) return end(CUDA_SUCCESS);
    if (state_->destroyed && captured_) {
        state_->misuse(invalid_usage, "a graph launches a collective of a communicator that was destroyed");
        return end(CUDA_ERROR_LAUNCH_FAILED);
    }
    if (!running_) {
        begun_ = std::chrono::steady_clock::now();
        ++state_->begun;
    }
    running_ = true;
    if (is_injected()) return CUDA_ERROR_NOT_READY;
    // Collectives one after the other; messages that follow each other side by side.
    for (size_t first = 0; first < parts_.size();) {
        size_t end_of_group = first + 1;
        if (is_message(parts_[first]))
            while (end_of_group < parts_.size() && is_message(parts_[end_of_group])) ++end_of_group;
        bool all = true;
        for (size_t p = first; p < end_of_group; ++p) {
            if (!parts_[p].through && !waits_its_turn(first, p)) parts_[p].through = go_on(parts_[p]);
            all &= parts_[p].through;
        }
        if (failed_) return end(CUDA_ERROR_LAUNCH_FAILED);
        if (!all) return alive(parts_[first]) ? CUDA_ERROR_NOT_READY : end(CUDA_ERROR_LAUNCH_FAILED);
        first = end_of_group;
    }
    return end(CUDA_SUCCESS);
}

// Between two ranks messages keep the order of their calls, and share one mailbox: a long one goes through it in pieces, and
// the next one's must not come between them.
bool Operation::waits_its_turn(size_t first, size_t p) const {
    for (size_t before = first; before < p; ++before)
        if (!parts_[before].through && parts_[before].call.kind == parts_[p].call.kind &&
            parts_[before].peer == parts_[p].peer)
            return true;
    return false;
}

CUresult Operation::end(CUresult result) {
    for (Part& part : parts_) {
        part.round = part.done = 0;
        part.published = part.through = false;
    }
    if (running_) --state_->begun;
    running_ = failed_ = false;
    return result;
}

// XBENCH_NCCL_ERROR=RANK:CALL:CODE: from that call on the rank's communicator has that asynchronous error (0: none, it only
// hangs), and its operations do not end. Of communicators of two or more ranks.
bool Operation::is_injected() {
    static const char* const asked = std::getenv("XBENCH_NCCL_ERROR");
    if (!asked || state_->world->ranks() < 2) return false;
    int rank = 0, code = 0;
    unsigned long call = 0;
    if (std::sscanf(asked, "%d:%lu:%d", &rank, &call, &code) != 3 || rank != state_->world->rank()) return false;
    if (state_->calls + 1 < call) return false;
    if (code != success) state_->fail(code, "an error that was asked for");
    return true;
}

// Of a rank, in elements.
uint64_t Operation::contribution(const Part& part) const {
    const auto ranks = static_cast<uint64_t>(state_->world->ranks());
    return part.call.kind == Kind::reduce_scatter ? part.call.count * ranks : part.call.count;
}

bool Operation::go_on(Part& part) {
    if (part.round == 0) {
        part.call.number = ++state_->calls;
        part.round = is_message(part) ? 1 : ++state_->rounds;
    }
    if (part.call.kind == Kind::send) return send(part);
    if (part.call.kind == Kind::receive) return receive(part);
    return collective(part);
}

bool Operation::collective(Part& part) {
    const World& world = *state_->world;
    Slot& mine = world.slot(world.rank());
    const uint64_t all = contribution(part), each = window_bytes / bytes_of(part.call.type);
    for (;;) {
        const uint64_t elements = std::min(each, all - part.done);
        if (!part.published) {
            for (int r = 0; r < world.ranks(); ++r)
                if (world.slot(r).consumed + 1 < part.round) return false;
            publish(part, elements);
            mine.call = part.call;
            mine.arrived = part.round;
            part.published = true;
        }
        for (int r = 0; r < world.ranks(); ++r)
            if (world.slot(r).arrived < part.round) return false;
        if (!agree(part)) return false;
        take(part, elements);
        mine.consumed = part.round;
        part.done += elements;
        part.published = false;
        if (part.done >= all) return true;
        part.round = ++state_->rounds;
    }
}

void Operation::publish(const Part& part, uint64_t elements) {
    const World& world = *state_->world;
    const size_t size = bytes_of(part.call.type);
    Window& window = world.slot(world.rank()).window;
    if (!gives(part, world.rank()) || elements == 0) return;
    const CUdeviceptr from = part.from + part.done * size;
    if (emulator()->device_of(from, elements * size) != state_->device) {
        state_->misuse(invalid_argument, text_of(part.call) + ": its source was freed before it ran");
        failed_ = true;
        return;
    }
    emulator()->read(window.data, window.shadow, from, elements * size);
}

void Operation::write(CUdeviceptr to, const void* data, const unsigned char* shadow, size_t bytes) {
    if (bytes == 0) return;
    if (emulator()->device_of(to, bytes) == state_->device) return emulator()->write(to, data, shadow, bytes);
    if (!failed_) state_->misuse(invalid_argument, "the destination of a collective was freed before it ran");
    failed_ = true;
}

void Operation::take(const Part& part, uint64_t elements) {
    const World& world = *state_->world;
    const size_t size = bytes_of(part.call.type), bytes = elements * size;
    if (!gets(part, world.rank())) return;
    if (reduces(part.call.kind)) return take_reduced(part, elements);
    if (part.call.kind == Kind::broadcast) {
        const Window& window = world.slot(part.call.root).window;
        return write(part.to + part.done * size, window.data, window.shadow, bytes);
    }
    for (int r = 0; r < world.ranks(); ++r) {
        const Window& window = world.slot(r).window;
        write(part.to + (static_cast<uint64_t>(r) * part.call.count + part.done) * size, window.data, window.shadow, bytes);
    }
}

void Operation::take_reduced(const Part& part, uint64_t elements) {
    const World& world = *state_->world;
    const size_t size = bytes_of(part.call.type);
    const auto ranks = static_cast<uint64_t>(world.ranks());
    const uint64_t all = contribution(part), chunk = std::max<uint64_t>(1, (all + ranks - 1) / ranks);
    std::vector<unsigned char> sums(window_bytes), shadow(window_bytes);
    for (uint64_t at = 0; at < elements;) {
        const uint64_t c = (part.done + at) / chunk, count = std::min(elements - at, (c + 1) * chunk - part.done - at);
        const size_t begin = at * size, bytes = count * size;
        at += count;
        if (part.call.kind == Kind::reduce_scatter && c != static_cast<uint64_t>(world.rank())) continue;
        for (uint64_t hop = 1; hop <= ranks; ++hop) {
            const Window& window = world.slot(static_cast<int>((c + hop) % ranks)).window;
            if (hop == 1) {
                std::memcpy(sums.data(), window.data + begin, bytes);
                std::memcpy(shadow.data(), window.shadow + begin, bytes);
                continue;
            }
            combine(part.call.type, part.call.reduction, sums.data(), window.data + begin, count);
            for (size_t b = 0; b < bytes; ++b) shadow[b] = std::min(shadow[b], window.shadow[begin + b]);
        }
        if (part.call.reduction == average) divide(part.call.type, sums.data(), world.ranks(), count);
        const uint64_t place = part.done + at - count - (part.call.kind == Kind::reduce_scatter ? c * chunk : 0);
        write(part.to + place * size, sums.data(), shadow.data(), bytes);
    }
}

bool Operation::agree(const Part& part) {
    const World& world = *state_->world;
    for (int r = 0; r < world.ranks(); ++r) {
        const Call& other = world.slot(r).call;
        if (other == part.call) continue;
        state_->misuse(invalid_usage, "the ranks disagree: here " + text_of(part.call) + ", on rank " + std::to_string(r) +
                                          " " + text_of(other));
        failed_ = true;
        return false;
    }
    return true;
}

bool Operation::send(Part& part) {
    const World& world = *state_->world;
    Mailbox& box = world.mailbox(world.rank(), part.peer);
    const size_t size = bytes_of(part.call.type);
    for (;;) {
        if (box.taken != box.sent) return false;
        if (part.published && part.done >= part.call.count) return true;  // and it was taken
        const uint64_t elements = std::min<uint64_t>(window_bytes / size, part.call.count - part.done);
        if (elements > 0)
            emulator()->read(box.window.data, box.window.shadow, part.from + part.done * size, elements * size);
        box.call = part.call;
        part.done += elements;
        part.published = true;
        ++box.sent;
    }
}

bool Operation::receive(Part& part) {
    const World& world = *state_->world;
    Mailbox& box = world.mailbox(part.peer, world.rank());
    const size_t size = bytes_of(part.call.type);
    while (box.sent != box.taken) {
        if (box.call.count != part.call.count || box.call.type != part.call.type) {
            state_->misuse(invalid_usage, "rank " + std::to_string(part.peer) + " sends " + text_of(box.call) +
                                              ", here is " + text_of(part.call));
            failed_ = true;
            return false;
        }
        const uint64_t elements = std::min<uint64_t>(window_bytes / size, part.call.count - part.done);
        write(part.to + part.done * size, box.window.data, box.window.shadow, elements * size);
        part.done += elements;
        ++box.taken;
        if (part.done >= part.call.count) return true;
    }
    box.wanted = box.taken + 1;
    return false;
}

std::string Operation::waits_for() const {
    const World& world = *state_->world;
    for (const Part& part : parts_) {
        if (part.through) continue;
        if (is_message(part)) return "rank " + std::to_string(part.peer) + " does not take part";
        for (int r = 0; r < world.ranks(); ++r)
            if (world.slot(r).arrived < part.round)
                return "rank " + std::to_string(r) + " has not come; its last was " + text_of(world.slot(r).call);
    }
    return "nobody knows why";
}

// A lost rank is an error that the program may ask for; one that does not come is reported in the end.
bool Operation::alive(const Part& part) {
    const World& world = *state_->world;
    constexpr int polls_between_looks = 32;
    const int lost = ++polls_ % polls_between_looks == 0 ? world.first_lost() : -1;
    if (lost >= 0) state_->fail(remote_error, text_of(part.call) + ": rank " + std::to_string(lost) + " is gone");
    const double waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    if (waited < seconds_to_wait()) return true;
    state_->misuse(remote_error,
                   text_of(part.call) + " gave up after " + std::to_string(static_cast<int>(waited)) + " s: " + waits_for());
    return false;
}

}  // namespace xbench::nccl
