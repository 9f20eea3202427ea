// Collectives over MPI.
//
// The invariant sum adds in the fixed tree of kernels/leaf_tree.h continued over ranks: in round j (distance 1, 2, 4 ...) a
// rank exchanges its sum with the rank that differs in bit j and adds the two; addition of two numbers commutes exactly, so
// both hold the same bits, and after log2(N) rounds every rank holds the root of the tree. That needs a number of ranks that
// is a power of two; the trainer refuses others. The fast sum is MPI_Allreduce, in whatever order the library likes.
#include "parallel/comm_mpi.h"

#define OMPI_SKIP_MPICXX 1  // the C++ bindings, long gone from the standard, do not compile without warnings
#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "core/error.h"

namespace xbench {
namespace {

// What is sent and added at a time: small enough that the received piece is still in the L2 cache when it is added.
constexpr size_t piece_bytes = size_t{256} << 10;

void check(int code, const char* operation) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error(std::string(text, static_cast<size_t>(length)), std::string("MPI, ") + operation);
}

MPI_Datatype type_of(const float*) { return MPI_FLOAT; }
MPI_Datatype type_of(const double*) { return MPI_DOUBLE; }

class MpiCommunicator final : public Communicator {
public:
    MpiCommunicator() {
        int provided = 0;
        check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
        if (provided < MPI_THREAD_FUNNELED) throw Error("no support for threads beside the main one", "MPI");
        check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
        check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
        piece_.resize(piece_bytes);
    }
    ~MpiCommunicator() override { MPI_Finalize(); }
    MpiCommunicator(const MpiCommunicator&) = delete;
    MpiCommunicator& operator=(const MpiCommunicator&) = delete;

    int rank() const override { return rank_; }
    int size() const override { return size_; }
    const char* name() const override { return "mpi"; }
    void all_reduce_sum(float* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_sum(double* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_max(double* data, size_t count) override {
        in_parts(count, [&](size_t begin, int part) {
            check(MPI_Allreduce(MPI_IN_PLACE, data + begin, part, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD), "MPI_Allreduce");
        });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        in_parts(bytes, [&](size_t begin, int part) {
            check(MPI_Bcast(static_cast<char*>(data) + begin, part, MPI_BYTE, root, MPI_COMM_WORLD), "MPI_Bcast");
        });
    }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override;
    void barrier() override { check(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier"); }
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
            sum_in_tree(data, count);
            return;
        }
        in_parts(count, [&](size_t begin, int part) {
            check(MPI_Allreduce(MPI_IN_PLACE, data + begin, part, type_of(data), MPI_SUM, MPI_COMM_WORLD), "MPI_Allreduce");
        });
    }
    template <class T>
    void sum_in_tree(T* data, size_t count) {
        if ((size_ & (size_ - 1)) != 0) throw Error("an invariant sum over " + std::to_string(size_) + " ranks", "MPI");
        T* other = reinterpret_cast<T*>(piece_.data());
        const size_t most = piece_bytes / sizeof(T);
        for (size_t begin = 0; begin < count; begin += most) {
            const size_t part = std::min(most, count - begin);
            T* mine = data + begin;
            for (int distance = 1; distance < size_; distance *= 2) {
                const int peer = rank_ ^ distance;
                check(MPI_Sendrecv(mine, static_cast<int>(part), type_of(mine), peer, 0, other, static_cast<int>(part),
                                   type_of(other), peer, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE),
                      "MPI_Sendrecv");
                for (size_t i = 0; i < part; ++i) mine[i] += other[i];
            }
        }
    }

    int rank_ = 0, size_ = 1;
    std::vector<std::byte> piece_;
};

std::vector<std::byte> MpiCommunicator::all_gather_bytes(const std::vector<std::byte>& mine) {
    if (mine.size() > INT_MAX / 2) throw Error(std::to_string(mine.size()) + " bytes are too many for one gather", "MPI");
    const int count = static_cast<int>(mine.size());
    std::vector<int> counts(static_cast<size_t>(size_)), starts(static_cast<size_t>(size_));
    check(MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD), "MPI_Allgather");
    size_t total = 0;
    for (size_t r = 0; r < counts.size(); ++r) {
        if (total > INT_MAX) throw Error("the gathered bytes are too many for one gather", "MPI");
        starts[r] = static_cast<int>(total);
        total += static_cast<size_t>(counts[r]);
    }
    std::vector<std::byte> all(total);
    check(MPI_Allgatherv(mine.data(), count, MPI_BYTE, all.data(), counts.data(), starts.data(), MPI_BYTE, MPI_COMM_WORLD),
          "MPI_Allgatherv");
    return all;
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator() { return std::make_unique<MpiCommunicator>(); }

std::string mpi_library_version() {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    std::string version(text, static_cast<size_t>(length));
    return version.substr(0, version.find(','));
}

}  // namespace xbench
