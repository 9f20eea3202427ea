// The average of the running statistics that goes with that of the weights: it is what a sum by hand gives, step for step
// and wherever the update is made; it begins where the weights' does; and runs of versions that had none go on as they were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "models/registry.h"
#include "models/training_graph.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/train/dataset_model.h"
#include "tests/parallel/feature_runs.h"
#include "tests/parallel/rank_steps.h"
#include "tests/parallel/shm_ranks.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

using Tensors = std::map<std::string, std::vector<float>>;

bool is_statistic(const std::string& name) { return name.find("running_") != std::string::npos; }

Graph small_graph(const std::vector<std::string>& frozen = {}, double momentum = 0.1) {
    ModelConfig model{"pneumonia_cnn", {4, 6, 8}};
    model.bn_momentum = momentum;
    model.size = 16, model.classes = 3, model.dropout = 0;
    Graph graph = build_model(model);
    if (!frozen.empty()) freeze(graph, frozen);
    return graph;
}

Tensors statistics_of(const ModelState& state) {
    Tensors found;
    for (const NamedTensor& tensor : state.weights().tensors)
        if (is_statistic(tensor.name)) found[tensor.name] = tensor.data;
    return found;
}

Tensors averages_in(const std::vector<NamedTensor>& saved) {
    Tensors found;
    for (const NamedTensor& tensor : saved)
        if (tensor.name.starts_with("ema.") && is_statistic(tensor.name)) found[tensor.name.substr(4)] = tensor.data;
    return found;
}

TrainConfig averaging(double decay) {
    TrainConfig config = eight_images();
    config.ema_decay = decay;
    return config;
}

constexpr const char* loaded = "another training's";  // weights, whose statistics are averaged from the first step on

// One rank's steps; what it saw wrong.
std::string follow_by_hand(Communicator& ranks, int stage, const TrainConfig& config) {
    const Graph graph = small_graph({}, 0.8);
    const int copied = config.weights == loaded ? 0 : 5;  // 0.2 to the power of 5 is 3e-4
    RankSteps steps(graph, ranks, stage, config);
    std::map<std::string, std::vector<double>> by_hand;
    for (const auto& [name, start] : statistics_of(steps.state())) by_hand[name].assign(start.begin(), start.end());
    if (by_hand.size() != 6) return "the model has 3 normalisations";
    std::string wrong;
    Tensors now, saved;
    for (int step = 1; step <= 8; ++step) {
        steps.step();
        now = statistics_of(steps.state());
        saved = averages_in(steps.strategy().save());
        if (saved.size() != by_hand.size()) wrong += fmt::format(" step {}: saved are {}", step, saved.size());
        const double decay = step <= copied ? 0 : config.ema_decay;
        for (auto& [name, average] : by_hand)
            for (size_t i = 0; i < average.size(); ++i) {
                average[i] = decay * average[i] + (1 - decay) * static_cast<double>(now[name][i]);
                if (std::abs(static_cast<double>(saved[name].at(i)) - average[i]) > 1e-6 * (1 + std::abs(average[i])))
                    wrong += fmt::format(" step {}: {}[{}] is {}, not {}", step, name, i, saved[name][i], average[i]);
            }
    }
    steps.strategy().swap_average();
    const Tensors evaluated = statistics_of(steps.state());
    steps.strategy().swap_average();
    if (evaluated != saved) wrong += " evaluated are others than saved";
    if (statistics_of(steps.state()) != now) wrong += " swapping twice changes them";
    for (const auto& [name, average] : saved)
        if (average == now[name]) wrong += " " + name + " is no average";
    return wrong;
}

TEST(StatisticsAverage, IsTheOneByHandAfterEachStep) {
    for (const char* weights : {"", loaded})
        for (const int stage : {0, 1, 2, 3})
            for (const int ranks : {1, 2, 3})
                for (const char* batchnorm : {"global", "local"}) {
                    if (ranks == 1 && stage > 0) continue;
                    SCOPED_TRACE(testing::Message()
                                 << weights << " stage " << stage << ", " << ranks << " ranks, " << batchnorm);
                    TrainConfig config = averaging(0.75);
                    config.batchnorm = batchnorm;
                    config.weights = weights;
                    on_ranks(ranks, [&](Communicator& communicator) {
                        EXPECT_EQ(follow_by_hand(communicator, stage, config), "");
                    });
                }
}

