// Collectives in shared memory.
#include "parallel/comm/comm_shm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/hardware.h"
#include "kernels/rank_sum/rank_sum.h"

namespace xbench {
namespace {

// What goes through the staging area at a time: two such buffers a rank fit into its L2 cache.
constexpr size_t piece_bytes = size_t{256} << 10;
// Up to this size every rank sums everything: one meeting in place of two.
constexpr size_t redundant_bytes = size_t{16} << 10;

size_t most_addends(const SumTree& tree) { return static_cast<size_t>(tree.most_addends()); }

// Memory that every rank has one copy of, all of them mapped here.
struct Region {
    std::vector<SharedMemory> copies;  // by rank
    char* base = nullptr;              // this rank's
    size_t bytes = 0;
    bool holds(const void* data, size_t size) const {
        const char* at = static_cast<const char*>(data);
        return at >= base && at + size <= base + bytes;
    }
};

// What allocate() has handed out and is still in use; the channels of a rank share it.
class Regions {
public:
    void add(const std::shared_ptr<Region>& region) {
        const std::lock_guard lock(mutex_);
        std::erase_if(regions_, [](const auto& old) { return old.expired(); });
        regions_.push_back(region);
    }
    // The one that holds `data`, or null.
    std::shared_ptr<Region> find(const void* data, size_t bytes) {
        const std::lock_guard lock(mutex_);
        for (const auto& candidate : regions_)
            if (auto region = candidate.lock(); region && region->holds(data, bytes)) return region;
        return nullptr;
    }

private:
    std::mutex mutex_;
    std::vector<std::weak_ptr<Region>> regions_;
};

class ShmCommunicator final : public NodeCommunicator {
public:
    ShmCommunicator(const MeetingOptions& options, std::shared_ptr<Communicator> starter,
                    std::shared_ptr<Regions> regions = std::make_shared<Regions>())
        : NodeCommunicator(options.limit),
          starter_(std::move(starter)),
          regions_(std::move(regions)),
          isa_(usable_isa()),
          meeting_(options),
          over_ranks_(sum_tree(options.ranks, options.ranks)),
          pointers_(static_cast<size_t>(options.ranks)) {
        staging_ = share(2 * piece_bytes);
    }

    int rank() const override { return meeting_.rank(); }
    int size() const override { return meeting_.ranks(); }
    int known_as() const override { return meeting_.options().known_as; }
    const char* name() const override { return "shm"; }
    std::unique_ptr<Communicator> split(int group) override;
    void all_reduce_sum(float* data, size_t count, Reduction) override { sum(data, count, 0, over_ranks_); }
    void all_reduce_sum(double* data, size_t count, Reduction) override { sum(data, count, 0, over_ranks_); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        sum(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        sum(data, count, stride, tree);
    }
    void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) override;
    void end_sum() override;
    void reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree, float* total) override {
        reduce_to_first(data, count, stride, tree, total);
    }
    void reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree, double* total) override {
        reduce_to_first(data, count, stride, tree, total);
    }
    void gather_ranges(float* data, size_t count, const std::vector<RankRange>& ranges) override;
    void all_reduce_max(double* data, size_t count) override;
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override;
    void all_gather(float* data, size_t count) override;
    void shift(const void* send, void* receive, size_t bytes, int distance) override;
    void broadcast(void* data, size_t bytes, int root) override;
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override;
    void barrier() override { meeting_.meet({MeetingCall::barrier, 0, 0, 0}); }
    AlignedBuffer allocate(size_t bytes) override;
    bool shares_memory() const override { return true; }
    AlignedBuffer allocate_common(size_t bytes) override;
    std::vector<void*> copies(const void* data) const override;
    void meet_at_copies(const void* data, size_t bytes) override;
    bool has_channels() const override { return true; }
    std::unique_ptr<Communicator> channel() override { return node_channel(); }
    std::unique_ptr<NodeCommunicator> node_channel() override;
    void abort(int code) override {
        meeting_.fail(code);
        if (starter_) starter_->abort(code);
        std::_Exit(code);
    }

private:
    SharedMemory create_together(const std::string& name, size_t bytes, bool this_rank);
    std::shared_ptr<Region> share(size_t bytes);

