// Collectives over MPI.
//
// The invariant sum, piece by piece: every rank receives all ranks' copies of its own range, adds them in the fixed tree
// over ranks (kernels/rank_sum), and the sums are gathered. Each element crosses the network twice whatever the number of
// ranks. Small sums are gathered whole and added by every rank: one exchange. The fast sum is MPI_Allreduce, in whatever
// order the library likes. Every call is watched (parallel/comm/call_watch.h), as MPI's own waits have no limit.
#include "parallel/comm/comm_mpi.h"

#define OMPI_SKIP_MPICXX 1  // the C++ bindings, long gone from the standard, do not compile without warnings
#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <numeric>
#include <sstream>

#include "core/error.h"
#include "core/hardware.h"
#include "core/launched.h"
#include "kernels/rank_sum/rank_sum.h"
#include "parallel/comm/call_watch.h"

namespace xbench {
namespace {

// What is sent and added at a time: small enough that the received piece is still in the L2 cache when it is added.
constexpr size_t piece_bytes = size_t{256} << 10;
// Up to this size every rank adds everything itself.
constexpr size_t redundant_bytes = size_t{4} << 10;

void check(int code, const char* operation) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error(std::string(text, static_cast<size_t>(length)), std::string("MPI, ") + operation);
}

MPI_Datatype type_of(const float*) { return MPI_FLOAT; }
MPI_Datatype type_of(const double*) { return MPI_DOUBLE; }

int rank_in(MPI_Comm comm) {
    int rank = 0;
    check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    return rank;
}

int size_of(MPI_Comm comm) {
    int size = 0;
    check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    return size;
}

// A communicator for the ranks with the same colour, ordered by key, then by rank.
MPI_Comm split_comm(MPI_Comm comm, int colour, int key) {
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(comm, colour, key, &part), "MPI_Comm_split");
    return part;
}

std::vector<int> gather_numbers(MPI_Comm comm, int mine) {
    std::vector<int> all(static_cast<size_t>(size_of(comm)));
    check(MPI_Allgather(&mine, 1, MPI_INT, all.data(), 1, MPI_INT, comm), "MPI_Allgather");
    return all;
}

// The node of each rank, by the first of its ranks: those that can share memory are on one, or what XBENCH_NODE_OF_RANK says
// ("0,0,1": for tests, as if one machine were several).
std::vector<int> find_nodes() {
    if (const char* pretended = std::getenv("XBENCH_NODE_OF_RANK")) {
        std::vector<int> nodes;
        std::stringstream words(pretended);
        for (std::string word; std::getline(words, word, ',');) nodes.push_back(std::atoi(word.c_str()));
        if (static_cast<int>(nodes.size()) == size_of(MPI_COMM_WORLD)) return nodes;
        throw UsageError(std::string(pretended) + " does not name a node for each rank", "XBENCH_NODE_OF_RANK",
                         "give a number a rank, or unset it");
    }
    MPI_Comm node = MPI_COMM_NULL;
    check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
    int first = rank_in(MPI_COMM_WORLD);
    check(MPI_Bcast(&first, 1, MPI_INT, 0, node), "MPI_Bcast");
    check(MPI_Comm_free(&node), "MPI_Comm_free");
    return gather_numbers(MPI_COMM_WORLD, first);
}

// MPI from its start to its end, and the watch over all calls of this process.
struct MpiSession {
    explicit MpiSession(std::shared_ptr<WaitLimit> limit) : watch(std::move(limit)) {
        const Launched here = launched();
        CallWatch::Line line(watch, here.rank);
        const CallWatch::Call call(line, "connecting",
                                   0);  // a rank that never comes is waited for no longer than for others
        int provided = 0;
        check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
        many_threads = provided == MPI_THREAD_MULTIPLE;
        if (provided < MPI_THREAD_FUNNELED) throw Error("no support for threads beside the main one", "MPI");
        check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        ranks = size_of(MPI_COMM_WORLD);
    }
    // On the way out of a failure the peers do not come to MPI_Finalize: a process that ends without it ends the job.
    ~MpiSession() {
        if (ranks == 1 || std::uncaught_exceptions() == 0) MPI_Finalize();
    }
    MpiSession(const MpiSession&) = delete;
    MpiSession& operator=(const MpiSession&) = delete;
    bool many_threads = false;  // several may call at once
    int ranks = 1;
    CallWatch watch;
};