// Each rank makes a part of the update for all, and the average of statistics of its own.
TEST(StatisticsAverage, IsTheOneByHandWhereTheUpdateIsFused) {
    for (const char* weights : {"", loaded})
        for (const char* overlap : {"fused", "inline"}) {
            TrainConfig config = averaging(0.75);
            config.overlap = overlap;
            config.weights = weights;
            for (const std::string& said :
                 on_threads(3, 60, [&](Communicator& communicator) { return follow_by_hand(communicator, 0, config); }))
                EXPECT_EQ(said, "") << overlap;
        }
}

TEST(StatisticsAverage, BeginsWhenAThousandthIsLeftOfWhatStatisticsBeganAs) {
    EXPECT_EQ(updates_to_settle(small_graph()), 66u);
    EXPECT_EQ(updates_to_settle(small_graph({}, 0.01)), 688u);
    EXPECT_EQ(updates_to_settle(small_graph({}, 0.8)), 5u);
    EXPECT_EQ(updates_to_settle(small_graph({}, 1)), 1u);
    EXPECT_EQ(updates_to_settle(small_graph({"f.1.*", "f.5.*", "f.9.*"})), 0u);
}

void set_statistics(ModelState& state, float value) {
    for (const FlatRange& range : state.flat.state)
        if (state.graph.value(range.value).role == Role::buffer)
            std::fill_n(state.state.as<float>() + range.begin, range.count, value);
}

// Powers of two have no rounding errors.
TEST(StatisticsAverage, BeginsAsTheStatisticsAndLeavesConstantsAlone) {
    const Graph graph = small_graph({"f.5.*"});  // the normalisation in the middle
    Cpu device;
    ModelState state(graph, device);
    TrainConfig train = averaging(0.75);
    OptimizerStep step(train, state);
    const auto everything = [&] {
        const auto* const data = state.state.as<float>();
        return std::vector<float>(data, data + state.flat.state_elements);
    };
    state.initialize(1);
    set_statistics(state, 8);
    step.start_average();
    set_statistics(state, 4);
    const std::vector<float> raw = everything();
    StepContext context{};
    context.learning_rate = 1;
    context.update = 1;
    step.run(context);  // 0.75 * 8 + 0.25 * 4
    step.run(context);  // 0.75 * 7 + 0.25 * 4
    std::vector<NamedTensor> saved;
    step.save_statistics(saved);
    EXPECT_EQ(saved.size(), 4u);
    for (const NamedTensor& tensor : saved) {
        EXPECT_EQ(tensor.data, std::vector<float>(tensor.data.size(), 6.25f)) << tensor.name;
        EXPECT_FALSE(tensor.name.starts_with("ema.f.5.")) << "it is frozen";
    }
    step.swap_average();
    const std::vector<float> evaluated = everything();
    for (const FlatRange& range : state.flat.state) {
        const Value& value = graph.value(range.value);
        const bool moves = value.role == Role::buffer && !value.name.starts_with("f.5.");
        for (auto i = static_cast<size_t>(range.begin); i < static_cast<size_t>(range.begin + range.count); ++i)
            EXPECT_EQ(evaluated[i], moves ? 6.25f : raw[i]) << value.name;
    }
    step.swap_average();
    EXPECT_EQ(everything(), raw);

    ModelState other(graph, device);
    OptimizerStep resumed(train, other);
    resumed.load_statistics(saved, "there");
    resumed.swap_average();
    for (const auto& [name, data] : statistics_of(other))
        EXPECT_EQ(data.front(), name.starts_with("f.5.") ? 0 : 6.25f) << name;
    saved.back().name = "ema.nobody";
    EXPECT_THROW(resumed.load_statistics(saved, "there"), Error);
}

TEST(StatisticsAverage, ThereIsNoneWhereTheyAreCopied) {
    TrainConfig train = averaging(0.75);
    train.ema_statistics = "copied";
    const auto self = make_self_communicator();
    RankSteps steps(small_graph(), *self, 0, train);
    steps.step();
    EXPECT_TRUE(averages_in(steps.strategy().save()).empty());
    const Tensors before = statistics_of(steps.state());
    steps.strategy().swap_average();
    EXPECT_EQ(statistics_of(steps.state()), before);
}

