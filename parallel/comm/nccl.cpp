// The collectives of a DataPlane made of NCCL's calls.
//
// The invariant sum: each rank receives all ranks' addends of its own range (grouped sends and receives), adds them in the
// fixed tree on the device (Device::sum), and the sums are gathered. Small sums are gathered whole and added by every rank.
// The fast sum is ncclAllReduce. Ranges of ranks are whole cache lines and need not be equal, so that gathers are grouped
// broadcasts.
#include "parallel/comm/nccl.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/error.h"
#include "parallel/comm/nccl_library.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

NcclType type_of(const float*) { return nccl_f32; }
NcclType type_of(const double*) { return nccl_f64; }

// Up to this size every rank adds everything itself.
constexpr size_t redundant_bytes = size_t{64} << 10;

class NcclPlane final : public DataPlane {
public:
    NcclPlane(Communicator& ranks, Device& device);
    ~NcclPlane() override;

    void all_reduce_sum(float* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_sum(double* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        sum_in_tree(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        sum_in_tree(data, count, stride, tree);
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override;
    void all_gather(float* data, size_t count) override { gather_ranges(data, count, "all_gather"); }
    void broadcast(void* data, size_t bytes, int root) override {
        call("broadcast", bytes, [&] { return nccl_.ncclBroadcast(data, data, bytes, nccl_u8, root, comm_, order()); });
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override;
    bool moves_by_this_core() const override { return false; }

private:
    struct Pending {
        DeviceEvent done;
        const char* operation;
        uint64_t bytes;
        Clock::time_point since;
    };
    void* order() { return device_.native_order(); }
    void connect();
    [[noreturn]] void give_up(const std::string& what);
    std::string failure(int result, const char* operation, uint64_t bytes) const;
    std::string too_late(const char* operation, uint64_t bytes) const;
    void settle(int result, const char* operation, uint64_t bytes);
    template <class F>
    void call(const char* operation, uint64_t bytes, F&& submit);
    template <class F>
    void grouped(const char* operation, uint64_t bytes, F&& submit);
    void look();
    std::optional<Pending> oldest_pending();
    template <class T>
    T* buffer(size_t count);
    template <class T>
    void add(const T* addends, size_t stride, size_t count, const SumTree& tree, T* total);
    template <class T>
    void sum(T* data, size_t count, Reduction how);
    template <class T>
    void sum_in_tree(T* data, size_t count, size_t stride, const SumTree& tree);
    template <class T>
    void sum_redundantly(T* data, size_t count, size_t stride, const SumTree& tree);
    template <class T>
    void sum_own_range(T* data, size_t count, size_t stride, const SumTree& tree);
    template <class T>
    void gather_ranges(T* data, size_t count, const char* operation);

    const Nccl& nccl_;
    Communicator& ranks_;
    Device& device_;
    const int rank_, size_;
    const SumTree over_ranks_;
    NcclComm comm_ = nullptr;
    AlignedBuffer buffer_;         // of what is received; grows with the largest call, which the first step makes
    std::mutex mutex_;             // over what follows: any thread that waits for the device looks
    std::deque<Pending> pending_;  // in the order of the device
};

NcclPlane::NcclPlane(Communicator& ranks, Device& device)
    : nccl_(*nccl_library()),
      ranks_(ranks),
      device_(device),
      rank_(ranks.rank()),
      size_(ranks.size()),
      over_ranks_(sum_tree(size_, size_)) {
    connect();
    device_.look_while_waiting(this, [this] { look(); });
}

NcclPlane::~NcclPlane() {
    device_.look_while_waiting(this, nullptr);
    if (!comm_) return;
    if (std::uncaught_exceptions() > 0) {  // the peers do not come to an orderly end
        nccl_.ncclCommAbort(comm_);
        return;
    }
    int state = nccl_.ncclCommFinalize(comm_);
    while (state == nccl_in_progress && nccl_.ncclCommGetAsyncError(comm_, &state) == nccl_success)
        std::this_thread::yield();
    nccl_.ncclCommDestroy(comm_);
}

void NcclPlane::connect() {
    device_.wait();  // makes the device this thread's
    NcclId id{};
    if (rank_ == 0) settle(nccl_.ncclGetUniqueId(&id), "connecting", 0);
    std::vector<std::byte> mine(rank_ == 0 ? sizeof id : 0);
    if (rank_ == 0) std::memcpy(mine.data(), &id, sizeof id);
    const std::vector<std::byte> all = ranks_.all_gather_bytes(mine);
    std::memcpy(&id, all.data(), sizeof id);
    NcclConfig config;
    settle(nccl_.ncclCommInitRankConfig(&comm_, size_, id, rank_, &config), "connecting", 0);
}

void NcclPlane::give_up(const std::string& what) {
    const char* const more = comm_ ? nccl_.ncclGetLastError(comm_) : nullptr;
    const std::string text = more && *more ? what + ": " + more : what;
    if (comm_) nccl_.ncclCommAbort(comm_);
    comm_ = nullptr;
    throw Error(text, "NCCL, rank " + std::to_string(ranks_.known_as()), "NCCL_DEBUG=INFO says more");
}

// "unhandled CUDA error, in all_reduce of 4 MiB at step 17"
std::string NcclPlane::failure(int result, const char* operation, uint64_t bytes) const {
    const uint32_t step = ranks_.wait_limit()->step;
    return std::string(nccl_.ncclGetErrorString(result)) + ", in " + operation + " of " + size_text(bytes) +
           (step > 0 ? " at step " + std::to_string(step) : " before the first step");
}

std::string NcclPlane::too_late(const char* operation, uint64_t bytes) const {
    return waited_text(*ranks_.wait_limit(), ranks_.known_as(), -1, operation, bytes);
}

// A call that is in progress has to come to its end before the next one.
void NcclPlane::settle(int result, const char* operation, uint64_t bytes) {
    const auto start = Clock::now();
    const double limit = ranks_.wait_limit()->seconds;
    while (result == nccl_in_progress && comm_) {
        if (nccl_.ncclCommGetAsyncError(comm_, &result) != nccl_success) break;
        if (limit > 0 && std::chrono::duration<double>(Clock::now() - start).count() > limit)
            give_up(too_late(operation, bytes));
        std::this_thread::yield();
    }
    if (result != nccl_success) give_up(failure(result, operation, bytes));
}

template <class F>
void NcclPlane::call(const char* operation, uint64_t bytes, F&& submit) {
    if (!comm_) throw Error("the ranks are no longer connected", "NCCL, rank " + std::to_string(ranks_.known_as()));
    settle(submit(), operation, bytes);
    const std::lock_guard lock(mutex_);
    pending_.push_back({device_.record(), operation, bytes, Clock::now()});
    while (pending_.size() > 1 && device_.is_done(pending_.front().done)) pending_.pop_front();
}

template <class F>
void NcclPlane::grouped(const char* operation, uint64_t bytes, F&& submit) {
    call(operation, bytes, [&] {
        int result = nccl_.ncclGroupStart();
        if (result == nccl_success) result = submit();
        const int ended = nccl_.ncclGroupEnd();
        return result == nccl_success || result == nccl_in_progress ? ended : result;
    });
}

// Of a host that waits: whether what is waited for still comes.
void NcclPlane::look() {
    const std::optional<Pending> oldest = oldest_pending();
    if (!oldest || !comm_) return;
    int state = nccl_success;
    nccl_.ncclCommGetAsyncError(comm_, &state);
    if (state != nccl_success && state != nccl_in_progress) give_up(failure(state, oldest->operation, oldest->bytes));
    const double limit = ranks_.wait_limit()->seconds;
    if (limit > 0 && std::chrono::duration<double>(Clock::now() - oldest->since).count() > limit)
        give_up(too_late(oldest->operation, oldest->bytes));
}

// With the moment since when it has been the oldest.
std::optional<NcclPlane::Pending> NcclPlane::oldest_pending() {
    const std::lock_guard lock(mutex_);
    while (!pending_.empty() && device_.is_done(pending_.front().done)) {
        pending_.pop_front();
        if (!pending_.empty()) pending_.front().since = Clock::now();
    }
    if (pending_.empty()) return std::nullopt;
    return pending_.front();
}

template <class T>
T* NcclPlane::buffer(size_t count) {
    if (buffer_.bytes() < count * sizeof(T)) {
        device_.wait();  // for who still uses the old one
        buffer_ = device_.allocate(count * sizeof(T));
    }
    return buffer_.as<T>();
}

// Adds all ranks' addends, each `stride` elements after the one before.
template <class T>
void NcclPlane::add(const T* addends, size_t stride, size_t count, const SumTree& tree, T* total) {
    std::vector<const T*> from;
    for (size_t a = 0; a < tree.merges.size(); ++a) from.push_back(addends + a * stride);
    device_.sum(Addends<T>{from.data(), static_cast<int>(from.size()), tree.merges.data()}, total, count);
}

template <class T>
void NcclPlane::sum(T* data, size_t count, Reduction how) {
    if (how == Reduction::invariant) return sum_in_tree(data, count, count, over_ranks_);
    call("all_reduce", count * sizeof(T),
         [&] { return nccl_.ncclAllReduce(data, data, count, type_of(data), nccl_sum, comm_, order()); });
}

template <class T>
void NcclPlane::sum_in_tree(T* data, size_t count, size_t stride, const SumTree& tree) {
    if (count * sizeof(T) <= redundant_bytes) return sum_redundantly(data, count, stride, tree);
    sum_own_range(data, count, stride, tree);
    gather_ranges(data, count, "all_reduce");
}

// Every rank broadcasts its addends, and every rank adds all of them.
template <class T>
void NcclPlane::sum_redundantly(T* data, size_t count, size_t stride, const SumTree& tree) {
    T* const all = buffer<T>(tree.merges.size() * count);
    grouped("all_reduce", count * sizeof(T), [&] {
        int result = nccl_success;
        size_t at = 0;
        for (int rank = 0; rank < size_; ++rank)
            for (int a = 0; a < tree.addends[static_cast<size_t>(rank)]; ++a, at += count)
                if (result == nccl_success || result == nccl_in_progress)
                    result = nccl_.ncclBroadcast(data + static_cast<size_t>(a) * (rank == rank_ ? stride : 0), all + at,
                                                 count, type_of(data), rank, comm_, order());
        return result;
    });
    add(all, count, count, tree, data);
}

// Afterwards this rank's range of the first addend holds the sum over all ranks.
template <class T>
void NcclPlane::sum_own_range(T* data, size_t count, size_t stride, const SumTree& tree) {
    const RankRange own = range_of_rank(count, rank_, size_);
    const size_t width = own.end - own.begin;
    T* const all = buffer<T>(std::max<size_t>(1, tree.merges.size() * width));
    grouped("all_reduce", count * sizeof(T), [&] {
        int result = nccl_success;
        const auto go_on = [&] { return result == nccl_success || result == nccl_in_progress; };
        for (int peer = 0; peer < size_; ++peer) {
            const RankRange theirs = range_of_rank(count, peer, size_);
            for (int a = 0; a < tree.addends[static_cast<size_t>(rank_)] && go_on() && theirs.end > theirs.begin; ++a)
                result = nccl_.ncclSend(data + static_cast<size_t>(a) * stride + theirs.begin, theirs.end - theirs.begin,
                                        type_of(data), peer, comm_, order());
        }
        size_t at = 0;
        for (int peer = 0; peer < size_; ++peer)
            for (int a = 0; a < tree.addends[static_cast<size_t>(peer)] && go_on() && width > 0; ++a, at += width)
                result = nccl_.ncclRecv(all + at, width, type_of(data), peer, comm_, order());
        return result;
    });
    if (width > 0) add(all, width, width, tree, data + own.begin);
}

void NcclPlane::reduce_scatter_sum(float* data, size_t count, Reduction how) {
    if (how == Reduction::invariant) return sum_own_range(data, count, count, over_ranks_);
    grouped("reduce_scatter", count * sizeof(float), [&] {
        int result = nccl_success;
        for (int root = 0; root < size_ && (result == nccl_success || result == nccl_in_progress); ++root) {
            const RankRange range = range_of_rank(count, root, size_);
            if (range.end > range.begin)
                result = nccl_.ncclReduce(data + range.begin, data + range.begin, range.end - range.begin, nccl_f32,
                                          nccl_sum, root, comm_, order());
        }
        return result;
    });
}

template <class T>
void NcclPlane::gather_ranges(T* data, size_t count, const char* operation) {
    grouped(operation, count * sizeof(T), [&] {
        int result = nccl_success;
        for (int root = 0; root < size_ && (result == nccl_success || result == nccl_in_progress); ++root) {
            const RankRange range = range_of_rank(count, root, size_);
            if (range.end > range.begin)
                result = nccl_.ncclBroadcast(data + range.begin, data + range.begin, range.end - range.begin, type_of(data),
                                             root, comm_, order());
        }
        return result;
    });
}

void NcclPlane::shift(const void* send, void* receive, size_t bytes, int distance) {
    grouped("shift", bytes, [&] {
        const int result = nccl_.ncclSend(send, bytes, nccl_u8, (rank_ + distance) % size_, comm_, order());
        if (result != nccl_success && result != nccl_in_progress) return result;
        return nccl_.ncclRecv(receive, bytes, nccl_u8, (rank_ - distance + size_) % size_, comm_, order());
    });
}

}  // namespace

std::unique_ptr<DataPlane> make_nccl_plane(Communicator& ranks, Device& device) {
    return std::make_unique<NcclPlane>(ranks, device);
}

}  // namespace xbench
