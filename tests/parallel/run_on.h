// A training run over ranks that are threads: what every test of trainers starts from. Rank 0's result.
#pragma once

#include "data/datasets.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {

inline TrainResult run_on(int ranks, const Config& config, int threads = 1, int stage = 0) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    TrainOptions options;
    options.threads = threads;
    options.stage = stage;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainResult mine = train(config, *dataset, communicator, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

}  // namespace xbench::test
