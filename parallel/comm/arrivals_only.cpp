// Sums in two halves stay in two halves: a rank that arrives early goes on computing. They carry one number a rank, as a
// meeting in two halves has no other form.
#include "parallel/comm/arrivals_only.h"

#include <utility>
#include <vector>

#include "parallel/comm/comm_forwarding.h"

namespace xbench {
namespace {

class ArrivalsOnly final : public ForwardingCommunicator {
public:
    explicit ArrivalsOnly(std::unique_ptr<Communicator> inner)
        : ForwardingCommunicator(std::move(inner)), tree_(sum_tree(size(), size())) {}

    void all_reduce_sum(float*, size_t, Reduction) override { barrier(); }
    void all_reduce_sum(double*, size_t, Reduction) override { barrier(); }
    void all_reduce_tree(float*, size_t, size_t, const SumTree&) override { barrier(); }
    void all_reduce_tree(double*, size_t, size_t, const SumTree&) override { barrier(); }
    void begin_sum(double*, size_t, size_t, const SumTree&, Reduction) override {
        number_ = 1;
        inner().begin_sum(&number_, 1, 1, tree_, Reduction::invariant);
    }
    void reduce_scatter_sum(float*, size_t, Reduction) override { barrier(); }
    void all_gather(float*, size_t) override { barrier(); }
    void broadcast(void*, size_t, int) override { barrier(); }
    void shift(const void*, void*, size_t, int) override { barrier(); }
    std::vector<void*> copies(const void* data) const override {
        return std::vector<void*>(static_cast<size_t>(size()), const_cast<void*>(data));
    }

private:
    std::unique_ptr<Communicator> wrap(std::unique_ptr<Communicator> part) const override {
        return part ? make_arrivals_only(std::move(part)) : nullptr;
    }

    const SumTree tree_;  // one addend a rank
    double number_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_arrivals_only(std::unique_ptr<Communicator> inner) {
    return std::make_unique<ArrivalsOnly>(std::move(inner));
}

}  // namespace xbench
