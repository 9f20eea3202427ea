// Folding, and the walk over the batches.
#include "parallel/train/explainer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/load/loader.h"
#include "eval/gradcam.h"

namespace xbench {
namespace {

constexpr int64_t most_at_once = 32;  // images

using Tensors = std::map<ValueId, NamedTensor>;

Tensors tensors_by_value(const Graph& graph, const WeightSet& weights) {
    Tensors tensors;
    const auto matched = match_weights(weights, graph, "the checkpoint");
    for (size_t i = 0; i < matched.size(); ++i) tensors[graph.state[i]] = *matched[i];
    return tensors;
}

// The node's scale and shift take the places of its gamma and beta; its statistics are gone.
void fold(Graph& graph, Node& node, Tensors& tensors) {
    const ValueId x = node.in[0], gamma = node.in[1], beta = node.in[2], mean = node.in[3], variance = node.in[4];
    const auto eps = static_cast<double>(std::get<BatchNorm>(node.attrs).eps);
    std::vector<float>&scale = tensors[gamma].data, &shift = tensors[beta].data;
    for (size_t c = 0; c < scale.size(); ++c) {
        const double factor =
            static_cast<double>(scale[c]) / std::sqrt(static_cast<double>(tensors[variance].data[c]) + eps);
        scale[c] = static_cast<float>(factor);
        shift[c] = static_cast<float>(static_cast<double>(shift[c]) - static_cast<double>(tensors[mean].data[c]) * factor);
    }
    const int64_t channels = graph.value(gamma).shape[0];
    graph.value(gamma).shape = tensors[gamma].shape = {channels, 1, 1, 1};
    const auto groups = static_cast<int32_t>(channels);
    node = {OpKind::conv2d, Conv2d{1, 1, 1, 1, 0, 0, 1, 1, groups, Activation::none}, {x, gamma, beta}, node.out, node.name};
    for (const ValueId id : {mean, variance}) {
        std::erase(graph.state, id);
        graph.value(id).role = Role::statistic;
    }
}

// An image's part of a value in memory of the host, in plain order.
std::vector<float> plain_image(const float* stored, const TensorView& view, int64_t image) {
    const int64_t elements = view.shape.elements() / view.shape[0];
    std::vector<float> plain(static_cast<size_t>(elements));
    for (int64_t i = 0; i < elements; ++i)
        plain[static_cast<size_t>(i)] = stored[stored_index(view.shape, view.layout, image * elements + i)];
    return plain;
}

std::vector<std::vector<float>> images_of(const Executor& executor, std::string_view output) {
    const TensorView view = executor.view(executor.plan().graph.output(output));
    return executor.device().read(view.as<float>(), stored_elements(view.shape, view.layout), [&](const float* stored) {
        std::vector<std::vector<float>> images;
        for (int64_t i = 0; i < view.shape[0]; ++i) images.push_back(plain_image(stored, view, i));
        return images;
    });
}

void append_maps(const Executor& executor, std::span<const HeatQuestion> questions, std::vector<HeatMap>& maps) {
    const Shape shape = executor.view(executor.plan().graph.output("layer")).shape;
    const auto values = images_of(executor, "layer"), gradients = images_of(executor, "d(layer)"),
               logits = images_of(executor, "logits");
    for (size_t i = 0; i < questions.size(); ++i)
        maps.push_back({questions[i], shape[2], shape[3], gradcam_map(values[i], gradients[i], shape[1]),
                        logits[i][static_cast<size_t>(questions[i].of_class)]});
}

// 1 for the class that is asked about, 0 for the others.
Batch with_seeds(const Batch& batch, std::span<const HeatQuestion> questions, int64_t classes) {
    Batch seeded = batch;
    seeded.multilabel = true;
    seeded.targets.assign(questions.size() * static_cast<size_t>(classes), 0.0f);
    for (size_t i = 0; i < questions.size(); ++i)
        seeded.targets[i * static_cast<size_t>(classes) + static_cast<size_t>(questions[i].of_class)] = 1;
    return seeded;
}

PlanOptions options_for(int64_t images, int threads) {
    PlanOptions options;
    options.max_batch = std::min(images, most_at_once);
    options.leaves = 1;
    options.threads = threads;
    return options;
}

LoaderOptions loader_for(std::span<const HeatQuestion> questions, const ModelDescription& about, int64_t batch) {
    LoaderOptions options;
    for (const HeatQuestion& question : questions) options.indices.push_back(question.sample);
    options.shuffle = false;
    options.batch_size = batch;
    options.virtual_ranks = 1;
    options.mean = about.mean;
    options.std = about.std;
    return options;
}

}  // namespace

FoldedModel fold_batchnorm(const Graph& graph, const WeightSet& weights) {
    FoldedModel folded{graph, {}};
    Tensors tensors = tensors_by_value(graph, weights);
    for (Node& node : folded.graph.nodes)
        if (node.op == OpKind::batchnorm) fold(folded.graph, node, tensors);
    for (const ValueId id : folded.graph.state) folded.weights.tensors.push_back(std::move(tensors[id]));
    return folded;
}

std::vector<HeatMap> explain(const Graph& graph, const WeightSet& weights, const ModelDescription& about,
                             const Dataset& dataset, std::span<const HeatQuestion> questions, const std::string& layer,
                             Device& device, const ImagesDone& done) {
    std::vector<HeatMap> maps;
    const ValueId explained = gradcam_layer(graph, layer);
    if (questions.empty()) return maps;
    FoldedModel model = fold_batchnorm(graph, weights);
    make_gradcam_graph(model.graph, explained);
    const auto count = static_cast<int64_t>(questions.size());
    const Plan plan = compile(model.graph, device.target(), options_for(count, device.threads()));
    Executor executor(plan, device);
    ModelState state(model.graph, device);
    state.set_weights(model.weights, "the checkpoint");
    state.bind_to(executor);
    DeviceBatch place(plan, device);
    Loader loader(dataset, loader_for(questions, about, plan.options.max_batch));
    loader.start_epoch(0);
    StepContext context{};
    while (const Batch* batch = loader.next()) {
        const auto asked = questions.subspan(maps.size(), static_cast<size_t>(batch->size));
        const Batch seeded = with_seeds(*batch, asked, about.model.classes);
        describe_batch(seeded, context);
        place.bind(seeded, executor, context);
        executor.run(context);
        append_maps(executor, asked, maps);
        place.wait();
        if (done) done(static_cast<int64_t>(maps.size()), count);
    }
    return maps;
}

}  // namespace xbench
