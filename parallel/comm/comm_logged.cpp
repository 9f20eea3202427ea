// Every call goes to the communicator inside, some between two looks at the clock.
#include "parallel/comm/comm_logged.h"

namespace xbench {
namespace {

class Logged final : public Communicator {
public:
    Logged(std::unique_ptr<Communicator> inner, ArrivalLog& log)
        : Communicator(inner->wait_limit()), inner_(std::move(inner)), log_(log), track_(*log.add_track()) {}

    int rank() const override { return inner_->rank(); }
    int size() const override { return inner_->size(); }
    int known_as() const override { return inner_->known_as(); }
    const char* name() const override { return inner_->name(); }
    std::vector<int> nodes() const override { return inner_->nodes(); }
    void all_reduce_max(double* data, size_t count) override { inner_->all_reduce_max(data, count); }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        return inner_->all_gather_bytes(mine);
    }
    void barrier() override { inner_->barrier(); }
    void abort(int code) override { inner_->abort(code); }

    void all_reduce_sum(float* data, size_t count, Reduction how) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data, [&] { inner_->all_reduce_sum(data, count, how); });
    }
    void all_reduce_sum(double* data, size_t count, Reduction how) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data, [&] { inner_->all_reduce_sum(data, count, how); });
    }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data,
               [&] { inner_->all_reduce_tree(data, count, stride, tree); });
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        logged(CollectiveKind::all_reduce, count * sizeof *data,
               [&] { inner_->all_reduce_tree(data, count, stride, tree); });
    }
    void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) override {
        begun_ns_ = log_.step() != 0 ? ArrivalLog::now() : 0;
        begun_bytes_ = count * sizeof *data;
        inner_->begin_sum(data, count, stride, tree, how);
    }
    void end_sum() override {
        if (log_.step() == 0 || begun_ns_ == 0) return inner_->end_sum();
        const int64_t resumed = ArrivalLog::now();
        inner_->end_sum();
        track_.add(CollectiveKind::all_reduce, begun_bytes_, log_.step(), begun_ns_, resumed, ArrivalLog::now());
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        logged(CollectiveKind::reduce_scatter, count * sizeof *data, [&] { inner_->reduce_scatter_sum(data, count, how); });
    }
    void all_gather(float* data, size_t count) override {
        logged(CollectiveKind::all_gather, count * sizeof *data, [&] { inner_->all_gather(data, count); });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        logged(CollectiveKind::broadcast, bytes, [&] { inner_->broadcast(data, bytes, root); });
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        logged(CollectiveKind::shift, bytes, [&] { inner_->shift(send, receive, bytes, distance); });
    }
    bool moves_by_this_core() const override { return inner_->moves_by_this_core(); }
    bool goes_into_order() const override { return inner_->goes_into_order(); }
    void abandon() noexcept override { inner_->abandon(); }

    AlignedBuffer allocate(size_t bytes) override { return inner_->allocate(bytes); }
    bool shares_memory() const override { return inner_->shares_memory(); }
    AlignedBuffer allocate_common(size_t bytes) override { return inner_->allocate_common(bytes); }
    std::vector<void*> copies(const void* data) const override { return inner_->copies(data); }
    void meet_at_copies(const void* data, size_t bytes) override {
        logged(CollectiveKind::meet, bytes, [&] { inner_->meet_at_copies(data, bytes); });
    }

    std::unique_ptr<Communicator> split(int group) override { return inner_->split(group); }
    bool has_channels() const override { return inner_->has_channels(); }
    std::unique_ptr<Communicator> channel() override { return on(inner_->channel()); }
    std::unique_ptr<Communicator> channel_on(Device& order) override { return on(inner_->channel_on(order)); }

private:
    std::unique_ptr<Communicator> on(std::unique_ptr<Communicator> channel) {
        return channel ? make_logged(std::move(channel), log_) : nullptr;
    }
    template <class F>
    void logged(CollectiveKind collective, size_t bytes, F&& call) {
        const uint32_t step = log_.step();
        if (step == 0) return call();
        const int64_t arrived = ArrivalLog::now();
        call();
        track_.add(collective, bytes, step, arrived, arrived, ArrivalLog::now());
    }

    const std::unique_ptr<Communicator> inner_;
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
