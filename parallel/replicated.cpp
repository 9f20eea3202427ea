// The replicated strategy (DDP).
//
// Gradients lie in one flat buffer in backward-ready order, so a bucket is a range of it. Buckets are reduced after the
// backward pass, one after the other; overlapping them with it is a matter of when they are started.
#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "kernels/team.h"
#include "parallel/strategy.h"

namespace xbench {
namespace {

constexpr int64_t bucket_elements = int64_t{1} << 20;  // 4 MiB

Optimizer optimizer_attrs(const TrainConfig& config) {
    Optimizer attrs{};
    attrs.beta1 = static_cast<float>(config.beta1);
    attrs.beta2 = static_cast<float>(config.beta2);
    attrs.eps = static_cast<float>(config.adam_epsilon);
    attrs.weight_decay = static_cast<float>(config.weight_decay);
    attrs.momentum = static_cast<float>(config.momentum);
    attrs.decoupled = config.optimizer == "adamw";
    return attrs;
}

KernelTensor vector_of(void* data, int64_t elements) {
    KernelTensor tensor{};
    tensor.data = data;
    tensor.dtype = static_cast<int32_t>(DType::f32);
    tensor.layout = static_cast<int32_t>(Layout::plain);
    tensor.rank = 1;
    tensor.dim[0] = elements;
    return tensor;
}

class Replicated final : public Strategy {
public:
    Replicated(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa, int threads)
        : state_(state),
          sums_(sums),
          threads_(threads),
          attrs_(optimizer_attrs(config)),
          moments_(moment_count(config) * state.parameters.bytes()) {
        args_.op = config.optimizer == "sgd" ? OpKind::sgd : OpKind::adam;
        args_.attrs = &attrs_;
        args_.leaves = 1;
        args_.n_in = 1;
        args_.in[0] = vector_of(state.gradients.data(), state.flat.parameter_elements);
        args_.n_out = static_cast<int32_t>(1 + moment_count(config));
        args_.out[0] = vector_of(state.parameters.data(), state.flat.parameter_elements);
        for (size_t m = 0; m < moment_count(config); ++m)
            args_.out[1 + m] = vector_of(moments_.as<char>() + m * state.parameters.bytes(), state.flat.parameter_elements);
        kernel_ = &select(args_, Target{isa});
        workspace_ = AlignedBuffer(kernel_->workspace ? kernel_->workspace(args_, threads) : 0);
        args_.workspace = workspace_.data();
    }

    void all_reduce(double* data, int64_t count, int64_t stride) override {
        timed([&] { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }

    void update(const StepContext& context) override {
        float* gradients = state_.gradients.as<float>();
        const int64_t elements = state_.flat.parameter_elements;
        if (sums_.communicator.size() > 1) {
            timed([&] {
                for (int64_t begin = 0; begin < elements; begin += bucket_elements)
                    sums_.sum(gradients + begin, static_cast<size_t>(std::min(bucket_elements, elements - begin)),
                              state_.gradient_stride);
            });
        }
        args_.step = &context;
        run_team(threads_, [&](const Team& team) { kernel_->run(args_, team); });
    }

    std::vector<NamedTensor> save() const override {
        std::vector<NamedTensor> saved;
        for_each_moment([&](const std::string& name, const Shape& shape, float* data) {
            saved.push_back({name, shape, std::vector<float>(data, data + shape.elements())});
        });
        return saved;
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::string wrong;
        for_each_moment([&](const std::string& name, const Shape& shape, float* data) {
            const auto found =
                std::find_if(moments.begin(), moments.end(), [&](const NamedTensor& tensor) { return tensor.name == name; });
            if (found == moments.end() || !(found->shape == shape))
                wrong += "\n  " + name + " " + to_string(shape);
            else
                std::copy(found->data.begin(), found->data.end(), data);
        });
        if (!wrong.empty()) throw Error("these moments are missing or of another shape:" + wrong, origin);
    }

    size_t state_bytes() const override { return moments_.bytes(); }
    int64_t take_exposed_ns() override { return std::exchange(exposed_ns_, 0); }

private:
    static size_t moment_count(const TrainConfig& config) { return config.optimizer == "sgd" ? 1 : 2; }
    // call(name, shape, data) for each moment of each parameter.
    template <class F>
    void for_each_moment(F&& call) const {
        for (size_t m = 0; m < static_cast<size_t>(args_.n_out) - 1; ++m)
            for (const ValueId id : state_.graph.parameters) {
                const Value& value = state_.graph.values[static_cast<size_t>(id)];
                call("m" + std::to_string(m) + "." + value.name, value.shape,
                     static_cast<float*>(args_.out[1 + m].data) + state_.flat.find(id).begin);
            }
    }
    template <class F>
    void timed(F&& communicate) {
        const auto start = std::chrono::steady_clock::now();
        communicate();
        exposed_ns_ +=
            std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    }

    ModelState& state_;
    const RankSums& sums_;
    const int threads_;
    const Optimizer attrs_;
    AlignedBuffer moments_, workspace_;
    KernelArgs args_{};
    const Kernel* kernel_ = nullptr;
    int64_t exposed_ns_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_replicated(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa,
                                          int threads) {
    return std::make_unique<Replicated>(config, state, sums, isa, threads);
}

}  // namespace xbench