    // The shared buffer that holds `data`, or null.
    std::shared_ptr<Region> region_of(const void* data, size_t bytes) const { return regions_->find(data, bytes); }
    // The same where there must be one.
    std::shared_ptr<Region> shared(const void* data, size_t bytes) const {
        if (auto region = region_of(data, bytes)) return region;
        throw Error("memory that allocate() has not given is not shared", "shared memory " + meeting_.name());
    }

    // Every rank's copy of data {...} in a shared buffer.
    template <class T>
    std::span<T* const> copies_of(const Region& region, const T* data) {
        const size_t offset = static_cast<size_t>(reinterpret_cast<const char*>(data) - region.base);
        for (size_t r = 0; r < pointers_.size(); ++r) pointers_[r] = region.copies[r].as<char>() + offset;
        return {reinterpret_cast<T* const*>(pointers_.data()), pointers_.size()};
    }
    // The staging buffers of all ranks for one piece. They alternate: after the meeting of the next piece nobody reads this
    // one any more, so the one after that may overwrite it without a meeting of its own.
    template <class T>
    std::span<T* const> next_stage() {
        turn_ ^= 1;
        return copies_of(*staging_, reinterpret_cast<T*>(staging_->base + turn_ * piece_bytes));
    }
    template <class F>
    static void in_pieces(size_t count, size_t most, F&& piece) {
        for (size_t begin = 0; begin < count; begin += most) piece(begin, std::min(most, count - begin));
    }
    // Adds all ranks' addends, of which the first of each rank is copies[rank] and the others lie `stride` behind.
    template <class T>
    void add_all(std::span<T* const> copies, size_t stride, const SumTree& tree, std::span<T* const> to, RankRange range) {
        addends_.clear();
        for (size_t r = 0; r < copies.size(); ++r)
            for (int a = 0; a < tree.addends[r]; ++a) addends_.push_back(copies[r] + static_cast<size_t>(a) * stride);
        const auto* from = reinterpret_cast<const T* const*>(addends_.data());
        sum_over_ranks(isa_, {from, static_cast<int>(addends_.size()), tree.merges.data()}, to.data(),
                       static_cast<int>(to.size()), range.begin, range.end);
    }
    template <class T>
    void sum(T* data, size_t count, size_t stride, const SumTree& tree);
    template <class T>
    void sum_staged(T* data, size_t count, size_t stride, const SumTree& tree);
    template <class T>
    void reduce_to_first(T* data, size_t count, size_t stride, const SumTree& tree, T* total);
    // Copies this rank's addends of elements [begin, begin + part) into its stage, `room` elements apart.
    template <class T>
    std::span<T* const> stage_addends(const T* data, size_t part, size_t stride, const SumTree& tree, size_t room) {
        const auto stage = next_stage<T>();
        const auto me = static_cast<size_t>(rank());
        for (size_t a = 0; a < static_cast<size_t>(tree.addends[me]); ++a)
            std::memcpy(stage[me] + a * room, data + a * stride, part * sizeof(T));
        return stage;
    }

    // What begin_sum has begun: its addends lie in the stages, `count` elements apart.
    struct BegunSum {
        double* data;
        size_t count;
        const SumTree* tree;
        std::span<double* const> stage;
    };

    const std::shared_ptr<Communicator> starter_;  // or null
    const std::shared_ptr<Regions> regions_;
    const Isa isa_;
    Meeting meeting_;
    const SumTree over_ranks_;  // one addend a rank
    std::shared_ptr<Region> staging_;
    std::vector<char*> pointers_;       // of copies_of, one a rank
    std::vector<const void*> addends_;  // of add_all; kept, as nothing allocates inside a step
    std::vector<RankRange> ranges_;     // of all_gather
    std::optional<BegunSum> begun_;
    size_t turn_ = 0;
    int allocations_ = 0, channels_ = 0, splits_ = 0;
};