class MpiCommunicator final : public Communicator {
public:
    // Takes `comm` over. `nodes` of its ranks; messages call this rank by `known_as`.
    MpiCommunicator(std::shared_ptr<MpiSession> session, MPI_Comm comm, std::vector<int> nodes, int known_as)
        : Communicator(session->watch.limit()),
          session_(std::move(session)),
          comm_(comm),
          nodes_(std::move(nodes)),
          rank_(rank_in(comm)),
          size_(size_of(comm)),
          known_as_(known_as),
          line_(session_->watch, known_as) {
        piece_.resize(std::max(piece_bytes, static_cast<size_t>(size_) * redundant_bytes));
        over_ranks_ = sum_tree(size_, size_);
        starts_.resize(static_cast<size_t>(size_));
        counts_.resize(static_cast<size_t>(size_));
    }
    ~MpiCommunicator() override {
        if (comm_ != MPI_COMM_WORLD) MPI_Comm_free(&comm_);
    }

    std::vector<int> nodes() const override { return nodes_; }
    std::unique_ptr<Communicator> split(int group) override;
    bool has_channels() const override { return session_->many_threads; }
    bool moves_by_this_core() const override { return false; }  // as far as it is used between nodes
    std::unique_ptr<Communicator> channel() override { return split(0); }
    int rank() const override { return rank_; }
    int size() const override { return size_; }
    int known_as() const override { return known_as_; }
    const char* name() const override { return "mpi"; }
    void all_reduce_sum(float* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_sum(double* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        sum_in_tree(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        sum_in_tree(data, count, stride, tree);
    }
    void all_reduce_max(double* data, size_t count) override {
        const CallWatch::Call call(line_, "all_reduce_max", count * sizeof(double));
        in_parts(count, [&](size_t begin, int part) {
            check(MPI_Allreduce(MPI_IN_PLACE, data + begin, part, MPI_DOUBLE, MPI_MAX, comm_), "MPI_Allreduce");
        });
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override;
    void all_gather(float* data, size_t count) override;
    void shift(const void* send, void* receive, size_t bytes, int distance) override;
    void broadcast(void* data, size_t bytes, int root) override {
        const CallWatch::Call call(line_, "broadcast", bytes);
        in_parts(bytes, [&](size_t begin, int part) {
            check(MPI_Bcast(static_cast<char*>(data) + begin, part, MPI_BYTE, root, comm_), "MPI_Bcast");
        });
    }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override;
    void barrier() override {
        const CallWatch::Call call(line_, "barrier", 0);
        check(MPI_Barrier(comm_), "MPI_Barrier");
    }
    void abort(int code) override {
        MPI_Abort(MPI_COMM_WORLD, code);
        std::_Exit(code);
    }

private:
    // MPI counts in int.
    template <class F>
    static void in_parts(size_t count, F&& call) {
        constexpr size_t most = INT_MAX;
        for (size_t begin = 0; begin < count; begin += most) call(begin, static_cast<int>(std::min(most, count - begin)));
    }
    template <class T>
    void sum(T* data, size_t count, Reduction how) {
        if (how == Reduction::invariant) {
            sum_in_tree(data, count, 0, over_ranks_);
            return;
        }
        const CallWatch::Call call(line_, "all_reduce", count * sizeof(T));
        in_parts(count, [&](size_t begin, int part) {
            check(MPI_Allreduce(MPI_IN_PLACE, data + begin, part, type_of(data), MPI_SUM, comm_), "MPI_Allreduce");
        });
    }
    template <class T>
    void sum_in_tree(T* data, size_t count, size_t stride, const SumTree& tree) {
        const CallWatch::Call call(line_, "all_reduce", count * sizeof(T));
        const auto addends = static_cast<size_t>(tree.most_addends());
        if (count * sizeof(T) <= redundant_bytes / addends) return sum_redundantly(data, count, stride, tree, addends);
        const size_t most = piece_bytes / sizeof(T) / addends;
        for (size_t begin = 0; begin < count; begin += most) {
            const size_t part = std::min(most, count - begin);
            line_.progress();
            set_ranges([&](int r) { return range_of_rank(part, r, size_); });
            reduce_ranges(data + begin, stride, tree);
            gather_ranges(data + begin);
        }
    }
    // Every rank sends as many addends as any rank has: what is behind its own is not added.
    template <class T>
    void sum_redundantly(T* data, size_t count, size_t stride, const SumTree& tree, size_t addends) {
        const size_t width = count * addends;
        T* const all = reinterpret_cast<T*>(piece_.data());
        T* const mine = all + static_cast<size_t>(rank_) * width;
        for (size_t a = 0; a < static_cast<size_t>(tree.addends[static_cast<size_t>(rank_)]); ++a)
            std::copy_n(data + a * stride, count, mine + a * count);
        check(MPI_Allgather(MPI_IN_PLACE, 0, type_of(data), all, static_cast<int>(width), type_of(data), comm_),
              "MPI_Allgather");
        addends_.clear();
        for (size_t r = 0; r < tree.addends.size(); ++r)
            for (size_t a = 0; a < static_cast<size_t>(tree.addends[r]); ++a)
                addends_.push_back(all + r * width + a * count);
        add_to(data, count, tree);
    }
    // What the next reduce_ranges and gather_ranges are about: range_of(rank), relative to their argument.
    template <class F>
    void set_ranges(F&& range_of) {
        for (int r = 0; r < size_; ++r) {
            const RankRange range = range_of(r);
            starts_[static_cast<size_t>(r)] = static_cast<int>(range.begin);
            counts_[static_cast<size_t>(r)] = static_cast<int>(range.end - range.begin);
        }
    }
    // Receives all ranks' addends of this rank's range and adds them; the other ranges are left as they are.
    template <class T>
    void reduce_ranges(T* data, size_t stride, const SumTree& tree) {
        const auto me = static_cast<size_t>(rank_);
        const auto width = static_cast<size_t>(counts_[me]);
        addends_.resize(tree.merges.size());
        const auto first_of = [&](size_t rank) {
            return std::accumulate(tree.addends.data(), tree.addends.data() + rank, 0);
        };
        for (int a = 0; a < tree.addends[me]; ++a)
            addends_[static_cast<size_t>(first_of(me) + a)] = data + static_cast<size_t>(a) * stride + starts_[me];
        T* received = reinterpret_cast<T*>(piece_.data());
        for (int step = 1; step < size_; ++step) {
            const auto to = static_cast<size_t>((rank_ + step) % size_);
            const auto source = static_cast<size_t>((rank_ - step + size_) % size_);
            for (int a = 0; a < std::max(tree.addends[me], tree.addends[source]); ++a) {
                const bool sends = a < tree.addends[me], receives = a < tree.addends[source];
                check(MPI_Sendrecv(sends ? data + static_cast<size_t>(a) * stride + starts_[to] : nullptr,
                                   sends ? counts_[to] : 0, type_of(data), sends ? static_cast<int>(to) : MPI_PROC_NULL, 0,
                                   receives ? received : nullptr, receives ? counts_[me] : 0, type_of(data),
                                   receives ? static_cast<int>(source) : MPI_PROC_NULL, 0, comm_, MPI_STATUS_IGNORE),
                      "MPI_Sendrecv");
                if (!receives) continue;
                addends_[static_cast<size_t>(first_of(source) + a)] = received;
                received += width;
            }
        }
        add_to(data + starts_[me], width, tree);
    }
    // The sum of addends_ in the order of the tree.
    template <class T>
    void add_to(T* total, size_t count, const SumTree& tree) const {
        const auto* from = reinterpret_cast<const T* const*>(addends_.data());
        sum_over_ranks(isa_, {from, static_cast<int>(addends_.size()), tree.merges.data()}, &total, 1, 0, count);
    }
    template <class T>
    void gather_ranges(T* data) const {
        check(MPI_Allgatherv(MPI_IN_PLACE, 0, type_of(data), data, counts_.data(), starts_.data(), type_of(data), comm_),
              "MPI_Allgatherv");
    }

    const std::shared_ptr<MpiSession> session_;
    MPI_Comm comm_;
    const std::vector<int> nodes_;  // by rank
    const int rank_, size_, known_as_;
    CallWatch::Line line_;
    const Isa isa_ = usable_isa();
    SumTree over_ranks_;                // one addend a rank
    std::vector<std::byte> piece_;      // what the other ranks sent
    std::vector<int> starts_, counts_;  // of set_ranges, by rank
    std::vector<const void*> addends_;  // in the order of the tree; kept, as nothing allocates inside a step
};

void MpiCommunicator::reduce_scatter_sum(float* data, size_t count, Reduction how) {
    const CallWatch::Call call(line_, "reduce_scatter", count * sizeof(float));
    if (how == Reduction::fast && count <= INT_MAX) {
        set_ranges([&](int r) { return range_of_rank(count, r, size_); });
        check(MPI_Reduce_scatter(MPI_IN_PLACE, data, counts_.data(), MPI_FLOAT, MPI_SUM, comm_), "MPI_Reduce_scatter");
        const auto me = static_cast<size_t>(rank_);
        std::memmove(data + starts_[me], data, static_cast<size_t>(counts_[me]) * sizeof(float));
        return;
    }
    // A piece of every range at a time, as all ranks' copies of it lie here at once.
    const size_t most = piece_bytes / sizeof(float) / static_cast<size_t>(size_);
    for (size_t done = 0, width = count; done < width; done += most) {
        line_.progress();
        width = 0;
        set_ranges([&](int r) {
            const RankRange range = range_of_rank(count, r, size_);
            width = std::max(width, range.end - range.begin);
            return RankRange{std::min(range.begin + done, range.end), std::min(range.begin + done + most, range.end)};
        });
        reduce_ranges(data, 0, over_ranks_);
    }
}

void MpiCommunicator::all_gather(float* data, size_t count) {
    const CallWatch::Call call(line_, "all_gather", count * sizeof(float));
    set_ranges([&](int r) { return range_of_rank(count, r, size_); });
    gather_ranges(data);
}

void MpiCommunicator::shift(const void* send, void* receive, size_t bytes, int distance) {
    const CallWatch::Call call(line_, "shift", bytes);
    const int to = (rank_ + distance) % size_, from = (rank_ - distance + size_) % size_;
    in_parts(bytes, [&](size_t begin, int part) {
        check(MPI_Sendrecv(static_cast<const char*>(send) + begin, part, MPI_BYTE, to, 0,
                           static_cast<char*>(receive) + begin, part, MPI_BYTE, from, 0, comm_, MPI_STATUS_IGNORE),
              "MPI_Sendrecv");
    });
}

std::vector<std::byte> MpiCommunicator::all_gather_bytes(const std::vector<std::byte>& mine) {
    if (mine.size() > INT_MAX / 2) throw Error(std::to_string(mine.size()) + " bytes are too many for one gather", "MPI");
    const CallWatch::Call call(line_, "gather_bytes", mine.size());
    const int count = static_cast<int>(mine.size());
    std::vector<int> counts(static_cast<size_t>(size_)), starts(static_cast<size_t>(size_));
    check(MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, comm_), "MPI_Allgather");
    size_t total = 0;
    for (size_t r = 0; r < counts.size(); ++r) {
        if (total > INT_MAX) throw Error("the gathered bytes are too many for one gather", "MPI");
        starts[r] = static_cast<int>(total);
        total += static_cast<size_t>(counts[r]);
    }
    std::vector<std::byte> all(total);
    check(MPI_Allgatherv(mine.data(), count, MPI_BYTE, all.data(), counts.data(), starts.data(), MPI_BYTE, comm_),
          "MPI_Allgatherv");
    return all;
}

std::unique_ptr<Communicator> MpiCommunicator::split(int group) {
    const CallWatch::Call call(line_, "split", sizeof group);
    const MPI_Comm part = split_comm(comm_, group, rank_);
    std::vector<int> nodes = numbered_in_order(gather_numbers(part, nodes_[static_cast<size_t>(rank_)]));
    return std::make_unique<MpiCommunicator>(session_, part, std::move(nodes), known_as_);
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(std::shared_ptr<WaitLimit> limit) {
    auto session = std::make_shared<MpiSession>(std::move(limit));
    check_world(launched(), session->ranks);
    std::vector<int> nodes = numbered_in_order(find_nodes());
    MPI_Comm comm = MPI_COMM_WORLD;
    if (!std::is_sorted(nodes.begin(), nodes.end())) {
        comm = split_comm(MPI_COMM_WORLD, 0, nodes[static_cast<size_t>(rank_in(MPI_COMM_WORLD))]);
        std::sort(nodes.begin(), nodes.end());
    }
    const int rank = rank_in(comm);
    return std::make_unique<MpiCommunicator>(std::move(session), comm, std::move(nodes), rank);
}

std::string mpi_library_version() {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    std::string version(text, static_cast<size_t>(length));
    return version.substr(0, version.find(','));
}

}  // namespace xbench
