// The slow network.
#include "parallel/comm/slow_link.h"

#include <sys/prctl.h>

#include <chrono>
#include <thread>

#include "core/pause_processor.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

// How late a sleeping thread wakes: 50 us and more in a virtual machine, as long as a link of 10 MB/s takes for 500 bytes,
// more than a batch normalisation sums. A caller that has nothing else to do wakes so much earlier and watches the clock.
constexpr auto wakes_late = std::chrono::microseconds(100);

// Asleep, without the kernel's timer slack, which adds 50 us, so that a thread that waits leaves its core to one that
// computes.
void sleep_until(Clock::time_point end) {
    prctl(PR_SET_TIMERSLACK, 1);
    std::this_thread::sleep_until(end);
}

void wait_until(Clock::time_point end) {
    if (end - Clock::now() > wakes_late) sleep_until(end - wakes_late);
    while (Clock::now() < end) pause_processor();
}

class SlowLink final : public Communicator {
public:
    SlowLink(std::unique_ptr<Communicator> inner, LinkSpeed speed, bool beside_computing)
        : Communicator(inner->wait_limit()), inner_(std::move(inner)), speed_(speed), beside_computing_(beside_computing) {}

    int rank() const override { return inner_->rank(); }
    int size() const override { return inner_->size(); }
    int known_as() const override { return inner_->known_as(); }
    const char* name() const override { return "slow link"; }
    std::vector<int> nodes() const override { return inner_->nodes(); }
    std::unique_ptr<Communicator> split(int group) override { return on(inner_->split(group), beside_computing_); }
    void all_reduce_sum(float* data, size_t count, Reduction how) override {
        slowly(both_ways(count * sizeof *data), [&] { inner_->all_reduce_sum(data, count, how); });
    }
    void all_reduce_sum(double* data, size_t count, Reduction how) override {
        slowly(both_ways(count * sizeof *data), [&] { inner_->all_reduce_sum(data, count, how); });
    }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        slowly(in_tree(count * sizeof *data, tree), [&] { inner_->all_reduce_tree(data, count, stride, tree); });
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        slowly(in_tree(count * sizeof *data, tree), [&] { inner_->all_reduce_tree(data, count, stride, tree); });
    }
    void all_reduce_max(double* data, size_t count) override {
        slowly(both_ways(count * sizeof *data), [&] { inner_->all_reduce_max(data, count); });
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        slowly(one_way(count * sizeof *data), [&] { inner_->reduce_scatter_sum(data, count, how); });
    }
    void all_gather(float* data, size_t count) override {
        slowly(one_way(count * sizeof *data), [&] { inner_->all_gather(data, count); });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        slowly(static_cast<double>(bytes), [&] { inner_->broadcast(data, bytes, root); });
    }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        std::vector<std::byte> all;
        slowly(static_cast<double>(mine.size()), [&] { all = inner_->all_gather_bytes(mine); });
        return all;
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        slowly(static_cast<double>(bytes), [&] { inner_->shift(send, receive, bytes, distance); });
    }
    void barrier() override {
        slowly(0, [&] { inner_->barrier(); });
    }
    bool has_channels() const override { return inner_->has_channels(); }
    bool moves_by_this_core() const override { return false; }
    std::unique_ptr<Communicator> channel() override { return on(inner_->channel(), true); }
    std::unique_ptr<Communicator> channel_on(Device& order) override { return on(inner_->channel_on(order), true); }
    AlignedBuffer allocate(size_t bytes) override { return inner_->allocate(bytes); }
    void abort(int code) override { inner_->abort(code); }

private:
    std::unique_ptr<Communicator> on(std::unique_ptr<Communicator> inner, bool beside_computing) const {
        return std::make_unique<SlowLink>(std::move(inner), speed_, beside_computing);
    }
    double one_way(size_t bytes) const { return static_cast<double>(bytes) * (size() - 1) / size(); }
    double both_ways(size_t bytes) const { return 2 * one_way(bytes); }
    // The addends there, one sum back.
    double in_tree(size_t bytes, const SumTree& tree) const { return one_way(bytes) * (1 + tree.most_addends()); }
    template <class F>
    void slowly(double sent_bytes, F&& collective) {
        const double seconds =
            speed_.latency_seconds + (speed_.bytes_per_second > 0 ? sent_bytes / speed_.bytes_per_second : 0);
        const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
        collective();
        beside_computing_ ? sleep_until(end) : wait_until(end);
    }

    const std::unique_ptr<Communicator> inner_;
    const LinkSpeed speed_;
    const bool beside_computing_;  // a channel's caller
};

}  // namespace

std::unique_ptr<Communicator> make_slow_link(std::unique_ptr<Communicator> inner, LinkSpeed speed) {
    return std::make_unique<SlowLink>(std::move(inner), speed, false);
}

}  // namespace xbench