// Returns when all ranks have made what they should make. Where one could not, all throw, and nobody's object stays behind.
SharedMemory ShmCommunicator::create_together(const std::string& name, size_t bytes, bool this_rank) {
    SharedMemory made;
    std::optional<Error> failure;
    try {
        if (this_rank) made = SharedMemory::create(name, bytes);
    } catch (const Error& error) {
        failure = error;
    }
    const bool all = meeting_.all_well(!failure, {MeetingCall::allocate, 1, bytes, 0});
    if (all) return made;
    if (made.data() != nullptr) SharedMemory::remove(name);
    meeting_.meet({MeetingCall::allocate, 0, bytes, 0});  // all have removed theirs: now the job may end
    if (failure) throw *failure;
    throw PeerFailure("another rank has no shared memory left", fmt::format("rank {}", known_as()));
}

std::shared_ptr<Region> ShmCommunicator::share(size_t bytes) {
    const auto object = [&](int r) { return fmt::format("{}-{}-{}", meeting_.name(), allocations_, r); };
    const Purpose purpose{MeetingCall::allocate, 0, bytes, 0};
    auto region = std::make_shared<Region>();
    region->bytes = std::max<size_t>(bytes, 64);
    SharedMemory mine;
    try {
        mine = create_together(object(rank()), region->bytes, true);
        for (int r = 0; r < size(); ++r)
            region->copies.push_back(r == rank() ? std::move(mine) : SharedMemory::open(object(r), region->bytes));
        meeting_.meet(purpose);
    } catch (...) {
        SharedMemory::remove(object(rank()));
        throw;
    }
    SharedMemory::remove(object(rank()));
    region->base = region->copies[static_cast<size_t>(rank())].as<char>();
    ++allocations_;
    return region;
}

AlignedBuffer ShmCommunicator::allocate(size_t bytes) {
    const std::shared_ptr<Region> region = share(bytes);
    regions_->add(region);
    return AlignedBuffer(std::shared_ptr<void>(region, region->base), region->bytes);
}

AlignedBuffer ShmCommunicator::allocate_common(size_t bytes) {
    const std::string object = fmt::format("{}-{}-common", meeting_.name(), allocations_++);
    const Purpose purpose{MeetingCall::allocate, 0, bytes, 0};
    SharedMemory memory;
    try {
        memory = create_together(object, std::max<size_t>(bytes, 64), rank() == 0);
        if (rank() != 0) memory = SharedMemory::open(object, std::max<size_t>(bytes, 64));
        meeting_.meet(purpose);
    } catch (...) {
        if (rank() == 0) SharedMemory::remove(object);
        throw;
    }
    if (rank() == 0) SharedMemory::remove(object);
    const auto owner = std::make_shared<SharedMemory>(std::move(memory));
    return AlignedBuffer(std::shared_ptr<void>(owner, owner->data()), owner->bytes());
}

std::vector<void*> ShmCommunicator::copies(const void* data) const {
    const auto region = shared(data, 0);
    std::vector<void*> seen;
    for (const SharedMemory& copy : region->copies)
        seen.push_back(copy.as<char>() + (static_cast<const char*>(data) - region->base));
    return seen;
}

void ShmCommunicator::meet_at_copies(const void* data, size_t bytes) {
    const auto offset = static_cast<const char*>(data) - shared(data, bytes)->base;
    meeting_.meet({MeetingCall::update, 0, bytes, static_cast<uint64_t>(offset)});
}

std::unique_ptr<NodeCommunicator> ShmCommunicator::node_channel() {
    MeetingOptions options = meeting_.options();
    options.name += fmt::format("-channel{}", channels_++);
    options.own_cores = false;
    options.beside_computing = true;
    return std::make_unique<ShmCommunicator>(options, starter_, regions_);
}

