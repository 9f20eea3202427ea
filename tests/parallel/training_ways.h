// The ways to train a small model that the tests of devices repeat: trainers, ranks, stages, overlap, precision. On ranks
// that are threads, each with a device of its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/datasets.h"
#include "kernels/device.h"
#include "parallel/train/trainer.h"
#include "tests/parallel/random_set.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {

struct Way {
    std::string name;
    int ranks = 1, stage = 0, threads = 1;
    void (*change)(Config&) = [](Config&) {};
    bool multilabel = false;
    int ranks_of_node = 0;  // 0: all
};

inline Config config_of(const Way& way) {
    Config config = small_run();
    config.data.synthetic.count = 75;
    way.change(config);
    if (config.train.ema_decay > 0) config.model.bn_momentum = 0.9995;  // statistics are averaged from the second step on
    return config;
}

inline std::unique_ptr<Dataset> dataset_of(const Way& way, const Config& config) {
    if (!way.multilabel) return open_dataset(config.data);
    SetShape shape;
    shape.multilabel = true;
    return std::make_unique<MemoryDataset>(random_set(shape));
}

// Which node each rank is on.
inline std::vector<int> nodes_of(const Way& way) {
    std::vector<int> nodes;
    for (int rank = 0; rank < way.ranks; ++rank) nodes.push_back(way.ranks_of_node ? rank / way.ranks_of_node : 0);
    return nodes;
}

// The device of a rank; null: the trainer's own, the CPU.
using DeviceOfRank = std::function<std::unique_ptr<Device>(int rank)>;

// Rank 0's result; options.stop is asked of rank 0 only. `look` is shown each rank's device in the end.
inline TrainResult train_on(const Way& way, const DeviceOfRank& device_of, TrainOptions options = {},
                            const std::function<void(Device*)>& look = {}) {
    const Config config = config_of(way);
    const auto dataset = dataset_of(way, config);
    TrainResult result;
    options.threads = way.threads;
    options.stage = way.stage;
    ThreadTeam team(nodes_of(way));
    on_ranks(team, [&](Communicator& communicator) {
        TrainOptions mine = options;
        const std::unique_ptr<Device> device = device_of ? device_of(communicator.rank()) : nullptr;
        mine.device = device.get();
        if (options.stop && communicator.rank() > 0) mine.stop = [] { return false; };
        TrainResult trained = train(config, *dataset, communicator, mine);
        if (look) look(device.get());
        if (communicator.rank() == 0) result = std::move(trained);
    });
    return result;
}

inline void make_deep(Config& config) {
    config.model.name = "cifar_cnn";
    config.data.synthetic.channels = 3;
    config.data.synthetic.size = 32;
    config.data.synthetic.count = 40;
    config.model.widths.clear();
    config.train.epochs = 1;
}

inline void accumulate(Config& config) {  // of a model without batch normalisation
    make_deep(config);
    config.model.name = "rsna_cnn";
    config.data.synthetic.channels = 1;
    config.train.accumulate = 2;
}

inline void overlap(Config& config) { config.train.overlap = "thread"; }

