// Setting up and running the optimizer's kernel.
#include "parallel/optimizer_step.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/team.h"

namespace xbench {
namespace {

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

size_t moment_count(const TrainConfig& config) { return config.optimizer == "sgd" ? 1 : 2; }

// call(name, value, range) for each moment of each parameter.
template <class F>
void for_each_moment(const ModelState& state, size_t moments, F&& call) {
    for (size_t m = 0; m < moments; ++m)
        for (const ValueId id : state.graph.parameters)
            call(m, "m" + std::to_string(m) + "." + state.graph.values[static_cast<size_t>(id)].name,
                 state.graph.values[static_cast<size_t>(id)].shape, state.flat.find(id));
}

}  // namespace

OptimizerStep::OptimizerStep(const TrainConfig& config, const ModelState& state, RankRange range, Isa isa, int threads)
    : range_(range), threads_(threads), attrs_(optimizer_attrs(config)) {
    const size_t count = range.end - range.begin, stride = (std::max<size_t>(count, 16) + 15) / 16 * 16;
    moments_ = AlignedBuffer(moment_count(config) * stride * sizeof(float));
    const auto elements = static_cast<int64_t>(count);
    args_.op = config.optimizer == "sgd" ? OpKind::sgd : OpKind::adam;
    args_.attrs = &attrs_;
    args_.leaves = 1;
    args_.n_in = 1;
    args_.in[0] = vector_of(state.gradients.as<float>() + range.begin, elements);
    args_.n_out = static_cast<int32_t>(1 + moment_count(config));
    args_.out[0] = vector_of(state.parameters.as<float>() + range.begin, elements);
    for (size_t m = 0; m < moment_count(config); ++m)
        args_.out[1 + m] = vector_of(moments_.as<float>() + m * stride, elements);
    kernel_ = &select(args_, Target{isa});
    workspace_ = AlignedBuffer(kernel_->workspace ? kernel_->workspace(args_, threads) : 0);
    args_.workspace = workspace_.data();
}

void OptimizerStep::run(const StepContext& context) {
    if (range_.begin == range_.end) return;
    args_.step = &context;
    run_team(threads_, [&](const Team& team) { kernel_->run(args_, team); });
}

std::vector<NamedTensor> name_moments(const ModelState& state, const std::vector<const float*>& flat) {
    std::vector<NamedTensor> named;
    for_each_moment(state, flat.size(), [&](size_t m, const std::string& name, const Shape& shape, const FlatRange& range) {
        const float* data = flat[m] + range.begin;
        named.push_back({name, shape, std::vector<float>(data, data + range.count)});
    });
    return named;
}

void find_moments(const ModelState& state, const std::vector<NamedTensor>& moments, const std::string& origin,
                  const std::vector<float*>& flat) {
    std::string wrong;
    for_each_moment(state, flat.size(), [&](size_t m, const std::string& name, const Shape& shape, const FlatRange& range) {
        const auto found =
            std::find_if(moments.begin(), moments.end(), [&](const NamedTensor& tensor) { return tensor.name == name; });
        if (found == moments.end() || !(found->shape == shape))
            wrong += "\n  " + name + " " + to_string(shape);
        else
            std::copy(found->data.begin(), found->data.end(), flat[m] + range.begin);
    });
    if (!wrong.empty()) throw Error("these moments are missing or of another shape:" + wrong, origin);
}

}  // namespace xbench