template <class T>
void ShmCommunicator::sum(T* data, size_t count, size_t stride, const SumTree& tree) {
    const auto region = region_of(data, ((most_addends(tree) - 1) * stride + count) * sizeof(T));
    if (!region || count * sizeof(T) <= redundant_bytes) return sum_staged(data, count, stride, tree);
    const auto offset = static_cast<uint64_t>(reinterpret_cast<char*>(data) - region->base);
    const Purpose purpose{MeetingCall::all_reduce, 0, count * sizeof(T), offset};
    const auto copies = copies_of(*region, data);
    meeting_.meet(purpose);
    add_all<T>(copies, stride, tree, copies, range_of_rank(count, rank(), size()));
    meeting_.meet(purpose);
}

// A sum that every rank adds up by itself, in one meeting; larger ones are done at once.
void ShmCommunicator::begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) {
    const SumTree& added = how == Reduction::invariant ? tree : over_ranks_;
    if (count * sizeof(double) > redundant_bytes) return sum(data, count, stride, added);
    begun_ = BegunSum{data, count, &added, stage_addends(data, count, stride, added, count)};
    meeting_.arrive({MeetingCall::all_reduce, 1, count * sizeof(double), 0});
}

void ShmCommunicator::end_sum() {
    if (!begun_) return;
    meeting_.wait_for_others();
    add_all<double>(begun_->stage, begun_->count, *begun_->tree, {&begun_->data, 1}, {0, begun_->count});
    begun_.reset();
}

template <class T>
void ShmCommunicator::sum_staged(T* data, size_t count, size_t stride, const SumTree& tree) {
    const size_t room = piece_bytes / sizeof(T) / most_addends(tree);
    const Purpose purpose{MeetingCall::all_reduce, 1, count * sizeof(T), 0};
    in_pieces(count, room, [&](size_t begin, size_t part) {
        T* const mine = data + begin;
        const auto stage = stage_addends<T>(mine, part, stride, tree, room);
        meeting_.meet(purpose);
        if (part * sizeof(T) <= redundant_bytes) {
            add_all<T>(stage, room, tree, {&mine, 1}, {0, part});
            return;
        }
        add_all<T>(stage, room, tree, stage, range_of_rank(part, rank(), size()));
        meeting_.meet(purpose);
        std::memcpy(mine, stage[static_cast<size_t>(rank())], part * sizeof(T));
    });
}

template <class T>
void ShmCommunicator::reduce_to_first(T* data, size_t count, size_t stride, const SumTree& tree, T* total) {
    const auto region = region_of(data, ((most_addends(tree) - 1) * stride + count) * sizeof(T));
    if (region && total == data && count * sizeof(T) > redundant_bytes) {
        const auto offset = static_cast<uint64_t>(reinterpret_cast<char*>(data) - region->base);
        const Purpose purpose{MeetingCall::reduce, 0, count * sizeof(T), offset};
        const auto copies = copies_of(*region, data);
        meeting_.meet(purpose);
        add_all<T>(copies, stride, tree, copies.first(1), range_of_rank(count, rank(), size()));
        meeting_.meet(purpose);
        return;
    }
    const size_t room = piece_bytes / sizeof(T) / most_addends(tree);
    const Purpose purpose{MeetingCall::reduce, 1, count * sizeof(T), 0};
    in_pieces(count, room, [&](size_t begin, size_t part) {
        const auto stage = stage_addends<T>(data + begin, part, stride, tree, room);
        meeting_.meet(purpose);
        T* const here = total + begin;
        if (rank() == 0) add_all<T>(stage, room, tree, {&here, 1}, {0, part});
    });
}

void ShmCommunicator::all_reduce_max(double* data, size_t count) {
    const Purpose purpose{MeetingCall::all_reduce_max, 1, count * sizeof(double), 0};
    in_pieces(count, piece_bytes / sizeof(double), [&](size_t begin, size_t part) {
        const auto stage = next_stage<double>();
        std::memcpy(stage[static_cast<size_t>(rank())], data + begin, part * sizeof(double));
        meeting_.meet(purpose);
        for (size_t i = 0; i < part; ++i)
            for (const double* copy : stage) data[begin + i] = std::max(data[begin + i], copy[i]);
    });
}

