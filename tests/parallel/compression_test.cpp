// Compressed gradients: rounding to 16 bits, sums of them, PowerSGD and its error feedback.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/rng.h"
#include "data/datasets.h"
#include "models/graph_builder.h"
#include "parallel/strategy/compression.h"
#include "parallel/strategy/power_sgd.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

TEST(HalfFormat, RoundsToNearestEven) {
    const auto fp16 = [](float x) { return from_half(to_half(x, HalfFormat::fp16), HalfFormat::fp16); };
    const auto bf16 = [](float x) { return from_half(to_half(x, HalfFormat::bf16), HalfFormat::bf16); };
    EXPECT_EQ(fp16(1.0f + 0x1p-11f), 1.0f);               // halfway, to even
    EXPECT_EQ(fp16(1.0f + 0x1.8p-10f), 1.0f + 0x1p-9f);   // halfway, to even
    EXPECT_EQ(fp16(1.0f + 0x1.1p-11f), 1.0f + 0x1p-10f);  // above halfway
    EXPECT_EQ(fp16(65504.0f), 65504.0f);
    EXPECT_EQ(fp16(65520.0f), std::numeric_limits<float>::infinity());
    EXPECT_EQ(fp16(-0x1p-24f), -0x1p-24f);  // the smallest denormal
    EXPECT_EQ(fp16(0x1p-25f), 0.0f);
    EXPECT_EQ(fp16(0x1.8p-25f), 0x1p-24f);
    EXPECT_EQ(fp16(0x1.ff8p-15f), 0x1.ff8p-15f);
    EXPECT_TRUE(std::signbit(fp16(-0.0f)));
    EXPECT_EQ(bf16(1.0f + 0x1p-8f), 1.0f);
    EXPECT_EQ(bf16(1.0f + 0x1.8p-7f), 1.0f + 0x1p-6f);
    for (const float special : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (const auto& round : {+[](float x) { return from_half(to_half(x, HalfFormat::fp16), HalfFormat::fp16); },
                                  +[](float x) { return from_half(to_half(x, HalfFormat::bf16), HalfFormat::bf16); }}) {
            EXPECT_EQ(std::isnan(round(special)), std::isnan(special));
            EXPECT_EQ(std::isinf(round(special)), std::isinf(special));
        }
}

TEST(HalfFormat, RoundingErrorsAreBounded) {
    Random random(1, RandomUse::test_data);
    for (int i = 0; i < 20000; ++i) {
        const float value = random.normal() * std::exp2(static_cast<float>(random.below(20)) - 12.0f);
        const float fp16 = from_half(to_half(value, HalfFormat::fp16), HalfFormat::fp16);
        const float bf16 = from_half(to_half(value, HalfFormat::bf16), HalfFormat::bf16);
        EXPECT_LE(std::abs(fp16 - value), std::max(std::abs(value) * 0x1p-11f, 0x1p-25f));
        EXPECT_LE(std::abs(bf16 - value), std::abs(value) * 0x1p-8f);
    }
}

// Small integers are exact in both formats; every rank must have the same sums.
TEST(HalfSum, AddsOverAllRanks) {
    for (const int ranks : {1, 2, 3, 4})
        for (const HalfFormat format : {HalfFormat::fp16, HalfFormat::bf16})
            for (const size_t count : {size_t{1}, size_t{33}, size_t{100}, size_t{5001}})
                on_ranks(ranks, [&](Communicator& c) {
                    HalfSum halves(format, ranks, 6000);
                    std::vector<float> data(count);
                    for (size_t i = 0; i < count; ++i)
                        data[i] = static_cast<float>(i % 19) * static_cast<float>(c.rank() + 1);
                    const size_t sent = halves.sum(data.data(), count, c);
                    for (size_t i = 0; i < count; ++i)
                        ASSERT_EQ(data[i], static_cast<float>(i % 19) * static_cast<float>(ranks * (ranks + 1) / 2))
                            << count << " elements on " << ranks << " ranks, at " << i;
                    if (count == 5001 && ranks == 2) {
                        EXPECT_LT(static_cast<double>(sent), 1.02 * 2 * static_cast<double>(count));
                    }
                });
}

// One 12 x 20 matrix and one vector.
Graph one_layer() {
    GraphBuilder g("one_layer");
    g.begin_unit("all");
    ValueId x = g.input(5, 2, 2);
    x = g.linear(g.flatten(x, "f.0"), "f.1", 12);
    return g.finish(x, LossKind::softmax_cross_entropy);
}

// Gradients of exactly this rank as a matrix, with noise in the vector; another on each rank.
void fill_low_rank(const ModelState& state, int rank_of_matrix, int rank, float* gradients) {
    Random random(7, RandomUse::test_data);  // the same factors on all ranks
    const FlatRange& weight = state.flat.parameters[1];
    std::fill_n(gradients, state.flat.parameter_elements, 0.0f);
    for (int k = 0; k < rank_of_matrix; ++k) {
        std::vector<float> left(12), right(20);
        for (float& value : left) value = random.normal();
        for (float& value : right) value = random.normal();
        for (size_t i = 0; i < 12; ++i)
            for (size_t j = 0; j < 20; ++j)
                gradients[static_cast<size_t>(weight.begin) + i * 20 + j] +=
                    static_cast<float>(rank + 1) * left[i] * right[j];
    }
    for (int64_t i = 0; i < 12; ++i) gradients[state.flat.parameters[0].begin + i] = static_cast<float>(i + rank);
}

TEST(PowerSgd, AGradientOfLowRankIsExactToRounding) {
    const Graph graph = one_layer();
    on_ranks(2, [&](Communicator& c) {
        Cpu device;
        const ModelState state(graph, device);
        ASSERT_EQ(state.flat.parameters[1].count, 240);
        std::vector<float> gradients(static_cast<size_t>(state.flat.parameter_elements)), expected(gradients.size()),
            other(gradients.size());
        fill_low_rank(state, 2, c.rank(), gradients.data());
        fill_low_rank(state, 2, 0, expected.data());
        fill_low_rank(state, 2, 1, other.data());
        for (size_t i = 0; i < expected.size(); ++i) expected[i] += other[i];
        PowerSgd power(state, 3, 1);
        const size_t bytes = power.sum(gradients.data(), c);
        EXPECT_EQ(bytes, (12 + 3 * (12 + 20)) * sizeof(float));
        float largest = 0;
        for (const float value : expected) largest = std::max(largest, std::abs(value));
        for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(gradients[i], expected[i], 1e-5f * largest) << i;
        for (const float error : power.error()) EXPECT_NEAR(error, 0, 1e-5f * largest);
    });
}

// What a step leaves out is in the errors, and comes later: sums of results plus errors are the sums of gradients.
TEST(PowerSgd, WhatIsLeftOutIsKept) {
    const Graph graph = one_layer();
    on_ranks(2, [&](Communicator& c) {
        Cpu device;
        const ModelState state(graph, device);
        const auto size = static_cast<size_t>(state.flat.parameter_elements);
        PowerSgd power(state, 1, 1);
        std::vector<float> given(size), result(size), gradients(size);
        Random random(3, RandomUse::test_data, static_cast<uint32_t>(c.rank()));
        double left_out = 0;
        for (int step = 0; step < 20; ++step) {
            for (int64_t i = 0; i < state.flat.parameter_elements; ++i) {
                const bool gap = i >= 12 && i < state.flat.parameters[1].begin;
                gradients[static_cast<size_t>(i)] = gap ? 0 : random.normal();
            }
            std::vector<float> sum = gradients;
            c.all_reduce_sum(sum.data(), size, Reduction::fast);
            power.sum(gradients.data(), c);
            std::vector<float> errors = power.error();
            c.all_reduce_sum(errors.data(), size, Reduction::fast);
            left_out = 0;
            for (size_t i = 0; i < size; ++i) {
                given[i] += sum[i];
                result[i] += gradients[i];
                EXPECT_NEAR(result[i] + errors[i], given[i], 2e-4f) << "step " << step;
                left_out += std::abs(static_cast<double>(errors[i]));
            }
        }
        EXPECT_GT(left_out, 1) << "rank 1 cannot hold it all: the test shows nothing";
    });
}

TrainResult run_on(int ranks, const Config& config) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainResult mine = train(config, *dataset, communicator, {});
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

TEST(Compression, TrainsWithFewerBytes) {
    Config config = small_run();
    config.model.name = "rsna_cnn";
    config.data.synthetic.size = 32;
    config.train.epochs = 4;
    config.train.learning_rate = 0.001;
    config.train.reduction = "fast";
    config.train.check_steps = 5;  // the replicas stay equal
    const TrainResult exact = run_on(2, config);
    for (const auto& [name, share] : {std::pair{"fp16", 0.52}, std::pair{"bf16", 0.52}, std::pair{"powersgd", 0.2}}) {
        SCOPED_TRACE(name);
        config.train.compression = name;
        const TrainResult result = run_on(2, config);
        EXPECT_LT(static_cast<double>(result.gradient_bytes), share * static_cast<double>(exact.gradient_bytes));
        EXPECT_NE(result.final_weights_hash, exact.final_weights_hash);
        EXPECT_LT(result.history.back().train_loss, result.history.front().train_loss);
        EXPECT_NEAR(result.history.back().train_loss, exact.history.back().train_loss,
                    0.25 * exact.history.front().train_loss);
    }
}

TEST(Compression, IsRefusedWhereItCannotBe) {
    const auto refuse = [](const std::string& train, const char* why) {
        try {
            parse_config("{\"model\": \"rsna_cnn\", \"data\": {\"synthetic\": {\"count\": 64}}, \"train\": " + train + "}",
                         "c");
            ADD_FAILURE() << train;
        } catch (const UsageError& error) {
            EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
        }
    };
    refuse(R"({"compression": "fp16"})", "/train/compression");
    refuse(R"({"compression": "powersgd", "reduction": "fast", "checkpoint_steps": 10})", "/train/checkpoint_steps");
    refuse(R"({"compression": "powersgd", "reduction": "fast", "overlap": "thread"})", "/train/overlap");
    refuse(R"({"compression": "bf16", "reduction": "fast", "overlap": "fused"})", "/train/overlap");
    refuse(R"({"lr_scaling": "linear"})", "/train/lr_scaling");
    refuse(R"({"accumulate": 16})", "/train/accumulate");
}

}  // namespace
}  // namespace xbench::test
