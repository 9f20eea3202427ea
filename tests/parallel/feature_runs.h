// What tests of a training's features share: a small run of one feature, on any number of ranks.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "data/set/memory_dataset.h"
#include "tests/parallel/random_set.h"
#include "tests/parallel/run_on.h"

namespace xbench::test {

struct Feature {
    std::string name;
    void (*change)(TrainConfig&);
    bool multilabel = false;
};

inline Config config_with(const Feature& feature) {
    Config config = small_run();
    config.train.epochs = 3;
    feature.change(config.train);
    if (config.train.ema_decay > 0) config.model.bn_momentum = 0.9995;  // statistics are averaged from the second step on
    return config;
}

inline std::unique_ptr<Dataset> dataset_for(const Feature& feature, const Config& config) {
    if (!feature.multilabel) return open_dataset(config.data);
    return std::make_unique<MemoryDataset>(random_set({.train = 100, .multilabel = true}));
}

inline TrainResult run_feature(const Feature& feature, int ranks, int stage, TrainOptions options = {}) {
    const Config config = config_with(feature);
    const auto dataset = dataset_for(feature, config);
    options.stage = stage;
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainOptions mine = options;
        if (mine.stop && communicator.rank() > 0) mine.stop = [] { return false; };
        TrainResult trained = train(config, *dataset, communicator, mine);
        if (communicator.rank() == 0) result = std::move(trained);
    });
    return result;
}

}  // namespace xbench::test