inline const std::vector<Way> ways{
    {"serial"},
    {"threads", 1, 0, 2},
    {"blocks", 1, 0, 1, [](Config& c) { c.train.virtual_ranks = 6; }},
    {"sgd", 1, 0, 1, [](Config& c) { c.train.optimizer = "sgd", c.train.learning_rate = 0.001; }},
    {"batchnorm", 1, 0, 1, make_deep},
    {"local_batchnorm", 2, 0, 1, [](Config& c) { make_deep(c), c.train.batchnorm = "local"; }},
    {"accumulate", 2, 0, 1, accumulate},
    {"checkpointing", 1, 0, 1, [](Config& c) { make_deep(c), c.train.activation_checkpointing = true; }},
    {"check_steps", 2, 0, 1, [](Config& c) { c.train.check_steps = 2; }},
    {"cpu_ddp", 2},
    {"three_ranks", 3},
    {"fast", 2, 0, 1, [](Config& c) { c.train.reduction = "fast"; }},
    {"zero1", 2, 1},
    {"zero2", 2, 2},
    {"zero3", 2, 3},
    {"zero3_of_three", 3, 3},
    {"zero3_batchnorm", 2, 3, 1, make_deep},
    {"zero3_accumulate", 2, 3, 1, accumulate},
    {"bf16", 1, 0, 1, [](Config& c) { make_deep(c), c.train.precision = "bf16"; }},
    {"several_labels", 2, 0, 1,
     [](Config& c) {
         c.train.pos_weight = {5, 2, 3};
     },
     true},
    {"features", 2, 0, 1,
     [](Config& c) {
         c.train.clip_norm = 0.1, c.train.ema_decay = 0.9, c.train.lr_schedule = "cosine";
         c.train.class_weights = {1, 3}, c.train.label_smoothing = 0.1, c.train.chunk_images = 24;
     }},
    {"features_zero3", 2, 3, 1,
     [](Config& c) {
         c.train.clip_norm = 0.1, c.train.ema_decay = 0.9, c.train.loss = "focal", c.train.class_weights = {1, 3};
         c.train.weight_decay = 0.1, c.train.decay_exclude = "bias_and_norm";
     }},
    {"clipped_zero1", 2, 1, 1, [](Config& c) { c.train.clip_norm = 0.1, c.train.optimizer = "adamw"; }},
    {"average_zero2", 3, 2, 1, [](Config& c) { c.train.ema_decay = 0.9, c.train.optimizer = "sgd"; }},
    {"average_batchnorm", 2, 3, 1, [](Config& c) { make_deep(c), c.train.ema_decay = 0.9; }},
    {"average_local_batchnorm", 2, 0, 1,
     [](Config& c) { make_deep(c), c.train.ema_decay = 0.9, c.train.batchnorm = "local"; }},
    {"average_copied", 2, 1, 1, [](Config& c) { c.train.ema_decay = 0.9, c.train.ema_statistics = "copied"; }},
    {"schedule_step", 2, 1, 1,
     [](Config& c) {
         c.train.lr_schedule = "step", c.train.lr_interval = "step", c.train.lr_step_size = 3, c.train.warmup_steps = 2;
     }},
    {"schedule_plateau", 2, 0, 1,
     [](Config& c) {
         c.train.lr_schedule = "plateau", c.train.lr_patience = 0, c.train.lr_threshold = 10, c.train.epochs = 3;
     }},
    {"buckets_inline", 3, 0, 1, [](Config& c) { c.train.overlap = "inline"; }},
    {"buckets_in_the_end", 3, 0, 1, [](Config& c) { c.train.overlap = "none"; }},
    {"frozen", 2, 2, 1,
     [](Config& c) {
         make_deep(c), c.train.freeze = {"f.0.*", "f.2.*", "f.5.*", "f.10.bias"};
     }},
    {"focal_of_several", 2, 0, 1,
     [](Config& c) {
         c.train.loss = "focal", c.train.class_weights = {5, 2, 3};
     },
     true},
    {"hybrid", 4, 3, 1, [](Config& c) { c.train.hybrid_sharding = true; }, false, 2},
    {"overlapped", 2, 0, 1, overlap},
    {"overlapped_batchnorm", 2, 0, 1, [](Config& c) { make_deep(c), overlap(c); }},
    {"overlapped_zero1", 2, 1, 1, overlap},
    {"overlapped_zero2", 3, 2, 1, overlap},
    {"overlapped_zero3", 2, 3, 1, overlap},
    {"overlapped_accumulate", 2, 3, 1, [](Config& c) { accumulate(c), overlap(c); }},
    {"overlapped_hybrid", 4, 3, 1, [](Config& c) { overlap(c), c.train.hybrid_sharding = true; }, false, 2}};

}  // namespace xbench::test
