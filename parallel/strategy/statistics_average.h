// The average of the running statistics that goes with the average of the weights (train.ema_statistics: averaged).
//
// The weights in front of a normalisation drift in directions that training does not see, for it normalises by the batch.
// Running statistics of the newest weights therefore do not fit averaged ones. Averaged as the weights are, they lag as far
// behind. Those of frozen normalisations have no average: they stay as they are, to the bit.
//
// Fresh statistics say nothing about the data at first: a mean of 0, a variance of 1. A slow average would hold on to that
// for thousands of steps. So it begins when they have forgotten it, and is a copy of them until then.
//
// Every rank has the whole of it, as it has the statistics. {elements}: the statistics with the gaps between them, f32.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "parallel/strategy/device_swap.h"
#include "parallel/strategy/model_state.h"

namespace xbench {

class StatisticsAverage {
public:
    // `weights`: the call that averages some weights; statistics are averaged likewise, also where an update is skipped.
    // `fresh`: the statistics are not those of a training before this one.
    StatisticsAverage(const ModelState& state, const KernelArgs& weights, bool fresh, MemoryLedger* ledger);

    void run(const Team& team) const noexcept;  // into the order of the device, behind the update; called by the whole team
    void start();                               // it becomes the statistics as they are
    void end_update(uint32_t update);           // the first is 1; behind run(), not recorded
    void swap(const DeviceSwap& swap);          // statistics and average change places
    // As tensors <name>.<statistic>. load throws Error that lists what is missing or of another shape.
    void save(const std::string& name, std::vector<NamedTensor>& tensors) const;
    void load(const std::string& name, const std::vector<NamedTensor>& tensors, const std::string& origin);
    size_t bytes() const { return average_.bytes(); }

private:
    // Neighbours in the flat state.
    struct Piece {
        float *statistics, *average;
        size_t count;
        KernelArgs call;
    };
    float* average_of(const FlatRange& range) const;

    const ModelState& state_;
    std::vector<FlatRange> ranges_;  // one for each statistic, in the flat state
    std::vector<Piece> pieces_;
    const uint32_t copied_updates_;
    AlignedBuffer average_;
    const Kernel* kernel_ = nullptr;
};

// Updates until a thousandth is left of what the statistics began as: 66 for a momentum of 0.1.
uint32_t updates_to_settle(const Graph& graph);
bool averages_statistics(const TrainConfig& config);
// Elements of the average: a function of the graph, lowered for training or not, and its flat state.
size_t averaged_statistics(const TrainConfig& config, const Graph& graph, const FlatParameters& flat);

}  // namespace xbench
