// Every call goes to the communicator inside, some between two looks at the clock.
#include "parallel/comm/comm_logged.h"

#include "parallel/comm/comm_forwarding.h"

namespace xbench {
namespace {

class Logged final : public ForwardingCommunicator {
public:
    Logged(std::unique_ptr<Communicator> inner, ArrivalLog& log)
        : ForwardingCommunicator(std::move(inner)), log_(log), track_(*log.add_track()) {}

    void all_reduce_sum(float* data, size_t count, Reduction how) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data, [&] { inner().all_reduce_sum(data, count, how); });
    }
    void all_reduce_sum(double* data, size_t count, Reduction how) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data, [&] { inner().all_reduce_sum(data, count, how); });
    }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data,
               [&] { inner().all_reduce_tree(data, count, stride, tree); });
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data,
               [&] { inner().all_reduce_tree(data, count, stride, tree); });
    }
    void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) override {
        begun_ns_ = log_.step() != 0 ? ArrivalLog::now() : 0;
        begun_bytes_ = count * sizeof *data;
        inner().begin_sum(data, count, stride, tree, how);
    }
    void end_sum() override {
        if (log_.step() == 0 || begun_ns_ == 0) return inner().end_sum();
        const int64_t resumed = ArrivalLog::now();
        inner().end_sum();
        track_.add(CollectiveKind::all_reduce, begun_bytes_, log_.step(), begun_ns_, resumed, ArrivalLog::now());
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        logged(CollectiveKind::reduce_scatter, count * sizeof *data, [&] { inner().reduce_scatter_sum(data, count, how); });
    }
    void all_gather(float* data, size_t count) override {
        logged(CollectiveKind::all_gather, count * sizeof *data, [&] { inner().all_gather(data, count); });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        logged(CollectiveKind::broadcast, bytes, [&] { inner().broadcast(data, bytes, root); });
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        logged(CollectiveKind::shift, bytes, [&] { inner().shift(send, receive, bytes, distance); });
    }
    void meet_at_copies(const void* data, size_t bytes) override {
        logged(CollectiveKind::meet, bytes, [&] { inner().meet_at_copies(data, bytes); });
    }

    // The calls of a group among some of the ranks are not logged.
    std::unique_ptr<Communicator> split(int group) override { return inner().split(group); }

private:
    std::unique_ptr<Communicator> wrap(std::unique_ptr<Communicator> part) const override {
        return part ? make_logged(std::move(part), log_) : nullptr;
    }
    template <class F>
    void logged(CollectiveKind collective, size_t bytes, F&& call) {
        const uint32_t step = log_.step();
        if (step == 0) return call();
        const int64_t arrived = ArrivalLog::now();
        call();
        track_.add(collective, bytes, step, arrived, arrived, ArrivalLog::now());
    }

    ArrivalLog& log_;
    ArrivalTrack& track_;
    int64_t begun_ns_ = 0;
    size_t begun_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> make_logged(std::unique_ptr<Communicator> inner, ArrivalLog& log) {
    return std::make_unique<Logged>(std::move(inner), log);
}

}  // namespace xbench