void ShmCommunicator::reduce_scatter_sum(float* data, size_t count, Reduction) {
    const auto region = region_of(data, count * sizeof(float));
    if (!region) return sum_staged(data, count, 0, over_ranks_);  // more than asked for: the staging bounds it
    const auto offset = static_cast<uint64_t>(reinterpret_cast<char*>(data) - region->base);
    const Purpose purpose{MeetingCall::reduce_scatter, 0, count * sizeof(float), offset};
    const auto copies = copies_of(*region, data);
    meeting_.meet(purpose);
    add_all<float>(copies, 0, over_ranks_, {&data, 1}, range_of_rank(count, rank(), size()));
    meeting_.meet(purpose);  // before anybody changes what the others read
}

void ShmCommunicator::all_gather(float* data, size_t count) {
    ranges_.clear();
    for (int r = 0; r < size(); ++r) ranges_.push_back(range_of_rank(count, r, size()));
    gather_ranges(data, count, ranges_);
}

void ShmCommunicator::gather_ranges(float* data, size_t count, const std::vector<RankRange>& ranges) {
    const auto me = static_cast<size_t>(rank());
    const auto copy = [&](size_t r, const float* from, size_t first, RankRange range) {
        if (r != me && range.end > range.begin)
            std::memcpy(data + range.begin, from + (range.begin - first), (range.end - range.begin) * sizeof(float));
    };
    if (const auto region = region_of(data, count * sizeof(float))) {
        const auto offset = static_cast<uint64_t>(reinterpret_cast<char*>(data) - region->base);
        const Purpose purpose{MeetingCall::all_gather, 0, count * sizeof(float), offset};
        const auto copies = copies_of(*region, data);
        meeting_.meet(purpose);
        for (size_t r = 0; r < ranges.size(); ++r) copy(r, copies[r], 0, ranges[r]);
        meeting_.meet(purpose);
        return;
    }
    const Purpose purpose{MeetingCall::all_gather, 1, count * sizeof(float), 0};
    size_t longest = 0;
    for (const RankRange& range : ranges) longest = std::max(longest, range.end - range.begin);
    in_pieces(longest, piece_bytes / sizeof(float), [&](size_t begin, size_t part) {
        const auto piece = [&](const RankRange& range) {
            return RankRange{std::min(range.begin + begin, range.end), std::min(range.begin + begin + part, range.end)};
        };
        const auto stage = next_stage<float>();
        const RankRange now = piece(ranges[me]);
        std::memcpy(stage[me], data + now.begin, (now.end - now.begin) * sizeof(float));
        meeting_.meet(purpose);
        for (size_t r = 0; r < ranges.size(); ++r) {
            const RankRange theirs = piece(ranges[r]);
            copy(r, stage[r], theirs.begin, theirs);
        }
    });
}

void ShmCommunicator::shift(const void* send, void* receive, size_t bytes, int distance) {
    const auto source = static_cast<size_t>((rank() - distance + size()) % size());
    const Purpose purpose{MeetingCall::shift, 1, bytes, static_cast<uint64_t>(distance)};
    in_pieces(bytes, piece_bytes, [&](size_t begin, size_t part) {
        const auto stage = next_stage<char>();
        std::memcpy(stage[static_cast<size_t>(rank())], static_cast<const char*>(send) + begin, part);
        meeting_.meet(purpose);
        std::memcpy(static_cast<char*>(receive) + begin, stage[source], part);
    });
}

void ShmCommunicator::broadcast(void* data, size_t bytes, int root) {
    if (const auto region = bytes > redundant_bytes ? region_of(data, bytes) : nullptr) {
        const auto offset = static_cast<uint64_t>(static_cast<char*>(data) - region->base);
        const Purpose purpose{MeetingCall::broadcast, 0, bytes, offset};
        meeting_.meet(purpose);
        if (rank() != root) std::memcpy(data, region->copies[static_cast<size_t>(root)].as<char>() + offset, bytes);
        meeting_.meet(purpose);  // before the root changes it
        return;
    }
    const Purpose purpose{MeetingCall::broadcast, 1, bytes, static_cast<uint64_t>(root)};
    in_pieces(bytes, piece_bytes, [&](size_t begin, size_t part) {
        const auto stage = next_stage<char>();
        char* const here = static_cast<char*>(data) + begin;
        if (rank() == root) std::memcpy(stage[static_cast<size_t>(root)], here, part);
        meeting_.meet(purpose);
        if (rank() != root) std::memcpy(here, stage[static_cast<size_t>(root)], part);
    });
}

