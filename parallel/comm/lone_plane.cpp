// Sums of one rank.
#include "parallel/comm/lone_plane.h"

#include <vector>

namespace xbench {
namespace {

class LonePlane final : public DataPlane {
public:
    explicit LonePlane(Device& device) : device_(device) {}
    void all_reduce_sum(float*, size_t, Reduction) override {}
    void all_reduce_sum(double*, size_t, Reduction) override {}
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        sum(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        sum(data, count, stride, tree);
    }
    void reduce_scatter_sum(float*, size_t, Reduction) override {}
    void all_gather(float*, size_t) override {}
    void broadcast(void*, size_t, int) override {}
    void shift(const void*, void*, size_t, int) override {}
    bool goes_into_order() const override { return true; }

private:
    template <class T>
    void sum(T* data, size_t count, size_t stride, const SumTree& tree) {
        if (tree.merges.size() == 1) return;
        std::vector<const T*> from;
        for (size_t a = 0; a < tree.merges.size(); ++a) from.push_back(data + a * stride);
        device_.sum(Addends<T>{from.data(), static_cast<int>(from.size()), tree.merges.data()}, data, count);
    }
    Device& device_;
};

}  // namespace

std::unique_ptr<DataPlane> make_lone_plane(Communicator&, Device& device) { return std::make_unique<LonePlane>(device); }

}  // namespace xbench
