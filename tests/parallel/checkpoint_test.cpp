// Weights of a small graph: saved under PyTorch's names, found in a folder, matched with a graph, hashed, described.
#include "parallel/checkpoint/checkpoint.h"

#include <cmath>
#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/registry.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Graph small_graph() { return build_model(resolve_model(ModelConfig{.name = "pneumonia_cnn", .widths = {2, 3, 4}})); }

WeightSet weights_for(const Graph& graph) {
    WeightSet weights;
    float next = 0.5f;
    for (const ValueId id : graph.state) {
        const Value& value = graph.value(id);
        NamedTensor tensor{value.name, value.shape, {}};
        tensor.data.resize(static_cast<size_t>(value.shape.elements()));
        for (float& x : tensor.data) x = next += 0.25f;
        weights.tensors.push_back(std::move(tensor));
    }
    return weights;
}

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "(no error)";
}

TEST(Checkpoint, RoundTripKeepsOrderNumbersAndHash) {
    TemporaryFolder folder;
    const Graph graph = small_graph();
    const WeightSet weights = weights_for(graph);
    save_weights(folder.path() / "w.safetensors", weights);
    const WeightSet back = load_weights(folder.path() / "w.safetensors");
    EXPECT_EQ(weights_hash(back), weights_hash(weights));
    const auto matched = match_weights(back, graph, "w");
    ASSERT_EQ(matched.size(), graph.state.size());
    for (size_t i = 0; i < matched.size(); ++i) {
        EXPECT_EQ(matched[i]->name, graph.value(graph.state[i]).name);
        EXPECT_EQ(matched[i]->data, weights.tensors[i].data);
    }
}

TEST(Checkpoint, EveryBatchNormGetsTheCounterThatPyTorchDemands) {
    TemporaryFolder folder;
    save_weights(folder.path() / "w.safetensors", weights_for(small_graph()));
    std::vector<std::string> counters;
    for (const NamedInteger& one : read_safetensors(folder.path() / "w.safetensors").integers) {
        EXPECT_EQ(one.value, 0);
        counters.push_back(one.name);
    }
    EXPECT_THAT(counters,
                testing::ElementsAre("f.1.num_batches_tracked", "f.5.num_batches_tracked", "f.9.num_batches_tracked"));
}

TEST(Checkpoint, TheHashSeesEveryNumberAndTheOrder) {
    WeightSet weights{.tensors = {{"a", {2}, {1, 2}}, {"b", {1}, {3}}}, .metadata = {}};
    const std::string hash = weights_hash(weights);
    EXPECT_EQ(hash.size(), 32u);
    weights.metadata["k"] = "v";
    EXPECT_EQ(weights_hash(weights), hash) << "metadata is no weight";
    weights.tensors[0].data[1] = std::nextafter(2.0f, 3.0f);
    EXPECT_NE(weights_hash(weights), hash);
    weights.tensors[0].data[1] = 2;
    std::swap(weights.tensors[0], weights.tensors[1]);
    EXPECT_NE(weights_hash(weights), hash);
}

TEST(Checkpoint, TheHashIsXxh3Of128Bits) {
    // XXH3_128bits (xxhsum -H2) of the 8 bytes 00 00 80 3f 00 00 00 40 (1.0f, 2.0f).
    EXPECT_EQ(weights_hash({.tensors = {{"a", {2}, {1, 2}}}, .metadata = {}}), "4533ce61c4655ba3c3e077b25dd1d769");
}

TEST(Checkpoint, AFolderIsSearched) {
    TemporaryFolder folder;
    EXPECT_THROW(find_weights(folder.path()), Error) << "empty";
    std::ofstream(folder.path() / "last.safetensors") << "x";
    EXPECT_EQ(find_weights(folder.path()), folder.path() / "last.safetensors");
    std::ofstream(folder.path() / "other.safetensors") << "x";
    EXPECT_THROW(find_weights(folder.path()), Error) << "two, none of them best";
    std::ofstream(folder.path() / "best.safetensors") << "x";
    EXPECT_EQ(find_weights(folder.path()), folder.path() / "best.safetensors");
    EXPECT_EQ(find_weights(folder.path() / "other.safetensors"), folder.path() / "other.safetensors");
    fs::create_directory(folder.path() / "run");
    fs::create_directory(folder.path() / "run" / "checkpoints");
    std::ofstream(folder.path() / "run" / "checkpoints" / "best.safetensors") << "x";
    EXPECT_EQ(find_weights(folder.path() / "run"), folder.path() / "run" / "checkpoints" / "best.safetensors");
}

TEST(Checkpoint, AllMistakesAreListedAtOnce) {
    const Graph graph = small_graph();
    WeightSet weights = weights_for(graph);
    weights.tensors[0].shape = Shape{2, 9};
    weights.tensors[1].name = "f.0.bias2";
    const std::string message = message_of([&] { match_weights(weights, graph, "dir/w.safetensors"); });
    EXPECT_THAT(message, HasSubstr("dir/w.safetensors"));
    EXPECT_THAT(message, HasSubstr("f.0.weight is 2x9, the model has 2x1x3x3"));
    EXPECT_THAT(message, HasSubstr("f.0.bias 2 is missing"));
    EXPECT_THAT(message, HasSubstr("f.0.bias2 2 is not in the model"));
}

TEST(Checkpoint, TheDescriptionTravelsInTheFile) {
    TemporaryFolder folder;
    ModelDescription description;
    description.model = resolve_model(ModelConfig{.name = "pneumonia_cnn", .widths = {2, 3, 4}});
    description.class_names = {"normal", "pneu,\"monia\""};
    description.mean = {0.485, 0.456, 0.406};
    description.std = {0.229};
    WeightSet weights = weights_for(small_graph());
    describe(description, weights);
    save_weights(folder.path() / "w.safetensors", weights);
    const ModelDescription back = description_of(load_weights(folder.path()), "w");
    EXPECT_EQ(back.model.name, "pneumonia_cnn");
    EXPECT_EQ(back.model.widths, (std::vector<int64_t>{2, 3, 4}));
    EXPECT_EQ(back.model.size, description.model.size);
    EXPECT_EQ(back.model.classes, 2);
    EXPECT_EQ(back.class_names, description.class_names);
    EXPECT_EQ(back.mean, description.mean);
    EXPECT_EQ(back.std, description.std);
}

TEST(Checkpoint, AMissingOrDamagedDescriptionIsNamed) {
    EXPECT_THAT(message_of([] { description_of(WeightSet{}, "w.safetensors"); }),
                HasSubstr("w.safetensors: its metadata has no xbench.model"));
    WeightSet weights;
    weights.metadata = {{"xbench.model", "{"}, {"xbench.class_names", "[]"}, {"xbench.mean", "[]"}, {"xbench.std", "[]"}};
    EXPECT_THAT(message_of([&] { description_of(weights, "w"); }), HasSubstr("cannot be read"));
    weights.metadata["xbench.model"] = R"({"name": 3})";
    EXPECT_THAT(message_of([&] { description_of(weights, "w"); }), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace xbench