constexpr auto average = [](TrainConfig& t) { t.ema_decay = 0.7; };
constexpr auto average_of_one = [](TrainConfig& t) { t.ema_decay = 0.7, t.freeze = {"f.1.*"}; };
constexpr auto copied = [](TrainConfig& t) { t.ema_decay = 0.7, t.ema_statistics = "copied"; };

TEST(StatisticsAverage, ItsMemoryIsCountedAndPredicted) {
    const TrainResult without = run_feature({"", copied}, 1, 0);
    for (const auto change : {+average, +average_of_one})
        for (const int stage : {0, 1, 2, 3}) {
            const TrainResult result = run_feature({"", change}, stage == 0 ? 1 : 2, stage);
            EXPECT_EQ(result.memory_in_steps.bytes, result.memory_predicted.bytes) << "stage " << stage;
        }
    EXPECT_GT(run_feature({"", average}, 1, 0).optimizer_bytes, without.optimizer_bytes);
    EXPECT_EQ(without.memory_in_steps.bytes, without.memory_predicted.bytes);
}

TEST(StatisticsAverage, FrozenNormalisationsKeepTheirStatistics) {
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    run_feature({"", average_of_one}, 1, 0, options);
    for (const NamedTensor& tensor : load_weights(folder.path() / "last.safetensors").tensors)
        if (is_statistic(tensor.name)) {
            const float initial = tensor.name.ends_with("var") ? 1 : 0;
            const bool kept = tensor.data == std::vector<float>(tensor.data.size(), initial);
            EXPECT_EQ(kept, tensor.name.starts_with("f.1.")) << tensor.name;
        }
}

// An average that hardly moves is what it began as.
TEST(StatisticsAverage, BeginsAsTheWeightsThatAreLoaded) {
    const TemporaryFolder folder;
    Config config = small_run();
    const auto dataset = open_dataset(config.data);
    const Graph graph = build_model(model_for(config.model, dataset->info()));
    Cpu device;
    ModelState state(graph, device);
    state.initialize(3);
    set_statistics(state, 5);
    save_weights(folder.path() / "start.safetensors", state.weights());
    config.train.weights = folder.path() / "start.safetensors";
    config.train.ema_decay = 0.9999999;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    train(config, *dataset, *make_self_communicator(), options);
    for (const NamedTensor& tensor : load_weights(folder.path() / "last.safetensors").tensors)
        if (is_statistic(tensor.name)) {
            EXPECT_NEAR(tensor.data.front(), 5, 1e-3) << tensor.name;
        }
}

// A checkpoint without the key, as versions that did not know it wrote them. Returns the folder of its step.
std::filesystem::path interrupt_as_an_older_version(void (*change)(TrainConfig&), const std::filesystem::path& folder) {
    TrainOptions options;
    options.checkpoint_dir = folder;
    int asked = 0;
    options.stop = [&] { return ++asked == 4; };
    EXPECT_TRUE(run_feature({"", change}, 1, 0, options).interrupted);
    std::filesystem::path file;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.is_directory()) file = entry.path() / "manifest.json";
    Json manifest = *parse_json(file_text(file).value());
    manifest["identity"]["train"].erase("ema_statistics");
    std::ofstream(file) << json_text(manifest);
    return folder;
}

TEST(StatisticsAverage, ACheckpointOfAVersionWithoutItGoesOnAsItWas) {
    const TemporaryFolder folder, plain;
    TrainOptions options;
    options.resume = true;
    options.checkpoint_dir = interrupt_as_an_older_version(copied, folder.path());
    try {
        run_feature({"", average}, 1, 0, options);
        ADD_FAILURE() << "it went on with another average";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("/train/ema_statistics: \"copied\" then, \"averaged\" now"));
    }
    const TrainResult rest = run_feature({"", copied}, 2, 0, options), whole = run_feature({"", copied}, 1, 0);
    EXPECT_EQ(rest.resumed_at, 4u);
    EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
    EXPECT_NE(run_feature({"", average}, 1, 0).final_weights_hash, whole.final_weights_hash);

    constexpr auto nothing = [](TrainConfig&) {};  // the key means nothing then, whatever it is
    options.checkpoint_dir = interrupt_as_an_older_version(nothing, plain.path());
    EXPECT_EQ(run_feature({"", nothing}, 1, 0, options).resumed_at, 4u);
}

}  // namespace
}  // namespace xbench::test
