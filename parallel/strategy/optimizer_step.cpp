// Setting up and running the optimizer's kernel.
#include "parallel/strategy/optimizer_step.h"

#include <algorithm>

#include "core/error.h"

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

bool scales_loss(const TrainConfig& config) { return config.precision == "fp16"; }

KernelTensor vector_of(void* data, int64_t elements) { return kernel_tensor({elements}, DType::f32, Layout::plain, data); }

// call(name, value, range) for each moment of each parameter.
template <class F>
void for_each_moment(const ModelState& state, size_t moments, F&& call) {
    for (size_t m = 0; m < moments; ++m)
        for (const ValueId id : state.graph.parameters)
            call(m, "m" + std::to_string(m) + "." + state.graph.value(id).name, state.graph.value(id).shape,
                 state.flat.find(id));
}

}  // namespace

int moment_count(const TrainConfig& config) { return config.optimizer == "sgd" ? 1 : 2; }

OptimizerStep::OptimizerStep(const TrainConfig& config, const std::vector<OptimizerPart>& parts, Device& device,
                             MemoryLedger* ledger)
    : device_(device), moment_count_(moment_count(config)), attrs_(optimizer_attrs(config)) {
    for (const OptimizerPart& part : parts) stride_ += (part.count + 15) / 16 * 16;
    moments_ =
        device.allocate(static_cast<size_t>(moment_count_) * stride_ * sizeof(float), ledger, MemoryCategory::optimizer);
    if (scales_loss(config)) {
        std::vector<KernelTensor> gradients;
        for (const OptimizerPart& part : parts)
            gradients.push_back(vector_of(part.gradients, static_cast<int64_t>(part.count)));
        scaler_.emplace(gradients, device);
    }
    size_t at = 0;
    for (const OptimizerPart& part : parts) {
        if (part.count == 0) continue;
        const auto elements = static_cast<int64_t>(part.count);
        KernelArgs args{};
        args.op = config.optimizer == "sgd" ? OpKind::sgd : OpKind::adam;
        args.attrs = &attrs_;
        args.leaves = 1;
        args.n_in = scaler_ ? 2 : 1;
        args.in[0] = vector_of(part.gradients, elements);
        if (scaler_) args.in[1] = scaler_->operand();
        args.n_out = 1 + moment_count_;
        args.out[0] = vector_of(part.parameters, elements);
        for (int m = 0; m < moment_count_; ++m) args.out[1 + m] = vector_of(moment(m) + at, elements);
        args_.push_back(args);
        at += (part.count + 15) / 16 * 16;
    }
    if (args_.empty()) return;
    kernel_ = &select(args_.front(), device.target());
    size_t workspace_bytes = 0;
    for (const KernelArgs& args : args_)
        if (kernel_->workspace) workspace_bytes = std::max(workspace_bytes, kernel_->workspace(args, device.threads()));
    workspace_ = device.allocate(workspace_bytes, ledger, MemoryCategory::workspace);
    for (KernelArgs& args : args_) args.workspace = workspace_.data();
    if (!device.is_host()) device_context_ = device.allocate(sizeof(StepContext));
}

OptimizerStep::OptimizerStep(const TrainConfig& config, const ModelState& state, RankRange range)
    : OptimizerStep(
          config,
          {{state.gradients.as<float>() + range.begin, state.parameters.as<float>() + range.begin, range.end - range.begin}},
          state.device, state.ledger) {}

void OptimizerStep::run(const StepContext& context, Communicator* split_over) {
    if (scaler_) scaler_->find_overflow();
    if (scaler_ && split_over) scaler_->agree(*split_over);
    context_ = context;
    context_.leaf_begin = nullptr;  // the host's, and of images: an update has none
    context_.sample_ids = nullptr;
    context_.on_device = device_context_.as<StepContext>();
    if (context_.on_device) device_.copy(device_context_.data(), &context_, sizeof context_);
    for (KernelArgs& args : args_) args.step = &context_;
    device_.run([&](const Team& team) {
        for (const KernelArgs& args : args_) device_.launch(*kernel_, args, team);  // of different memory: no barrier
    });
    if (scaler_) scaler_->end_update();
}

void OptimizerStep::run_range(const StepContext& context, RankRange range) const {
    KernelArgs args = args_.front();
    args.step = &context;
    const auto cut = [&](KernelTensor& tensor) {
        tensor.data = static_cast<float*>(tensor.data) + range.begin;
        tensor.dim[0] = static_cast<int64_t>(range.end - range.begin);
    };
    cut(args.in[0]);
    for (int32_t i = 0; i < args.n_out; ++i) cut(args.out[i]);
    kernel_->run(args, Team{0, 1, nullptr});
}

std::vector<NamedTensor> name_moments(const ModelState& state, const std::vector<const float*>& flat) {
    std::vector<NamedTensor> named;
    for_each_moment(state, flat.size(), [&](size_t m, const std::string& name, const Shape& shape, const FlatRange& range) {
        named.push_back({name, shape, std::vector<float>(static_cast<size_t>(range.count))});
        state.device.copy(named.back().data.data(), flat[m] + range.begin, named.back().data.size() * sizeof(float));
    });
    state.device.wait();
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
            state.device.copy(flat[m] + range.begin, found->data.data(), found->data.size() * sizeof(float));
    });
    state.device.wait();  // the buffers may be the host's
    if (!wrong.empty()) throw Error("these moments are missing or of another shape:" + wrong, origin);
}

}  // namespace xbench
