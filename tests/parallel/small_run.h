// A training run small enough for a test: the pneumonia model on synthetic images, with a short last batch.
#pragma once

#include "parallel/train/trainer.h"

namespace xbench::test {

inline Config small_run() {
    Config config;
    config.model.name = "pneumonia_cnn";
    config.model.widths = {4, 6, 8};
    config.data.synthetic.count = 150;  // 106 to train on: the last batch has 10 images
    config.data.synthetic.size = 24;
    config.train.batch_size = 16;
    config.train.epochs = 2;
    config.train.learning_rate = 0.01;
    return config;
}

}  // namespace xbench::test
