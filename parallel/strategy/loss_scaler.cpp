// Kernels over the state of loss scaling.
#include "parallel/strategy/loss_scaler.h"

#include <algorithm>

namespace xbench {
namespace {

constexpr LossScaling constants{2, 0.5f, 2000};

}  // namespace

LossScaler::LossScaler(const std::vector<KernelTensor>& gradients, Device& device)
    : device_(device),
      state_(device.allocate(scaling_elements * sizeof(float))),
      scaling_(kernel_tensor({scaling_elements}, DType::f32, Layout::plain, state_.data())) {
    for (const KernelTensor& part : gradients)
        if (part.dim[0] > 0) add(OpKind::find_overflow, {part, scaling_}, find_);
    add(OpKind::update_loss_scale, {scaling_}, end_);
    write({});
}

void LossScaler::add(OpKind op, std::vector<KernelTensor> in, std::vector<Call>& calls) {
    Call call{};
    call.args.op = op;
    call.args.attrs = &constants;
    call.args.leaves = 1;
    call.args.n_in = static_cast<int32_t>(in.size());
    std::copy(in.begin(), in.end(), call.args.in);
    call.args.n_out = 1;
    call.args.out[0] = scaling_;
    call.kernel = &select(call.args, device_.target());
    calls.push_back(call);
}

void LossScaler::run(const std::vector<Call>& calls) {
    device_.run([&](const Team& team) {
        for (const Call& call : calls) device_.launch(*call.kernel, call.args, team);
    });
}

void LossScaler::agree(Communicator& ranks) {
    if (ranks.size() > 1) ranks.all_reduce_sum(state_.as<float>() + scaling_overflow, 1, Reduction::fast);
}

LossScale LossScaler::read() const {
    return device_.read(state_.as<float>(), scaling_elements, [](const float* state) {
        return LossScale{static_cast<double>(state[scaling_scale]), static_cast<int64_t>(state[scaling_good]),
                         static_cast<int64_t>(state[scaling_skipped])};
    });
}

void LossScaler::write(const LossScale& scale) {
    device_.write(state_.as<float>(), scaling_elements, [&](float* state) {
        state[scaling_scale] = static_cast<float>(scale.scale);
        state[scaling_good] = static_cast<float>(scale.good_updates);
        state[scaling_skipped] = static_cast<float>(scale.skipped_updates);
        state[scaling_overflow] = 0;
    });
}

}  // namespace xbench
