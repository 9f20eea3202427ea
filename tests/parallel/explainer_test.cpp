// Grad-CAM against PyTorch's by hooks (tests/eval/make_gradcam.py), against the class activation map that it must equal, and
// the same for any batch and number of threads.
#include "parallel/train/explainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/files.h"
#include "core/rng.h"
#include "data/set/h5.h"
#include "eval/gradcam.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"

namespace xbench {
namespace {

constexpr double tolerance = 1e-4;  // of the largest number of a map

const std::string folder = std::string(XB_SOURCE_DIR) + "/tests/eval/";

struct Case {
    explicit Case(const std::string& name, const Json& json) {
        about.model.name = json.at("model").at("name").get<std::string>();
        about.model.widths = json.at("model").at("widths").get<std::vector<int64_t>>();
        about.model.channels = json.at("channels").get<int64_t>();
        about.model.size = json.at("size").get<int64_t>();
        about.model.classes = json.at("classes").get<int64_t>();
        about.model.multilabel = json.at("multilabel").get<bool>();
        about.model = resolve_model(about.model);
        about.mean = json.at("mean").get<std::vector<double>>();
        about.std = json.at("std").get<std::vector<double>>();
        graph = build_model(about.model);
        weights = load_weights(folder + "pytorch/" + name + ".safetensors");
        images = open_h5(folder + "pytorch/" + name + ".h5");
    }
    std::vector<HeatMap> ask(const std::vector<HeatQuestion>& questions, const std::string& layer, Device& device) const {
        return explain(graph, weights, about, *images, questions, layer, device);
    }
    std::vector<HeatMap> ask(const std::vector<HeatQuestion>& questions, const std::string& layer, int threads = 1) const {
        Cpu device(threads);
        return ask(questions, layer, device);
    }
    ModelDescription about;
    Graph graph;
    WeightSet weights;
    std::unique_ptr<Dataset> images;
};

double largest(const std::vector<float>& numbers) {
    double most = 0;
    for (const float number : numbers) most = std::max(most, std::fabs(static_cast<double>(number)));
    return most;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
    if (a.size() != b.size()) return INFINITY;
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i)
        most = std::max(most, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return most;
}

void expect_pytorchs(const Case& one, const Json& expected, Device& device) {
    const std::string layer = expected.at("layer").get<std::string>();
    const HeatQuestion question{expected.at("image").get<int64_t>(), expected.at("class").get<int64_t>()};
    SCOPED_TRACE(layer + ", image " + std::to_string(question.sample) + ", class " + std::to_string(question.of_class));
    const HeatMap heat = one.ask({question}, layer, device)[0];
    const auto map = expected.at("map").get<std::vector<float>>();
    EXPECT_EQ(heat.rows * heat.columns, static_cast<int64_t>(map.size()));
    EXPECT_LE(difference(heat.map, map), tolerance * largest(map) + 1e-9);
    const double logit = expected.at("logit").get<double>();
    EXPECT_NEAR(heat.logit, logit, tolerance * std::max(1.0, std::fabs(logit)));
    if (!expected.contains("enlarged")) return;
    std::vector<float> large = enlarged(heat.map, heat.rows, heat.columns, one.about.model.size, one.about.model.size);
    divide_by_maximum(large);
    EXPECT_LE(difference(large, expected.at("enlarged").get<std::vector<float>>()), tolerance);
}

// All maps of the file on this device.
void expect_all_pytorchs(Device& device) {
    int compared = 0, with_evidence = 0;
    const Json cases = Json::parse(*file_text(folder + "gradcam.json"));
    for (const auto& [name, json] : cases.items()) {
        SCOPED_TRACE(name);
        const Case one(name, json);
        for (const Json& expected : json.at("maps")) {
            expect_pytorchs(one, expected, device);
            ++compared;
            with_evidence += largest(expected.at("map").get<std::vector<float>>()) > 0;
        }
    }
    EXPECT_GE(compared, 30);
    EXPECT_GE(with_evidence, 20);
}

TEST(Explainer, MapsArePyTorchsByHooks) {
    Cpu device;
    expect_all_pytorchs(device);
}

TEST(GpuExplainer, MapsArePyTorchsByHooks) {
    if (const GpuSystem system = query_gpus(); !system.why_not.empty()) GTEST_SKIP() << system.why_not;
    expect_all_pytorchs(*make_cuda_device(0));
}

TEST(Explainer, ABatchAndThreadsChangeNothing) {
    const Json cases = Json::parse(*file_text(folder + "gradcam.json"));
    const Case one("several_labels", cases.at("several_labels"));
    std::vector<HeatQuestion> questions;
    for (int64_t i = 0; i < 40; ++i) questions.push_back({i % 12, i % 4});  // more than a batch, images several times
    const std::vector<HeatMap> together = one.ask(questions, "", 2);
    ASSERT_EQ(together.size(), questions.size());
    for (const size_t i : {size_t{0}, size_t{13}, size_t{31}, size_t{32}, size_t{39}}) {
        const HeatMap alone = one.ask({questions[i]}, "")[0];
        EXPECT_EQ(together[i].question.sample, questions[i].sample);
        EXPECT_LE(difference(together[i].map, alone.map), 1e-6 * largest(alone.map)) << i;
        EXPECT_NEAR(together[i].logit, alone.logit, 1e-5);
    }
    EXPECT_TRUE(one.ask({}, "").empty());
}

// Behind the last pooling of pneumonia_cnn come the mean over the image and one linear layer: there Grad-CAM is Zhou et
// al.'s class activation map over the number of pixels.
TEST(Explainer, IsTheClassActivationMapWhereThatExists) {
    const Json cases = Json::parse(*file_text(folder + "gradcam.json"));
    const Case one("one_label", cases.at("one_label"));
    const std::string pooled = "f.11";
    const HeatMap heat = one.ask({{4, 1}}, pooled)[0];
    Graph graph = one.graph;
    graph.pin(gradcam_layer(graph, pooled), "pooled");
    const auto linear = std::find_if(one.weights.tensors.begin(), one.weights.tensors.end(),
                                     [](const NamedTensor& tensor) { return tensor.shape.rank == 2; });
    ASSERT_NE(linear, one.weights.tensors.end());
    // The pooled values themselves, from a plan of their own.
    PlanOptions options;
    options.training = false;
    options.leaves = 1;
    Cpu device;
    const Plan plan = compile(graph, device.target(), options);
    Executor executor(plan, device);
    ModelState state(graph, device);
    state.set_weights(one.weights, "test");
    state.bind_to(executor);
    LoaderOptions loading;
    loading.indices = {4};
    loading.batch_size = loading.virtual_ranks = 1;
    loading.shuffle = false;
    Loader loader(*one.images, loading);
    loader.start_epoch(0);
    DeviceBatch place(plan, device);
    StepContext context{};
    const Batch* batch = loader.next();
    describe_batch(*batch, context);
    place.bind(*batch, executor, context);
    executor.run(context);
    const TensorView view = executor.view(plan.graph.output("pooled"));
    const int64_t channels = view.shape[1], pixels = view.shape[2] * view.shape[3];
    std::vector<float> map(static_cast<size_t>(pixels));
    for (int64_t i = 0; i < pixels; ++i) {
        double sum = 0;
        for (int64_t k = 0; k < channels; ++k)
            sum += static_cast<double>(linear->data[static_cast<size_t>(channels + k)]) *
                   static_cast<double>(view.as<float>()[stored_index(view.shape, view.layout, k * pixels + i)]);
        map[static_cast<size_t>(i)] = static_cast<float>(std::max(0.0, sum) / static_cast<double>(pixels));
    }
    ASSERT_GT(largest(map), 0);
    EXPECT_LE(difference(heat.map, map), 1e-5 * largest(map));
}

// Adebayo et al.: a map that random weights do not change explains nothing.
TEST(Explainer, RandomWeightsGiveAnotherMap) {
    const Json cases = Json::parse(*file_text(folder + "gradcam.json"));
    Case one("one_label", cases.at("one_label"));
    const HeatMap before = one.ask({{0, 0}}, "f.0")[0];
    Random random(5, RandomUse::test_data);
    for (NamedTensor& tensor : one.weights.tensors)
        if (tensor.shape.rank >= 2)
            for (float& number : tensor.data) number = random.uniform(-.3f, .3f);
    const HeatMap after = one.ask({{0, 0}}, "f.0")[0];
    EXPECT_GT(difference(before.map, after.map), 0.05 * std::max(largest(before.map), largest(after.map)));
}

TEST(Explainer, FoldingLeavesNoStatistics) {
    const Json cases = Json::parse(*file_text(folder + "gradcam.json"));
    const Case one("with_dropout", cases.at("with_dropout"));
    const FoldedModel folded = fold_batchnorm(one.graph, one.weights);
    for (const Node& node : folded.graph.nodes) EXPECT_NE(node.op, OpKind::batchnorm);
    EXPECT_NO_THROW(match_weights(folded.weights, folded.graph, "folded"));
    EXPECT_EQ(folded.graph.state.size(), folded.graph.parameters.size());
}

}  // namespace
}  // namespace xbench
