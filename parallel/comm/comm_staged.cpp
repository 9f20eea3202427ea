// Staging around every call.
#include "parallel/comm/comm_staged.h"

#include <algorithm>
#include <string>

namespace xbench {
namespace {

class StagedCommunicator final : public Communicator {
public:
    StagedCommunicator(Communicator& over, Device& device)
        : Communicator(over.wait_limit()), over_(over), device_(device), name_("staged " + std::string(over.name())) {}
    StagedCommunicator(std::unique_ptr<Communicator> over, Device& device) : StagedCommunicator(*over, device) {
        own_ = std::move(over);
    }
    int rank() const override { return over_.rank(); }
    int size() const override { return over_.size(); }
    int known_as() const override { return over_.known_as(); }
    const char* name() const override { return name_.c_str(); }
    std::vector<int> nodes() const override { return over_.nodes(); }
    std::unique_ptr<Communicator> split(int group) override {
        return std::make_unique<StagedCommunicator>(over_.split(group), device_);
    }
    void all_reduce_sum(float* data, size_t count, Reduction how) override {
        staged(data, count, [&](float* here) { over_.all_reduce_sum(here, count, how); });
    }
    void all_reduce_sum(double* data, size_t count, Reduction how) override {
        staged(data, count, [&](double* here) { over_.all_reduce_sum(here, count, how); });
    }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        tree_sum(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        tree_sum(data, count, stride, tree);
    }
    void all_reduce_max(double* data, size_t count) override { over_.all_reduce_max(data, count); }  // of the host
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        staged(data, count, [&](float* here) { over_.reduce_scatter_sum(here, count, how); });
    }
    void all_gather(float* data, size_t count) override {
        staged(data, count, [&](float* here) { over_.all_gather(here, count); });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        staged(static_cast<std::byte*>(data), bytes, [&](std::byte* here) { over_.broadcast(here, bytes, root); });
    }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        return over_.all_gather_bytes(mine);
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        std::byte* const here = staging<std::byte>(2 * bytes);
        device_.copy(here, send, bytes);
        device_.wait();
        over_.shift(here, here + bytes, bytes, distance);
        device_.copy(receive, here + bytes, bytes);
        device_.wait();
    }
    bool has_channels() const override { return over_.has_channels(); }
    std::unique_ptr<Communicator> channel_on(Device& order) override {
        return std::make_unique<StagedCommunicator>(over_.channel(), order);
    }
    bool moves_by_this_core() const override { return over_.moves_by_this_core(); }
    void barrier() override { over_.barrier(); }
    AlignedBuffer allocate(size_t bytes) override { return device_.allocate(bytes); }
    void abort(int code) override { over_.abort(code); }

private:
    // Both ends wait: the staging memory is used again by the next call.
    template <class T, class F>
    void staged(T* data, size_t count, F&& communicate) {
        T* const here = staging<T>(count);
        device_.copy(here, data, count * sizeof(T));
        device_.wait();
        communicate(here);
        device_.copy(data, here, count * sizeof(T));
        device_.wait();
    }
    template <class T>
    void tree_sum(T* data, size_t count, size_t stride, const SumTree& tree) {
        const auto addends = static_cast<size_t>(tree.addends[static_cast<size_t>(rank())]);
        T* const here = staging<T>(std::max<size_t>(addends, 1) * count);
        for (size_t a = 0; a < addends; ++a) device_.copy(here + a * count, data + a * stride, count * sizeof(T));
        device_.wait();
        over_.all_reduce_tree(here, count, count, tree);
        device_.copy(data, here, count * sizeof(T));
        device_.wait();
    }
    template <class T>
    T* staging(size_t count) {
        if (staging_.bytes() < count * sizeof(T)) staging_ = device_.allocate_staging(count * sizeof(T));
        return staging_.as<T>();
    }

    std::unique_ptr<Communicator> own_;  // of a part of the ranks, or a channel
    Communicator& over_;
    Device& device_;
    const std::string name_;
    AlignedBuffer staging_;  // grows with the largest call, which the first step makes
};

}  // namespace

std::unique_ptr<Communicator> make_staged_communicator(Communicator& over, Device& device) {
    return device.is_host() ? nullptr : std::make_unique<StagedCommunicator>(over, device);
}

}  // namespace xbench