std::vector<std::byte> ShmCommunicator::all_gather_bytes(const std::vector<std::byte>& mine) {
    std::vector<double> sizes(static_cast<size_t>(size()), 0.0);
    sizes[static_cast<size_t>(rank())] = static_cast<double>(mine.size());
    all_reduce_max(sizes.data(), sizes.size());
    std::vector<size_t> starts{0};
    for (const double bytes : sizes) starts.push_back(starts.back() + static_cast<size_t>(bytes));
    std::vector<std::byte> all(starts.back());
    const auto longest = static_cast<size_t>(*std::max_element(sizes.begin(), sizes.end()));
    const auto part_of = [&](size_t r, size_t begin, size_t most) {
        const size_t bytes = starts[r + 1] - starts[r];
        return begin >= bytes ? size_t{0} : std::min(most, bytes - begin);
    };
    in_pieces(longest, piece_bytes, [&](size_t begin, size_t most) {
        const auto stage = next_stage<std::byte>();
        const auto me = static_cast<size_t>(rank());
        if (const size_t part = part_of(me, begin, most)) std::memcpy(stage[me], mine.data() + begin, part);
        meeting_.meet({MeetingCall::gather_bytes, 1, longest, 0});
        for (size_t r = 0; r < stage.size(); ++r)
            if (const size_t part = part_of(r, begin, most)) std::memcpy(all.data() + starts[r] + begin, stage[r], part);
    });
    return all;
}

std::unique_ptr<Communicator> ShmCommunicator::split(int group) {
    std::vector<double> groups(static_cast<size_t>(size()), std::numeric_limits<double>::lowest());
    groups[static_cast<size_t>(rank())] = group;
    all_reduce_max(groups.data(), groups.size());
    MeetingOptions options = meeting_.options();
    options.rank = static_cast<int>(std::count(groups.begin(), groups.begin() + rank(), group));
    options.ranks = static_cast<int>(std::count(groups.begin(), groups.end(), group));
    const auto first = std::find(groups.begin(), groups.end(), group) - groups.begin();
    options.name = fmt::format("{}-s{}-{}", meeting_.name(), splits_++, first);
    // Not its owner: a part must not outlive the whole.
    return std::make_unique<ShmCommunicator>(options, std::shared_ptr<Communicator>(std::shared_ptr<void>(), this));
}

}  // namespace

size_t shm_bytes_to_connect() { return 2 * piece_bytes + (size_t{64} << 10); }  // staging, and room for the meeting

std::unique_ptr<NodeCommunicator> make_shm_communicator(const MeetingOptions& options) {
    return std::make_unique<ShmCommunicator>(options, nullptr);
}

std::unique_ptr<NodeCommunicator> make_shm_communicator(std::shared_ptr<Communicator> starter, bool own_cores,
                                                        double patience_seconds) {
    static std::atomic<int> made{0};
    char name[64] = {};
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    if (starter->rank() == 0) fmt::format_to_n(name, sizeof name - 1, "/xbench-{}-{}-{:x}", getpid(), made++, now);
    starter->broadcast(name, sizeof name, 0);
    MeetingOptions options;
    options.name = name;
    options.rank = starter->rank();
    options.ranks = starter->size();
    options.known_as = starter->known_as();
    options.own_cores = own_cores;
    options.limit = starter->wait_limit();
    options.patience_seconds = patience_seconds;
    return std::make_unique<ShmCommunicator>(options, std::move(starter));
}

}  // namespace xbench
