// One file in shared memory a communicator, made by whoever comes first (all bytes 0), unlinked when all have come.
#include "tests/nccl_double/world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace xbench::nccl {
namespace {

std::string file_name(const UniqueId& id) {
    std::string name = "/xbench_nccl_";
    constexpr char digits[] = "0123456789abcdef";
    for (int i = 8; i < 24; ++i) {
        name += digits[id.internal[i] >> 4 & 15];
        name += digits[id.internal[i] & 15];
    }
    return name;
}

// Ended, waited for or not.
bool is_gone(int process) {
    if (kill(process, 0) != 0 && errno == ESRCH) return true;
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string word, state;
    file >> word >> word >> state;
    return state == "Z" || state == "X";
}

}  // namespace

const char* name_of(Kind kind) {
    static constexpr const char* names[] = {"nothing",       "AllReduce", "Broadcast", "Reduce",
                                            "ReduceScatter", "AllGather", "Send",      "Recv"};
    return names[static_cast<size_t>(kind)];
}

std::string text_of(const Call& call) {
    static constexpr const char* type_names[] = {"i8", "u8", "i32", "u32", "i64", "u64", "f16", "f32", "f64", "bf16"};
    static constexpr const char* reduction_names[] = {"sum", "product", "maximum", "minimum", "average"};
    if (call.kind == Kind::none) return "nothing";
    std::string text = std::string(name_of(call.kind)) + " of " + std::to_string(call.count) + " " + type_names[call.type];
    if (call.kind == Kind::all_reduce || call.kind == Kind::reduce || call.kind == Kind::reduce_scatter)
        text += std::string(", ") + reduction_names[call.reduction];
    if (call.kind == Kind::broadcast || call.kind == Kind::reduce) text += ", root " + std::to_string(call.root);
    return text + " (call " + std::to_string(call.number) + ")";
}

World::World(const UniqueId& id, int ranks, int rank) : name_(file_name(id)), id_(id), ranks_(ranks), rank_(rank) {
    bytes_ = static_cast<size_t>(ranks) * sizeof(Slot) + static_cast<size_t>(ranks * ranks) * sizeof(Mailbox);
    const int file = shm_open(name_.c_str(), O_CREAT | O_RDWR, 0600);
    if (file < 0) throw std::runtime_error("shared memory " + name_ + ": " + std::strerror(errno));
    const bool sized = ftruncate(file, static_cast<off_t>(bytes_)) == 0;
    memory_ = sized ? mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
    close(file);
    if (memory_ == MAP_FAILED) throw std::runtime_error("shared memory " + name_ + ": " + std::strerror(errno));
    slots_ = static_cast<Slot*>(memory_);
    mailboxes_ = reinterpret_cast<Mailbox*>(slots_ + ranks);
    if (slot(rank).joined.exchange(1) != 0) throw std::runtime_error("rank " + std::to_string(rank) + " joins twice");
    slot(rank).process = getpid();
}

World::~World() {
    if (!memory_ || memory_ == MAP_FAILED) return;
    slot(rank_).left = 1;
    if (first_missing() >= 0) shm_unlink(name_.c_str());
    munmap(memory_, bytes_);
}

int World::first_missing() const {
    for (int r = 0; r < ranks_; ++r)
        if (!slot(r).joined) return r;
    return -1;
}

int World::first_lost() const {
    for (int r = 0; r < ranks_; ++r) {
        if (r == rank_ || !slot(r).joined) continue;
        if (slot(r).aborted || (!slot(r).left && slot(r).process != 0 && is_gone(slot(r).process))) return r;
    }
    return -1;
}

void World::everybody_is_here() {
    if (rank_ == 0) shm_unlink(name_.c_str());
}

void World::abort() { slot(rank_).aborted = 1; }

}  // namespace xbench::nccl
