// The optimizer over parts of the flat parameters: its moments, which exist for those parts only, and its one kernel. With
// products in fp16, loss scaling (parallel/strategy/loss_scaler.h) comes before and behind it.
#pragma once

#include <optional>
#include <string>

#include "core/communicator.h"
#include "core/config.h"
#include "parallel/strategy/loss_scaler.h"
#include "parallel/strategy/model_state.h"

namespace xbench {

// Neighbouring elements of parameters and their gradients, wherever each of them lies.
struct OptimizerPart {
    float *gradients, *parameters;
    size_t count;
};

class OptimizerStep {
public:
    // Parts begin on multiples of 64 bytes; empty ones are legal.
    OptimizerStep(const TrainConfig& config, const std::vector<OptimizerPart>& parts, Device& device,
                  MemoryLedger* ledger = nullptr);
    // A range of the whole buffers, in elements.
    OptimizerStep(const TrainConfig& config, const ModelState& state, RankRange range);
    // Updates the parts' parameters from their gradients. `split_over` are the ranks that have the other parts, null where
    // each has all of them; collective then.
    void run(const StepContext& context, Communicator* split_over = nullptr);
    // Updates this range of the one part, in elements, on the calling thread of the host; several may do so at once.
    void run_range(const StepContext& context, RankRange range) const;

    int moments() const { return moment_count_; }
    float* moment(int index) const {
        return moments_.as<float>() + static_cast<size_t>(index) * stride_;
    }  // part after part
    size_t bytes() const { return moments_.bytes(); }
    LossScaler* loss_scaler() { return scaler_ ? &*scaler_ : nullptr; }  // null: the loss is not scaled

private:
    Device& device_;
    const int moment_count_;
    const Optimizer attrs_;
    size_t stride_ = 0;  // elements between two moments
    AlignedBuffer moments_, workspace_;
    AlignedBuffer device_context_;  // context_ where kernels cannot read the host's
    std::vector<KernelArgs> args_;  // one a part
    StepContext context_{};         // of the last run, without images
    const Kernel* kernel_ = nullptr;
    std::optional<LossScaler> scaler_;
};

// How many moments an element has.
int moment_count(const TrainConfig& config);

// Moments as tensors m0.<parameter> ..., cut out of or put into full-length flat buffers {elements of the parameters} of the
// host or the state's device, one for each moment. load throws Error that lists what is missing or of another shape.
std::vector<NamedTensor> name_moments(const ModelState& state, const std::vector<const float*>& flat);
void find_moments(const ModelState& state, const std::vector<NamedTensor>& moments, const std::string& origin,
                  const std::vector<float*>& flat);

}  // namespace xbench
