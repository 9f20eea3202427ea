// A communicator of two parts (parallel/comm/composed.h): the control side refuses tensors and the data side knows nothing
// else, so that whatever goes to the wrong part throws.
#include "parallel/comm/composed.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/parallel/collectives.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench {
namespace {

[[noreturn]] void refuse() { throw Error("a tensor came to the control side"); }

class ControlOnly final : public Communicator {
public:
    explicit ControlOnly(std::unique_ptr<Communicator> inner)
        : Communicator(inner->wait_limit()), inner_(std::move(inner)) {}
    int rank() const override { return inner_->rank(); }
    int size() const override { return inner_->size(); }
    int known_as() const override { return inner_->known_as(); }
    const char* name() const override { return "control"; }
    std::vector<int> nodes() const override { return inner_->nodes(); }
    void all_reduce_max(double* data, size_t count) override { inner_->all_reduce_max(data, count); }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        return inner_->all_gather_bytes(mine);
    }
    void barrier() override { inner_->barrier(); }
    void abort(int code) override { inner_->abort(code); }
    std::unique_ptr<Communicator> split(int group) override { return std::make_unique<ControlOnly>(inner_->split(group)); }
    bool has_channels() const override { return true; }
    std::unique_ptr<Communicator> channel() override { return std::make_unique<ControlOnly>(inner_->channel()); }
    void all_reduce_sum(float*, size_t, Reduction) override { refuse(); }
    void all_reduce_sum(double*, size_t, Reduction) override { refuse(); }
    void all_reduce_tree(float*, size_t, size_t, const SumTree&) override { refuse(); }
    void all_reduce_tree(double*, size_t, size_t, const SumTree&) override { refuse(); }
    void reduce_scatter_sum(float*, size_t, Reduction) override { refuse(); }
    void all_gather(float*, size_t) override { refuse(); }
    void broadcast(void*, size_t, int) override { refuse(); }
    void shift(const void*, void*, size_t, int) override { refuse(); }
    Communicator& inner() { return *inner_; }

private:
    const std::unique_ptr<Communicator> inner_;
};

class DataOnly final : public DataPlane {
public:
    explicit DataOnly(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}
    void all_reduce_sum(float* data, size_t count, Reduction how) override { inner_->all_reduce_sum(data, count, how); }
    void all_reduce_sum(double* data, size_t count, Reduction how) override { inner_->all_reduce_sum(data, count, how); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        inner_->all_reduce_tree(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        inner_->all_reduce_tree(data, count, stride, tree);
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        inner_->reduce_scatter_sum(data, count, how);
    }
    void all_gather(float* data, size_t count) override { inner_->all_gather(data, count); }
    void broadcast(void* data, size_t bytes, int root) override { inner_->broadcast(data, bytes, root); }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        inner_->shift(send, receive, bytes, distance);
    }
    bool moves_by_this_core() const override { return false; }

private:
    const std::unique_ptr<Communicator> inner_;
};

std::unique_ptr<Communicator> in_two_parts(Communicator& ranks) {
    static Cpu cpu;
    const DataPlaneMaker make = [](Communicator& control, Device&) {
        return std::make_unique<DataOnly>(dynamic_cast<ControlOnly&>(control).inner().split(0));
    };
    return compose(std::make_unique<ControlOnly>(ranks.split(0)), make, cpu, "data+control");
}

TEST(Composed, CollectivesGoToTheirPart) {
    for (const int ranks : {1, 2, 3})
        test::on_ranks(ranks, [](Communicator& c) {
            const std::unique_ptr<Communicator> both = in_two_parts(c);
            EXPECT_STREQ(both->name(), "data+control");
            EXPECT_FALSE(both->moves_by_this_core());
            EXPECT_FALSE(both->shares_memory());
            EXPECT_EQ(test::check_collectives(*both), "");
        });
}

}  // namespace
}  // namespace xbench
