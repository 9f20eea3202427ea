// A communicator around another one, to which every call goes. What is done besides, or instead, is what a class derived
// from it overrides; groups and channels are wrapped in the same way.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/communicator.h"

namespace xbench {

class ForwardingCommunicator : public Communicator {
public:
    explicit ForwardingCommunicator(std::unique_ptr<Communicator> inner)
        : Communicator(inner->wait_limit()), inner_(std::move(inner)) {}

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

    void all_reduce_sum(float* data, size_t count, Reduction how) override { inner_->all_reduce_sum(data, count, how); }
    void all_reduce_sum(double* data, size_t count, Reduction how) override { inner_->all_reduce_sum(data, count, how); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        inner_->all_reduce_tree(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        inner_->all_reduce_tree(data, count, stride, tree);
    }
    void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) override {
        inner_->begin_sum(data, count, stride, tree, how);
    }
    void end_sum() override { inner_->end_sum(); }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        inner_->reduce_scatter_sum(data, count, how);
    }
    void all_gather(float* data, size_t count) override { inner_->all_gather(data, count); }
    void broadcast(void* data, size_t bytes, int root) override { inner_->broadcast(data, bytes, root); }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        inner_->shift(send, receive, bytes, distance);
    }
    bool moves_by_this_core() const override { return inner_->moves_by_this_core(); }
    bool goes_into_order() const override { return inner_->goes_into_order(); }
    void abandon() noexcept override { inner_->abandon(); }

    AlignedBuffer allocate(size_t bytes) override { return inner_->allocate(bytes); }
    bool shares_memory() const override { return inner_->shares_memory(); }
    AlignedBuffer allocate_common(size_t bytes) override { return inner_->allocate_common(bytes); }
    std::vector<void*> copies(const void* data) const override { return inner_->copies(data); }
    void meet_at_copies(const void* data, size_t bytes) override { inner_->meet_at_copies(data, bytes); }

    std::unique_ptr<Communicator> split(int group) override { return wrap(inner_->split(group)); }
    bool has_channels() const override { return inner_->has_channels(); }
    std::unique_ptr<Communicator> channel() override { return wrap(inner_->channel()); }
    std::unique_ptr<Communicator> channel_on(Device& order) override { return wrap(inner_->channel_on(order)); }

protected:
    // Given null, null.
    virtual std::unique_ptr<Communicator> wrap(std::unique_ptr<Communicator> part) const = 0;
    Communicator& inner() const { return *inner_; }

private:
    const std::unique_ptr<Communicator> inner_;
};

}  // namespace xbench
