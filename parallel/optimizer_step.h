// The optimizer over a range of the flat parameters: its moments, which exist for that range only, and its one kernel.
#pragma once

#include <string>

#include "core/communicator.h"
#include "core/config.h"
#include "parallel/model_state.h"

namespace xbench {

class OptimizerStep {
public:
    // Range in elements of the flat buffers, begin and end on multiples of 16 or the end of the buffer.
    OptimizerStep(const TrainConfig& config, const ModelState& state, RankRange range, Isa isa, int threads);
    // Updates the range's parameters from its gradients. An empty range is legal.
    void run(const StepContext& context);

    const RankRange& range() const { return range_; }
    int moments() const { return args_.n_out - 1; }
    float* moment(int index) const { return static_cast<float*>(args_.out[1 + index].data); }  // {range}
    size_t bytes() const { return moments_.bytes(); }

private:
    const RankRange range_;
    const int threads_;
    const Optimizer attrs_;
    AlignedBuffer moments_, workspace_;
    KernelArgs args_{};
    const Kernel* kernel_ = nullptr;
};

// Moments as tensors m0.<parameter> ..., cut out of or put into full-length flat buffers {elements of the parameters}, one
// for each moment. load throws Error that lists what is missing or of another shape.
std::vector<NamedTensor> name_moments(const ModelState& state, const std::vector<const float*>& flat);
void find_moments(const ModelState& state, const std::vector<NamedTensor>& moments, const std::string& origin,
                  const std::vector<float*>& flat);

}  // namespace xbench
