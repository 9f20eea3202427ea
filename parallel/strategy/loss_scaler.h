// Dynamic loss scaling, for training with products in fp16: the gradient of the loss is multiplied by a scale, so that small
// gradients are no zeros in fp16, and the optimizer divides by it. An update whose gradients are not all finite is skipped
// and the scale halved; after 2000 good ones it is doubled. All of it with the constants of PyTorch's GradScaler.
//
// The state lies in the device's memory and is read and changed by kernels alone (core/ops.h, LossScaling): the host never
// waits to know whether an update was skipped, and a step that was recorded can be replayed. Whether an update is skipped is
// the same on every rank: all see the same sums of gradients or, where these are split, agree() on it.
#pragma once

#include <vector>

#include "core/communicator.h"
#include "kernels/device.h"
#include "parallel/checkpoint/loss_scale.h"

namespace xbench {

class LossScaler {
public:
    // For gradients in these parts of the device's memory {elements}; empty ones are legal. The device outlives it.
    LossScaler(const std::vector<KernelTensor>& gradients, Device& device);

    // {1}, what StepContext::loss_scale points to.
    const float* scale() const { return state_.as<float>() + scaling_scale; }
    // {4}, the operand of the optimizer. It is the same from then on.
    const KernelTensor& operand() const { return scaling_; }

    // The parts of an update, in this order; the optimizer comes in front of end_update.
    void find_overflow() { run(find_); }
    void agree(Communicator& ranks);  // collective
    void end_update() { run(end_); }

    LossScale read() const;  // waits for the device
    void write(const LossScale& scale);

private:
    struct Call {
        const Kernel* kernel;
        KernelArgs args;
    };
    void add(OpKind op, std::vector<KernelTensor> in, std::vector<Call>& calls);
    void run(const std::vector<Call>& calls);

    Device& device_;
    const AlignedBuffer state_;
    const KernelTensor scaling_;
    std::vector<Call> find_, end_;
};

}  // namespace xbench
