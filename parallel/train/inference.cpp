// Evaluation over ranks.
#include "parallel/train/inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/gather.h"
#include "core/plain_nan.h"
#include "parallel/comm/comm_staged.h"
#include "parallel/comm/host_sums.h"
#include "parallel/train/health.h"
#include "parallel/train/rank_plan.h"
#include "parallel/train/resolved_training.h"

namespace xbench {
namespace {

void append_batch(const Batch& batch, const Executor& executor, Predictions& mine) {
    const auto probabilities = executor.view(executor.plan().graph.output("probabilities"));
    const int64_t count = batch.size * mine.classes;
    mine.samples.insert(mine.samples.end(), batch.sample_ids.begin(), batch.sample_ids.end());
    executor.device().read(probabilities.as<float>(), count,
                           [&](const float* p) { mine.probabilities.insert(mine.probabilities.end(), p, p + count); });
    mine.labels.insert(mine.labels.end(), batch.labels.begin(), batch.labels.end());
    for (const float target : batch.targets) mine.targets.push_back(target < 0 ? unknown_label : target > 0.5f);
}

constexpr int64_t no_image = std::numeric_limits<int64_t>::max();
constexpr const char* remedy = "these weights diverged: lower the learning rate, or take an earlier checkpoint";

// The lowest index of an image for which the model does not give numbers.
int64_t first_not_finite(const Batch& batch, const Executor& executor) {
    const TensorView logits = executor.view(executor.plan().graph.output("logits"));
    const int64_t classes = logits.shape[1];
    return executor.device().read(logits.as<float>(), batch.size * classes, [&](const float* rows) {
        int64_t first = no_image;
        for (int64_t i = 0; i < batch.size; ++i)
            if (!std::all_of(rows + i * classes, rows + (i + 1) * classes, [](float x) { return std::isfinite(x); }))
                first = std::min(first, batch.sample_ids[static_cast<size_t>(i)]);
        return first;
    });
}

// A number that is not finite must not become a result: one in the weights is named before any image is read.
void check_weights(const ModelState& state, ControlPlane& communicator) {
    const std::string found = find_not_finite(state);
    double somewhere = found.empty() ? 0 : 1;
    communicator.all_reduce_max(&somewhere, 1);
    if (!found.empty()) throw Error(found, "evaluation", remedy);
    if (somewhere > 0) throw Error("another rank has weights that are not finite", "evaluation", remedy);
}

// Collective, with the same outcome on every rank.
void refuse_not_finite(double loss, int64_t bad_image, const Dataset& dataset, ControlPlane& communicator) {
    double lowest = -static_cast<double>(bad_image);
    communicator.all_reduce_max(&lowest, 1);
    if (lowest > -static_cast<double>(no_image)) {
        const auto image = static_cast<size_t>(-lowest);
        const std::string id = image < dataset.ids().size() ? dataset.ids()[image] : std::to_string(image);
        throw Error(fmt::format("what the model gives for image {} is not finite", id), dataset.info().source, remedy);
    }
    if (!std::isfinite(loss)) throw Error(fmt::format("the loss is {}", plain_nan(loss)), dataset.info().source, remedy);
}

double loss_of(const Executor& executor, int block) {
    return executor.device().read(executor.view_block(executor.plan().graph.output("loss"), block).as<double>());
}

// Rows of `width` elements in the order of `rows`.
template <class T>
std::vector<T> reordered(const std::vector<T>& data, const std::vector<size_t>& rows, int64_t width) {
    std::vector<T> result;
    if (data.empty()) return result;
    result.reserve(data.size());
    for (const size_t row : rows)
        result.insert(result.end(), data.begin() + static_cast<int64_t>(row) * width,
                      data.begin() + (static_cast<int64_t>(row) + 1) * width);
    return result;
}

Predictions gather(const Predictions& mine, ControlPlane& communicator) {
    Predictions all;
    all.classes = mine.classes;
    const auto samples = gather_values(communicator, mine.samples);
    std::vector<size_t> rows(samples.size());
    std::iota(rows.begin(), rows.end(), size_t{0});
    std::sort(rows.begin(), rows.end(), [&](size_t a, size_t b) { return samples[a] < samples[b]; });
    all.samples = reordered(samples, rows, 1);
    all.probabilities = reordered(gather_values(communicator, mine.probabilities), rows, mine.classes);
    all.labels = reordered(gather_values(communicator, mine.labels), rows, 1);
    all.targets = reordered(gather_values(communicator, mine.targets), rows, mine.classes);
    return all;
}

}  // namespace

Evaluator::Evaluator(Plan plan, Device& device, const RankSums& sums, MemoryLedger* ledger)
    : plan_(std::move(plan)), executor_(plan_, device, ledger), batch_(plan_, device, ledger) {
    executor_.set_blocks(sums.leaves_of_block, 0);
}

Predictions Evaluator::run(const ModelState& state, const Dataset& dataset, LoaderOptions options, const RankSums& sums,
                           const ImagesDone& done) {
    options.shuffle = false;
    check_weights(state, sums.communicator);
    Loader loader(dataset, options);
    state.bind_to(executor_);
    std::optional<UnitTransfers> gatherer;
    if (!state.whole_parameters()) gatherer.emplace(plan_, *state.units, UnitTransfers::Of::evaluation);
    StepContext context{};
    Predictions mine;
    mine.classes = plan_.graph.value(plan_.graph.output("logits")).shape[1];
    // One sum a batch, added over blocks and ranks first and over the batches last: the same bits at any number of ranks.
    const auto batches = static_cast<size_t>(loader.batches());
    std::vector<double> losses(batches * static_cast<size_t>(sums.blocks()), 0.0);
    loader.start_epoch(0);
    int64_t bad_image = no_image, images = 0;
    while (const Batch* batch = loader.next()) {
        if (batch->size == 0 && !gatherer) continue;  // else the other ranks gather parameters with this one
        describe_batch(*batch, context);
        batch_.bind(*batch, executor_, context);
        executor_.run(context, gatherer ? &*gatherer : nullptr);
        if (gatherer) gatherer->finish();
        append_batch(*batch, executor_, mine);
        bad_image = std::min(bad_image, first_not_finite(*batch, executor_));
        for (int block = 0; block < sums.blocks(); ++block)
            losses[static_cast<size_t>(block) * batches + static_cast<size_t>(batch->index)] = loss_of(executor_, block);
        images += batch->global_size;
        if (done) done(images, loader.samples());
    }
    Predictions all = gather(mine, sums.communicator);
    sum_on_host(sums, losses.data(), batches, batches);
    all.loss_sum = std::accumulate(losses.data(), losses.data() + batches, 0.0);
    if (!options.class_weights.empty()) all.loss_divisor = sum_of_weights(options.class_weights, dataset, all.samples);
    refuse_not_finite(all.loss_sum, bad_image, dataset, sums.communicator);
    return all;
}

Predictions predict(const Graph& model, const WeightSet& weights, const ModelDescription& about, const Dataset& dataset,
                    std::span<const int64_t> indices, Device& device, const ImagesDone& done) {
    Graph graph = model;
    set_loss(graph, about.loss);
    ModelState state(graph, device);
    state.set_positive_weights(about.positive_weights);
    if (!about.loss.class_weights.empty()) state.set_class_weights(about.loss.class_weights);
    state.set_weights(weights, "the checkpoint");
    LoaderOptions options;
    options.indices.assign(indices.begin(), indices.end());
    options.batch_size = std::clamp<int64_t>(about.evaluation_batch, 1, most_evaluated_at_once);
    options.mean = about.mean;
    options.std = about.std;
    // Images of another set, or of none, have no classes of the checkpoint's to be weighed by.
    if (about.loss.mean_of_weights && dataset.labels().size() == static_cast<size_t>(dataset.info().count))
        options.class_weights = about.loss.class_weights;
    TrainConfig train;
    // Weights that were trained on a GPU are used on a CPU, too.
    const bool only_gpus = needs_gpu(products_in(about.precision)) && device.target().kind == DeviceKind::cpu;
    train.precision = only_gpus ? "fp32" : about.precision;
    train.virtual_ranks = options.virtual_ranks = std::clamp<int64_t>(about.virtual_ranks, 1, options.batch_size);
    RankPlace place;
    place.target = device.target();
    place.threads = device.threads();
    const auto self = make_self_communicator(), staged = make_staged_communicator(*self, device);
    const RankSums sums(staged ? *staged : *self, Reduction::invariant, options.virtual_ranks);
    Evaluator evaluator(evaluation_plan(graph, train, place, options.batch_size), device, sums);
    return evaluator.run(state, dataset, options, sums, done);
}

}  // namespace xbench
