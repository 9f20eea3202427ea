// The optimizer over parts of the flat parameters: its moments, which exist for those parts only, and its kernels. What
// happens to gradients between their sum over ranks and the update happens here: unscale, clip, update, average, that of the
// running statistics (parallel/strategy/statistics_average.h) included. With products in fp16, loss scaling
// (parallel/strategy/loss_scaler.h) comes before and behind it.
#pragma once

#include <optional>
#include <string>

#include "core/communicator.h"
#include "core/config.h"
#include "parallel/strategy/gradient_norm.h"
#include "parallel/strategy/loss_scaler.h"
#include "parallel/strategy/model_state.h"
#include "parallel/strategy/statistics_average.h"

namespace xbench {

// Neighbouring elements of parameters and their gradients, wherever each of them lies.
struct OptimizerPart {
    float *gradients, *parameters;
    size_t begin, count;  // in the flat buffer
};

class OptimizerStep {
public:
    // Parts begin on multiples of 64 bytes; empty ones are legal. `others`: the ranks that have the parameters which the
    // parts leave out; null: nobody.
    OptimizerStep(const TrainConfig& config, const ModelState& state, const std::vector<OptimizerPart>& parts,
                  ControlPlane* others, MemoryLedger* ledger = nullptr);
    // All parameters.
    OptimizerStep(const TrainConfig& config, const ModelState& state);
    OptimizerStep(const OptimizerStep&) = delete;
    OptimizerStep& operator=(const OptimizerStep&) = delete;
    // Updates the parts' parameters from their gradients. `split_over` are the ranks that have the other parts, null where
    // each has all of them. Collective over them, and over the others where gradients are clipped. Throws Error that names
    // a tensor where the norm is not finite, unless the loss is scaled: such an update is skipped.
    void run(const StepContext& context, Communicator* split_over = nullptr);
    // The same in two halves: what the host does, and what goes into the order of the device, which may be recorded, unless
    // the host decides something in between.
    void begin(const StepContext& context);
    void order(Communicator* split_over = nullptr);
    // Behind both, or run_range(), and never recorded.
    void end_update(const StepContext& context) {
        if (statistics_) statistics_->end_update(context.update);
    }
    bool host_decides() const { return norm_.has_value() || device_.is_host(); }
    // Updates this range of the one part, in elements, on the calling thread of the host; several may do so at once. Never
    // clips, and leaves the running statistics' average to average_statistics(), which a whole team calls once an update.
    void run_range(const StepContext& context, RankRange range) const;
    void average_statistics(const Team& team) const noexcept {
        if (statistics_) statistics_->run(team);
    }

    // With train.ema_decay the average of the weights is the last of the moments.
    int moments() const { return moment_count_; }
    float* moment(int index) const {
        return moments_.as<float>() + static_cast<size_t>(index) * stride_;
    }                                               // part after part
    std::vector<std::string> moment_names() const;  // "m0", "m1", "ema"
    // The average of the running statistics, which is no moment, as tensors ema.<statistic>, where there is one.
    void save_statistics(std::vector<NamedTensor>& tensors) const;
    void load_statistics(const std::vector<NamedTensor>& tensors, const std::string& origin);
    size_t bytes() const { return moments_.bytes() + (statistics_ ? statistics_->bytes() : 0); }
    LossScaler* loss_scaler() { return scaler_ ? &*scaler_ : nullptr; }  // null: the loss is not scaled

    bool averages() const { return averages_; }
    void start_average();                // it becomes the parameters, and the statistics, as they are
    void swap_average();                 // they and the average change places
    void swap_average(RankRange range);  // of the one part, and of all statistics
    // Of the last update, unscaled, before clipping: 0 where it does not clip, not finite where it was skipped.
    double gradient_norm() const { return gradient_norm_; }

private:
    // Neighbours that are updated alike.
    struct Piece {
        KernelArgs update, average;
        size_t begin;  // in its part
    };
    void add_pieces(const TrainConfig& config, const OptimizerPart& part, size_t at);
    void add_piece(const TrainConfig& config, const OptimizerPart& part, size_t at, RankRange range, bool decays);
    KernelArgs average_call() const;  // but for what it averages
    void clip();

    Device& device_;
    const ModelState& state_;
    const int moment_count_;
    const bool averages_;
    const double clip_norm_;
    Optimizer attrs_, undecayed_;  // of parameters that weight_decay leaves alone
    const std::vector<OptimizerPart> parts_;
    size_t stride_ = 0;  // elements between two moments
    AlignedBuffer moments_, workspace_;
    AlignedBuffer device_context_;  // context_ where kernels cannot read the host's
    std::vector<Piece> pieces_;
    StepContext context_{};  // of the last run, without images
    const Kernel *kernel_ = nullptr, *average_kernel_ = nullptr;
    std::optional<GradientNorm> norm_;
    double gradient_norm_ = 0;
    std::optional<LossScaler> scaler_;
    std::optional<StatisticsAverage> statistics_;
    std::optional<DeviceSwap> swap_;  // where there is an average
};

// How many moments an element has, the average of the weights included.
int moment_count(const TrainConfig& config);

// Moments as tensors <name>.<parameter> ..., cut out of or put into full-length flat buffers {elements of the parameters} of
// the host or the state's device, one for each name. load throws Error that lists what is missing or of another shape.
std::vector<NamedTensor> name_moments(const ModelState& state, const std::vector<std::string>& names,
                                      const std::vector<const float*>& flat);
void find_moments(const ModelState& state, const std::vector<NamedTensor>& moments, const std::string& origin,
                  const std::vector<std::string>& names, const std::vector<float*>& flat);

}  // namespace xbench
