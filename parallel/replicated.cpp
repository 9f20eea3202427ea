// The replicated strategy (DDP).
//
// Gradients lie in one flat buffer in backward-ready order, so a bucket is a range of it. Buckets are reduced after the
// backward pass, one after the other; overlapping them with it is a matter of when they are started.
#include <algorithm>

#include "parallel/exposed_time.h"
#include "parallel/optimizer_step.h"
#include "parallel/strategy.h"

namespace xbench {
namespace {

constexpr int64_t bucket_elements = int64_t{1} << 20;  // 4 MiB

class Replicated final : public Strategy {
public:
    Replicated(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa, int threads)
        : state_(state),
          sums_(sums),
          optimizer_(config, state, {0, static_cast<size_t>(state.flat.parameter_elements)}, isa, threads) {}

    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }

    void update(const StepContext& context) override {
        float* gradients = state_.gradients.as<float>();
        const int64_t elements = state_.flat.parameter_elements;
        if (sums_.communicator.size() > 1) {
            exposed_.time([&] {
                for (int64_t begin = 0; begin < elements; begin += bucket_elements)
                    sums_.sum(gradients + begin, static_cast<size_t>(std::min(bucket_elements, elements - begin)),
                              state_.gradient_stride);
            });
        }
        optimizer_.run(context);
    }

    std::vector<NamedTensor> save() const override {
        std::vector<const float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) flat.push_back(optimizer_.moment(m));
        return name_moments(state_, flat);
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::vector<float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) flat.push_back(optimizer_.moment(m));
        find_moments(state_, moments, origin, flat);
    }
    size_t state_bytes() const override { return optimizer_.bytes(); }
    int64_t take_exposed_ns() override { return exposed_.take(); }

private:
    ModelState& state_;
    const RankSums& sums_;
    OptimizerStep optimizer_;
    ExposedTime exposed_;
};

}  // namespace

std::unique_ptr<Strategy> make_replicated(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa,
                                          int threads) {
    return std::make_unique<Replicated>(config, state, sums, isa, threads);
}

}  // namespace xbench
