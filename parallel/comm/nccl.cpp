// The collectives of a DataPlane made of NCCL's calls.
//
// The invariant sum: each rank receives all ranks' addends of its own range (grouped sends and receives), adds them in the
// fixed tree on the device (Device::sum), and the sums are gathered. Small sums are gathered whole and added by every rank.
// The fast sum is ncclAllReduce. Ranges of ranks are whole cache lines and need not be equal, so that gathers are grouped
// broadcasts.
#include "parallel/comm/nccl.h"

#include <algorithm>
#include <vector>

#include "parallel/comm/nccl_link.h"

namespace xbench {
namespace {

NcclType type_of(const float*) { return nccl_f32; }
NcclType type_of(const double*) { return nccl_f64; }

// Up to this size every rank adds everything itself.
constexpr size_t redundant_bytes = size_t{64} << 10;

class NcclPlane final : public DataPlane {
public:
    NcclPlane(Communicator& ranks, Device& device)
        : link_(ranks, device),
          nccl_(link_.library()),
          device_(device),
          rank_(ranks.rank()),
          size_(ranks.size()),
          over_ranks_(sum_tree(size_, size_)) {}

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
        link_.call("broadcast", bytes,
                   [&] { return nccl_.ncclBroadcast(data, data, bytes, nccl_u8, root, comm(), order()); });
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override;
    bool moves_by_this_core() const override { return false; }
    bool goes_into_order() const override { return true; }
    void abandon() noexcept override { link_.abandon(); }

private:
    NcclComm comm() const { return link_.comm(); }
    void* order() { return device_.native_order(); }
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

    NcclLink link_;
    const Nccl& nccl_;
    Device& device_;
    const int rank_, size_;
    const SumTree over_ranks_;
    AlignedBuffer buffer_;                // of what is received; grows with the largest call, which the first step makes
    std::vector<AlignedBuffer> smaller_;  // earlier ones: a recorded step may hold them
};

template <class T>
T* NcclPlane::buffer(size_t count) {
    if (buffer_.bytes() < count * sizeof(T)) {
        if (buffer_.bytes() > 0) smaller_.push_back(std::move(buffer_));
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
    link_.call("all_reduce", count * sizeof(T),
               [&] { return nccl_.ncclAllReduce(data, data, count, type_of(data), nccl_sum, comm(), order()); });
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
    link_.grouped("all_reduce", count * sizeof(T), [&] {
        int result = nccl_success;
        size_t at = 0;
        for (int rank = 0; rank < size_; ++rank)
            for (int a = 0; a < tree.addends[static_cast<size_t>(rank)]; ++a, at += count)
                if (result == nccl_success || result == nccl_in_progress)
                    result = nccl_.ncclBroadcast(data + static_cast<size_t>(a) * (rank == rank_ ? stride : 0), all + at,
                                                 count, type_of(data), rank, comm(), order());
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
    link_.grouped("all_reduce", count * sizeof(T), [&] {
        int result = nccl_success;
        const auto go_on = [&] { return result == nccl_success || result == nccl_in_progress; };
        for (int peer = 0; peer < size_; ++peer) {
            const RankRange theirs = range_of_rank(count, peer, size_);
            for (int a = 0; a < tree.addends[static_cast<size_t>(rank_)] && go_on() && theirs.end > theirs.begin; ++a)
                result = nccl_.ncclSend(data + static_cast<size_t>(a) * stride + theirs.begin, theirs.end - theirs.begin,
                                        type_of(data), peer, comm(), order());
        }
        size_t at = 0;
        for (int peer = 0; peer < size_; ++peer)
            for (int a = 0; a < tree.addends[static_cast<size_t>(peer)] && go_on() && width > 0; ++a, at += width)
                result = nccl_.ncclRecv(all + at, width, type_of(data), peer, comm(), order());
        return result;
    });
    if (width > 0) add(all, width, width, tree, data + own.begin);
}

void NcclPlane::reduce_scatter_sum(float* data, size_t count, Reduction how) {
    if (how == Reduction::invariant) return sum_own_range(data, count, count, over_ranks_);
    link_.grouped("reduce_scatter", count * sizeof(float), [&] {
        int result = nccl_success;
        for (int root = 0; root < size_ && (result == nccl_success || result == nccl_in_progress); ++root) {
            const RankRange range = range_of_rank(count, root, size_);
            if (range.end > range.begin)
                result = nccl_.ncclReduce(data + range.begin, data + range.begin, range.end - range.begin, nccl_f32,
                                          nccl_sum, root, comm(), order());
        }
        return result;
    });
}

template <class T>
void NcclPlane::gather_ranges(T* data, size_t count, const char* operation) {
    link_.grouped(operation, count * sizeof(T), [&] {
        int result = nccl_success;
        for (int root = 0; root < size_ && (result == nccl_success || result == nccl_in_progress); ++root) {
            const RankRange range = range_of_rank(count, root, size_);
            if (range.end > range.begin)
                result = nccl_.ncclBroadcast(data + range.begin, data + range.begin, range.end - range.begin, type_of(data),
                                             root, comm(), order());
        }
        return result;
    });
}

void NcclPlane::shift(const void* send, void* receive, size_t bytes, int distance) {
    link_.grouped("shift", bytes, [&] {
        const int result = nccl_.ncclSend(send, bytes, nccl_u8, (rank_ + distance) % size_, comm(), order());
        if (result != nccl_success && result != nccl_in_progress) return result;
        return nccl_.ncclRecv(receive, bytes, nccl_u8, (rank_ - distance + size_) % size_, comm(), order());
    });
}

}  // namespace

std::unique_ptr<DataPlane> make_nccl_plane(Communicator& ranks, Device& device) {
    return std::make_unique<NcclPlane>(ranks, device);
}

}  // namespace xbench
