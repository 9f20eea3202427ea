// Sums in two halves stay in two halves: a rank that arrives early goes on computing. They carry one number a rank, as a
// meeting in two halves has no other form.
#include "parallel/comm/arrivals_only.h"

#include <utility>
#include <vector>

namespace xbench {
namespace {

class ArrivalsOnly final : public Communicator {
public:
    explicit ArrivalsOnly(std::unique_ptr<Communicator> inner)
        : Communicator(inner->wait_limit()), inner_(std::move(inner)), tree_(sum_tree(inner_->size(), inner_->size())) {}

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

    void all_reduce_sum(float*, size_t, Reduction) override { inner_->barrier(); }
    void all_reduce_sum(double*, size_t, Reduction) override { inner_->barrier(); }
    void all_reduce_tree(float*, size_t, size_t, const SumTree&) override { inner_->barrier(); }
    void all_reduce_tree(double*, size_t, size_t, const SumTree&) override { inner_->barrier(); }
    void begin_sum(double*, size_t, size_t, const SumTree&, Reduction) override {
        number_ = 1;
        inner_->begin_sum(&number_, 1, 1, tree_, Reduction::invariant);
    }
    void end_sum() override { inner_->end_sum(); }
    void reduce_scatter_sum(float*, size_t, Reduction) override { inner_->barrier(); }
    void all_gather(float*, size_t) override { inner_->barrier(); }
    void broadcast(void*, size_t, int) override { inner_->barrier(); }
    void shift(const void*, void*, size_t, int) override { inner_->barrier(); }
    bool moves_by_this_core() const override { return inner_->moves_by_this_core(); }
    bool goes_into_order() const override { return inner_->goes_into_order(); }
    void abandon() noexcept override { inner_->abandon(); }

    AlignedBuffer allocate(size_t bytes) override { return inner_->allocate(bytes); }
    bool shares_memory() const override { return inner_->shares_memory(); }
    AlignedBuffer allocate_common(size_t bytes) override { return inner_->allocate_common(bytes); }
    std::vector<void*> copies(const void* data) const override {
        return std::vector<void*>(static_cast<size_t>(size()), const_cast<void*>(data));
    }
    void meet_at_copies(const void* data, size_t bytes) override { inner_->meet_at_copies(data, bytes); }

    std::unique_ptr<Communicator> split(int group) override { return make_arrivals_only(inner_->split(group)); }
    bool has_channels() const override { return inner_->has_channels(); }
    std::unique_ptr<Communicator> channel() override { return make_arrivals_only(inner_->channel()); }
    std::unique_ptr<Communicator> channel_on(Device& order) override {
        return make_arrivals_only(inner_->channel_on(order));
    }

private:
    const std::unique_ptr<Communicator> inner_;
    const SumTree tree_;  // one addend a rank
    double number_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_arrivals_only(std::unique_ptr<Communicator> inner) {
    return std::make_unique<ArrivalsOnly>(std::move(inner));
}

}  // namespace xbench
