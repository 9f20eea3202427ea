// The communicator of two parts: each call goes to the part that it belongs to.
// Sums in two halves, gathers and shifts are data; ranks, bytes, maxima, barriers and the end of the job are control.
#include "parallel/comm/composed.h"

#include <string_view>
#include <utility>

#include "kernels/cuda/devices.h"

namespace xbench {
namespace {

class Composed final : public Communicator {
public:
    Composed(std::unique_ptr<Communicator> control, DataPlaneMaker make, Device& order, const char* name)
        : Communicator(control->wait_limit()),
          control_(std::move(control)),
          make_(std::move(make)),
          order_(order),
          data_(make_(*control_, order)),
          name_(name) {}

    int rank() const override { return control_->rank(); }
    int size() const override { return control_->size(); }
    int known_as() const override { return control_->known_as(); }
    const char* name() const override { return name_; }
    std::vector<int> nodes() const override { return control_->nodes(); }
    void all_reduce_max(double* data, size_t count) override { control_->all_reduce_max(data, count); }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        return control_->all_gather_bytes(mine);
    }
    void barrier() override { control_->barrier(); }
    void abort(int code) override { control_->abort(code); }

    void all_reduce_sum(float* data, size_t count, Reduction how) override {
        reach(data, count, [&](float* there) { data_->all_reduce_sum(there, count, how); });
    }
    void all_reduce_sum(double* data, size_t count, Reduction how) override {
        reach(data, count, [&](double* there) { data_->all_reduce_sum(there, count, how); });
    }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        reach(data, extent(count, stride, tree), [&](float* there) { data_->all_reduce_tree(there, count, stride, tree); });
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        reach(data, extent(count, stride, tree), [&](double* there) { data_->all_reduce_tree(there, count, stride, tree); });
    }
    void begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) override {
        data_->begin_sum(data, count, stride, tree, how);
    }
    void end_sum() override { data_->end_sum(); }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override {
        reach(data, count, [&](float* there) { data_->reduce_scatter_sum(there, count, how); });
    }
    void all_gather(float* data, size_t count) override {
        reach(data, count, [&](float* there) { data_->all_gather(there, count); });
    }
    void broadcast(void* data, size_t bytes, int root) override {
        reach(static_cast<std::byte*>(data), bytes, [&](std::byte* there) { data_->broadcast(there, bytes, root); });
    }
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        data_->shift(send, receive, bytes, distance);
    }
    bool moves_by_this_core() const override { return data_->moves_by_this_core(); }
    bool goes_into_order() const override { return data_->goes_into_order(); }
    void abandon() noexcept override { data_->abandon(); }
    AlignedBuffer allocate(size_t bytes) override { return order_.allocate(bytes); }  // what the data plane reaches

    std::unique_ptr<Communicator> split(int group) override { return compose(control_->split(group), make_, order_, name_); }
    bool has_channels() const override { return control_->has_channels(); }
    std::unique_ptr<Communicator> channel() override { return channel_on(order_); }
    std::unique_ptr<Communicator> channel_on(Device& order) override {
        return compose(control_->channel(), make_, order, name_);
    }

private:
    // Data of the host (a checkpoint's, on its way to all ranks) go through memory that the data plane reaches.
    template <class T, class F>
    void reach(T* data, size_t count, F&& communicate) {
        if (std::string_view(order_.name()) != "cuda" || is_gpu_memory(data)) return communicate(data);
        const AlignedBuffer there = order_.allocate(count * sizeof(T));
        order_.copy(there.data(), data, count * sizeof(T));
        communicate(there.template as<T>());
        order_.copy(data, there.data(), count * sizeof(T));
        order_.wait();
    }
    // Of this rank's addends, in elements.
    size_t extent(size_t count, size_t stride, const SumTree& tree) const {
        const auto addends = static_cast<size_t>(tree.addends[static_cast<size_t>(rank())]);
        return addends > 1 ? (addends - 1) * stride + count : count;
    }

    const std::unique_ptr<Communicator> control_;
    const DataPlaneMaker make_;
    Device& order_;
    const std::unique_ptr<DataPlane> data_;
    const char* const name_;
};

}  // namespace

std::unique_ptr<Communicator> compose(std::unique_ptr<Communicator> control, DataPlaneMaker make, Device& order,
                                      const char* name) {
    return std::make_unique<Composed>(std::move(control), std::move(make), order, name);
}

}  // namespace xbench
