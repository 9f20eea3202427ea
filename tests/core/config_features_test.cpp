// Keys of a training beside its optimizer: words or numbers, Keras' constants, and what does not go together.
#include <gtest/gtest.h>

#include "core/config.h"
#include "core/error.h"

namespace xbench {
namespace {

std::string mistakes(const std::string& train, const std::vector<std::string>& settings = {}) {
    try {
        parse_config("{\"train\": " + train + "}", "t.json", settings);
    } catch (const UsageError& error) {
        return error.what();
    }
    return "";
}

TEST(ConfigFeatures, AWordOrNumbers) {
    const Config config = parse_config(R"({"train": {"pos_weight": "sqrt", "class_weights": [1, 2.5]}})", "t");
    EXPECT_EQ(config.train.pos_weight_rule, "sqrt");
    EXPECT_TRUE(config.train.pos_weight.empty());
    EXPECT_EQ(config.train.class_weights, (std::vector<double>{1, 2.5}));
    EXPECT_EQ(parse_config("{}", "t", {"train.class_weights=balanced"}).train.class_weight_rule, "balanced");
    EXPECT_EQ(parse_config(R"({"train": {"pos_weight": "none"}})", "t").train.pos_weight_rule, "");
    EXPECT_EQ(to_json(config)["train"]["pos_weight"], "sqrt");
    EXPECT_NE(mistakes(R"({"pos_weight": "sqr"})").find("did you mean sqrt?"), std::string::npos);
    EXPECT_NE(mistakes(R"({"class_weights": [1, 0]})").find("/train/class_weights/1: 0 is out of range"), std::string::npos);
}

TEST(ConfigFeatures, KerasConstantsAreDefaults) {
    const Config keras = parse_config(R"({"train": {"constants": "keras"}})", "t");
    EXPECT_EQ(keras.model.bn_eps, 1e-3);
    EXPECT_EQ(keras.model.bn_momentum, 0.01);
    EXPECT_EQ(keras.model.initializer, "glorot_uniform");
    EXPECT_EQ(keras.train.adam_epsilon, 1e-7);
    EXPECT_EQ(keras.train.class_weight_mean, "images");
    const Config given = parse_config(R"({"model": {"name": "m", "bn_eps": 0.5}, "train": {"constants": "keras"}})", "t",
                                      {"train.adam_epsilon=0.25"});
    EXPECT_EQ(given.model.bn_eps, 0.5);
    EXPECT_EQ(given.train.adam_epsilon, 0.25);
    EXPECT_EQ(parse_config("{}", "t").train.adam_epsilon, 1e-8);
}

TEST(ConfigFeatures, WhatDoesNotGoTogetherIsRefused) {
    EXPECT_NE(mistakes(R"({"loss": "focal", "label_smoothing": 0.1})").find("/train/label_smoothing"), std::string::npos);
    EXPECT_NE(mistakes(R"({"loss": "focal", "pos_weight": 2})").find("/train/pos_weight"), std::string::npos);
    EXPECT_NE(mistakes(R"({"clip_norm": 1, "overlap": "fused"})").find("/train/overlap"), std::string::npos);
    EXPECT_NE(mistakes(R"({"lr_min": 1})").find("/train/lr_min"), std::string::npos);
    EXPECT_NE(mistakes(R"({"chunk_images": 2, "chunk_partitions": 3})").find("/train/chunk_partitions"), std::string::npos);
    EXPECT_NE(mistakes(R"({"freeze": [1]})").find("/train/freeze/0: expected a text"), std::string::npos);
    EXPECT_EQ(mistakes(R"({"freeze": "f.0.*", "ema_decay": 0.99, "clip_norm": 1})"), "");
}

}  // namespace
}  // namespace xbench
