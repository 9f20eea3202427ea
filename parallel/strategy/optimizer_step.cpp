// Setting up and running the optimizer's kernels.
#include "parallel/strategy/optimizer_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/plain_nan.h"
#include "parallel/strategy/not_finite.h"
#include "parallel/strategy/whole_lines.h"

namespace xbench {
namespace {

constexpr const char* average_name = "ema";

Optimizer optimizer_attrs(const TrainConfig& config, bool decays) {
    Optimizer attrs{};
    attrs.beta1 = static_cast<float>(config.beta1);
    attrs.beta2 = static_cast<float>(config.beta2);
    attrs.eps = static_cast<float>(config.adam_epsilon);
    attrs.weight_decay = decays ? static_cast<float>(config.weight_decay) : 0.0f;
    attrs.momentum = static_cast<float>(config.momentum);
    attrs.decoupled = config.optimizer == "adamw";
    attrs.average_decay = static_cast<float>(config.ema_decay);
    return attrs;
}

int own_moments(const TrainConfig& config) { return config.optimizer == "sgd" ? 1 : 2; }
bool scales_loss(const TrainConfig& config) { return config.precision == "fp16"; }

KernelTensor vector_of(void* data, int64_t elements) { return kernel_tensor({elements}, DType::f32, Layout::plain, data); }

// call(name, value, range) for each moment of each parameter.
template <class F>
void for_each_moment(const ModelState& state, const std::vector<std::string>& names, F&& call) {
    for (size_t m = 0; m < names.size(); ++m)
        for (const ValueId id : state.graph.parameters)
            call(m, names[m] + "." + state.graph.value(id).name, state.graph.value(id).shape, state.flat.find(id));
}

std::vector<KernelTensor> vectors_of_gradients(const std::vector<OptimizerPart>& parts) {
    std::vector<KernelTensor> gradients;
    for (const OptimizerPart& part : parts) gradients.push_back(vector_of(part.gradients, static_cast<int64_t>(part.count)));
    return gradients;
}

std::vector<GradientPart> gradients_of(const std::vector<OptimizerPart>& parts) {
    std::vector<GradientPart> gradients;
    for (const OptimizerPart& part : parts) gradients.push_back({part.gradients, part.begin, part.count});
    return gradients;
}

bool is_decayed(const TrainConfig& config, const Value& value) {
    return config.decay_exclude == "none" || value.shape.rank > 1;
}

}  // namespace

int moment_count(const TrainConfig& config) { return own_moments(config) + (config.ema_decay > 0 ? 1 : 0); }

std::vector<std::string> OptimizerStep::moment_names() const {
    std::vector<std::string> names;
    for (int m = 0; m < moment_count_ - (averages_ ? 1 : 0); ++m) names.push_back("m" + std::to_string(m));
    if (averages_) names.emplace_back(average_name);
    return names;
}

OptimizerStep::OptimizerStep(const TrainConfig& config, const ModelState& state, const std::vector<OptimizerPart>& parts,
                             ControlPlane* others, MemoryLedger* ledger)
    : device_(state.device),
      state_(state),
      moment_count_(moment_count(config)),
      averages_(config.ema_decay > 0),
      clip_norm_(config.clip_norm),
      attrs_(optimizer_attrs(config, true)),
      undecayed_(optimizer_attrs(config, false)),
      parts_(parts) {
    for (const OptimizerPart& part : parts) stride_ += in_whole_lines(part.count);
    moments_ =
        device_.allocate(static_cast<size_t>(moment_count_) * stride_ * sizeof(float), ledger, MemoryCategory::optimizer);
    if (scales_loss(config)) scaler_.emplace(vectors_of_gradients(parts), device_);
    size_t at = 0;
    for (const OptimizerPart& part : parts) {
        add_pieces(config, part, at);
        at += in_whole_lines(part.count);
    }
    if (clip_norm_ > 0) norm_.emplace(gradients_of(parts), device_, others, ledger);
    if (averages_statistics(config)) statistics_.emplace(state, average_call(), config.weights.empty(), ledger);
    if (averages_) swap_.emplace(device_, std::max(stride_, statistics_ ? statistics_->bytes() / sizeof(float) : 0));
    if (!device_.is_host()) device_context_ = device_.allocate(sizeof(StepContext));
    if (pieces_.empty()) return;
    kernel_ = &select(pieces_.front().update, device_.target());
    if (averages_) average_kernel_ = &select(pieces_.front().average, device_.target());
    size_t workspace_bytes = 0;
    for (const Piece& piece : pieces_)
        if (kernel_->workspace)
            workspace_bytes = std::max(workspace_bytes, kernel_->workspace(piece.update, device_.threads()));
    workspace_ = device_.allocate(workspace_bytes, ledger, MemoryCategory::workspace);
    for (Piece& piece : pieces_) piece.update.workspace = workspace_.data();
}

OptimizerStep::OptimizerStep(const TrainConfig& config, const ModelState& state)
    : OptimizerStep(config, state,
                    {{state.gradients.as<float>(), state.parameters.as<float>(), 0,
                      static_cast<size_t>(state.flat.parameter_elements)}},
                    nullptr, state.ledger) {}

// A part that is updated alike is one piece. What lies between two parameters is the first one's.
void OptimizerStep::add_pieces(const TrainConfig& config, const OptimizerPart& part, size_t at) {
    const auto& ranges = state_.flat.parameters;
    size_t begin = 0;
    for (size_t i = 0; i < ranges.size() && begin < part.count; ++i) {
        const bool decays = is_decayed(config, state_.graph.value(ranges[i].value));
        const bool same = i + 1 < ranges.size() && is_decayed(config, state_.graph.value(ranges[i + 1].value)) == decays;
        if (same) continue;
        const size_t next = i + 1 < ranges.size() ? static_cast<size_t>(ranges[i + 1].begin) : SIZE_MAX;
        if (next <= part.begin) continue;
        const size_t end = next == SIZE_MAX ? part.count : std::min(part.count, next - part.begin);
        if (end > begin) add_piece(config, part, at, {begin, end}, decays);
        begin = end;
    }
}

KernelArgs OptimizerStep::average_call() const {
    KernelArgs args{};
    args.op = OpKind::average_weights;
    args.attrs = &attrs_;
    args.leaves = 1;
    args.step = &context_;
    args.n_in = scaler_ ? 2 : 1;
    if (scaler_) args.in[1] = scaler_->operand();
    args.n_out = 1;
    return args;
}

void OptimizerStep::add_piece(const TrainConfig& config, const OptimizerPart& part, size_t at, RankRange range,
                              bool decays) {
    const auto elements = static_cast<int64_t>(range.end - range.begin);
    const auto own = own_moments(config);
    Piece piece{};
    piece.begin = range.begin;
    KernelArgs& args = piece.update;
    args.op = config.optimizer == "sgd" ? OpKind::sgd : OpKind::adam;
    args.attrs = decays ? &attrs_ : &undecayed_;
    args.leaves = 1;
    args.step = &context_;
    args.n_in = scaler_ ? 2 : 1;
    args.in[0] = vector_of(part.gradients + range.begin, elements);
    if (scaler_) args.in[1] = scaler_->operand();
    args.n_out = 1 + own;
    args.out[0] = vector_of(part.parameters + range.begin, elements);
    for (int m = 0; m < own; ++m) args.out[1 + m] = vector_of(moment(m) + at + range.begin, elements);
    if (averages_) {
        piece.average = average_call();
        piece.average.in[0] = args.out[0];
        piece.average.out[0] = vector_of(moment(own) + at + range.begin, elements);
    }
    pieces_.push_back(piece);
}

// min(1, clip_norm / (norm + 1e-6)), as PyTorch's clip_grad_norm_. A norm that is not finite is an overflow where the loss
// is scaled: the update is skipped on the device, whatever its factor.
void OptimizerStep::clip() {
    gradient_norm_ = (*norm_)();
    if (scaler_) gradient_norm_ /= scaler_->read().scale;
    if (scaler_ && !std::isfinite(gradient_norm_)) return;
    if (!std::isfinite(gradient_norm_)) {
        const std::string found = find_not_finite(state_, state_.flat.parameters, state_.gradient_parts());
        throw Error(fmt::format("the norm of the gradients is {}{}", plain_nan(gradient_norm_),
                                found.empty() ? "; another rank has the tensor" : ": that of " + found),
                    fmt::format("training step {}", context_.update),
                    "lower the learning rate, or look at the images of that step");
    }
    attrs_.gradient_scale = static_cast<float>(std::min(1.0, clip_norm_ / (gradient_norm_ + 1e-6)));
    undecayed_.gradient_scale = attrs_.gradient_scale;
}

void OptimizerStep::run(const StepContext& context, Communicator* split_over) {
    begin(context);
    order(split_over);
}

void OptimizerStep::begin(const StepContext& context) {
    context_ = context;
    context_.leaf_begin = nullptr;  // the host's, and of images: an update has none
    context_.sample_ids = nullptr;
    context_.on_device = device_context_.as<StepContext>();
    if (context_.on_device) device_.copy(device_context_.data(), &context_, sizeof context_);
}

// Unscale, clip, update, average. The update applies the factors of the first two.
void OptimizerStep::order(Communicator* split_over) {
    if (scaler_) scaler_->find_overflow();
    if (scaler_ && split_over) scaler_->agree(*split_over);
    if (norm_) clip();
    device_.run([&](const Team& team) {
        for (const Piece& piece : pieces_) device_.launch(*kernel_, piece.update, team);  // of different memory: no barrier
    });
    if (averages_)
        device_.run([&](const Team& team) {
            for (const Piece& piece : pieces_) device_.launch(*average_kernel_, piece.average, team);
            average_statistics(team);
        });
    if (scaler_) scaler_->end_update();
}

void OptimizerStep::run_range(const StepContext& context, RankRange range) const {
    for (const Piece& piece : pieces_) {
        const size_t count = static_cast<size_t>(piece.update.out[0].dim[0]);
        const size_t begin = std::max(range.begin, piece.begin), end = std::min(range.end, piece.begin + count);
        if (begin >= end) continue;
        const auto run = [&](const Kernel& kernel, KernelArgs args) {
            args.step = &context;
            const auto cut = [&](KernelTensor& tensor) {
                tensor.data = static_cast<float*>(tensor.data) + (begin - piece.begin);
                tensor.dim[0] = static_cast<int64_t>(end - begin);
            };
            cut(args.in[0]);
            for (int32_t i = 0; i < args.n_out; ++i) cut(args.out[i]);
            kernel.run(args, Team{0, 1, nullptr});
        };
        run(*kernel_, piece.update);
        if (averages_) run(*average_kernel_, piece.average);
    }
}

void OptimizerStep::start_average() {
    if (!averages_) return;
    float* to = moment(moment_count_ - 1);
    for (const OptimizerPart& part : parts_) {
        device_.copy(to, part.parameters, part.count * sizeof(float));
        to += in_whole_lines(part.count);
    }
    if (statistics_) statistics_->start();
}

void OptimizerStep::swap_average() {
    float* average = moment(moment_count_ - 1);
    for (const OptimizerPart& part : parts_) {
        (*swap_)(part.parameters, average, part.count);
        average += in_whole_lines(part.count);
    }
    if (statistics_) statistics_->swap(*swap_);
}

void OptimizerStep::swap_average(RankRange range) {
    (*swap_)(parts_.front().parameters + range.begin, moment(moment_count_ - 1) + range.begin, range.end - range.begin);
    if (statistics_) statistics_->swap(*swap_);
}

void OptimizerStep::save_statistics(std::vector<NamedTensor>& tensors) const {
    if (statistics_) statistics_->save(average_name, tensors);
}

void OptimizerStep::load_statistics(const std::vector<NamedTensor>& tensors, const std::string& origin) {
    if (statistics_) statistics_->load(average_name, tensors, origin);
}

std::vector<NamedTensor> name_moments(const ModelState& state, const std::vector<std::string>& names,
                                      const std::vector<const float*>& flat) {
    std::vector<NamedTensor> named;
    for_each_moment(state, names, [&](size_t m, const std::string& name, const Shape& shape, const FlatRange& range) {
        named.push_back({name, shape, std::vector<float>(static_cast<size_t>(range.count))});
        state.device.copy(named.back().data.data(), flat[m] + range.begin, named.back().data.size() * sizeof(float));
    });
    state.device.wait();
    return named;
}

void find_moments(const ModelState& state, const std::vector<NamedTensor>& moments, const std::string& origin,
                  const std::vector<std::string>& names, const std::vector<float*>& flat) {
    std::string wrong;
    for_each_moment(state, names, [&](size_t m, const std::string& name, const Shape& shape, const FlatRange& range) {
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
