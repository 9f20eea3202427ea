// Drawing problems and ways. Sizes are those at which a training takes some ten milliseconds; what matters is how they
// divide: virtual ranks that are no power of two, odd images, short last batches, ranks without an image.
#include "tests/search/promise.h"

#include <algorithm>

#include "core/error.h"
#include "data/set/memory_dataset.h"
#include "models/registry.h"

namespace xbench::test {
namespace {

ModelConfig draw_model(Draw& draw) {
    ModelConfig model;
    model.name = draw.one_of({"pneumonia_cnn", "fracture_cnn", "rsna_cnn", "cifar_cnn", "nih_cnn"});
    for (int64_t i = draw.whole(1, model.name == "cifar_cnn" ? 2 : 3); i > 0; --i)
        model.widths.push_back(draw.one_of<int64_t>({1, 3, 4, 7, 8, 15, 16, 17, 24, 32}));
    if (draw.chance(0.3)) model.dropout = static_cast<double>(draw.whole(0, 8)) / 10;
    if (draw.chance(0.3)) model.bn_momentum = draw.one_of<double>({0, 0.01, 0.5, 1});
    return model;
}

// Images of noise, brighter where the class is higher, or a label is set.
ImageSet draw_images(Draw& draw, int64_t size) {
    ImageSet set;
    DatasetInfo& info = set.records.info;
    const int64_t train = draw.whole(2, 40), val = draw.whole(1, 12), test = draw.whole(1, 12);
    info = {"random", train + val + test, draw.one_of<int64_t>({1, 1, 2, 3, 4, 5}), size, size, 1, {}, draw.chance(0.35)};
    for (int64_t k = draw.whole(info.multilabel ? 1 : 2, 5); k > 0; --k)
        info.class_names.push_back("class " + std::to_string(k));
    info.bytes_per_pixel = draw.chance(0.3) ? 2 : 1;
    for (int64_t i = 0; i < info.count; ++i) {
        int64_t bright = 0;
        if (info.multilabel) {
            for (int64_t k = 0; k < info.classes(); ++k) {
                set.records.targets.push_back(draw.chance(0.4));
                bright += set.records.targets.back();
            }
        } else {
            set.records.labels.push_back(static_cast<int32_t>(bright = draw.whole(0, info.classes() - 1)));
        }
        set.records.splits.push_back(static_cast<uint8_t>(i < train ? 0 : i < train + val ? 1 : 2));
        set.records.ids.push_back(std::to_string(i));
        for (int64_t byte = info.channels * size * size * info.bytes_per_pixel; byte > 0; --byte)
            set.pixels.push_back(static_cast<uint8_t>(draw.whole(0, 128) + 20 * bright));
    }
    return set;
}

// What a training can be asked beside its optimizer.
void draw_features(Draw& draw, const DatasetInfo& info, int64_t images, TrainConfig& train) {
    if (draw.chance(0.2)) train.clip_norm = draw.one_of({0.01, 1.0});
    if (draw.chance(0.2)) train.ema_decay = draw.one_of({0.5, 0.99});
    if (train.ema_decay > 0) train.ema_statistics = draw.one_of({"averaged", "averaged", "copied"});
    train.lr_schedule = draw.one_of({"constant", "constant", "cosine", "step", "plateau"});
    train.lr_interval = draw.one_of({"epoch", "step"});
    train.lr_step_size = 1;
    train.lr_patience = 0;
    if (draw.chance(0.2)) train.decay_exclude = "bias_and_norm";
    if (draw.chance(0.2)) train.freeze = {draw.one_of({"f.0.*", "f.*.bias", "f.0.weight"})};
    if (draw.chance(0.2))
        train.chunk_images = draw.whole(1, images), train.chunk_partitions = draw.whole(1, train.chunk_images);
    if (draw.chance(0.2))
        for (int64_t k = 0; k < info.classes(); ++k) train.class_weights.push_back(draw.one_of({0.5, 1.0, 3.0}));
    train.class_weight_mean = draw.one_of({"weights", "images"});
    if (draw.chance(0.2) && train.pos_weight.empty())
        train.loss = "focal";
    else if (draw.chance(0.2))
        train.label_smoothing = 0.1;
}

void draw_training(Draw& draw, const DatasetInfo& info, int64_t images, TrainConfig& train) {
    train.batch_size = draw.chance(0.2) ? images + draw.whole(0, 5) : draw.whole(1, images);
    train.virtual_ranks = draw.whole(1, std::min<int64_t>(train.batch_size, 24));
    train.epochs = draw.whole(1, 3);
    train.optimizer = draw.one_of({"adam", "adamw", "sgd"});
    train.learning_rate = draw.one_of({1e-3, 1e-2});
    train.adam_epsilon = draw.one_of({1e-8, 1e-3});
    train.weight_decay = draw.one_of({0.0, 0.01});
    train.momentum = draw.one_of({0.0, 0.9});
    train.seed = static_cast<uint64_t>(draw.whole(0, 1 << 30)) << draw.whole(0, 30);
    train.precision = draw.chance(0.25) ? "bf16" : "fp32";
    train.batchnorm = draw.one_of({"global", "local"});
    train.warmup_steps = draw.whole(0, 5);
    train.monitor = draw.one_of({"val_accuracy", "val_loss", "val_balanced_accuracy"});
    train.patience = draw.chance(0.2) ? 1 : 0;
    train.check_steps = draw.whole(0, 2);
    if (info.multilabel && draw.chance(0.5)) train.pos_weight = {static_cast<double>(draw.whole(1, 40)) / 8};
    draw_features(draw, info, images, train);
}

bool fits(const Problem& problem) {
    ModelConfig model = problem.config.model;
    const DatasetInfo& info = problem.set.records.info;
    model.channels = info.channels;
    model.size = info.height;
    model.classes = info.classes();
    model.multilabel = info.multilabel;
    try {
        build_model(model);
        return true;
    } catch (const Error&) {
        return false;  // poolings leave nothing of the image
    }
}

bool has_batchnorm(const std::string& model) { return model != "fracture_cnn" && model != "rsna_cnn"; }

Part draw_part(Draw& draw, int most_ranks) {
    Part part;
    part.ranks = static_cast<int>(draw.whole(1, most_ranks));
    part.threads = draw.one_of({1, 1, 2, 3});
    part.stage = draw.one_of({0, 0, 1, 2, 3});
    part.checkpointing = draw.chance(0.3);
    part.workers = draw.whole(0, 2);
    part.overlap = draw.one_of({"auto", "thread", "inline", "none", "fused"});
    if (part.stage > 0 && part.overlap == "fused") part.overlap = "auto";
    if (draw.chance(0.5)) {
        int node = 0;
        for (int r = 0; r < part.ranks; ++r) part.nodes.push_back(node += r > 0 && draw.chance(0.4) ? 1 : 0);
    }
    if (part.stage > 0 && part.ranks % 2 == 0 && draw.chance(0.4)) {
        part.hybrid = true;
        part.nodes.clear();
        for (int r = 0; r < part.ranks; ++r) part.nodes.push_back(r * 2 / part.ranks);
    }
    return part;
}

}  // namespace

Problem draw_problem(Draw& draw) {
    Problem problem;
    do {
        problem.config = {};
        problem.config.model = draw_model(draw);
        problem.set = draw_images(draw, draw.whole(5, 29));
    } while (!fits(problem));
    const auto& splits = problem.set.records.splits;
    draw_training(draw, problem.set.records.info, std::count(splits.begin(), splits.end(), 0), problem.config.train);
    if (draw.chance(0.3)) problem.config.data.mean = {0.25};
    return problem;
}

Way draw_way(Draw& draw, const Problem& problem, uint32_t steps, int most_ranks) {
    const TrainConfig& train = problem.config.train;
    Way way;
    most_ranks = static_cast<int>(std::min<int64_t>(most_ranks, train.virtual_ranks));
    if (train.batchnorm == "local" || !has_batchnorm(problem.config.model.name))
        if (draw.chance(0.6)) way.accumulate = draw.whole(1, train.virtual_ranks);
    for (uint32_t done = 0; draw.chance(0.4) && done + 1 < steps;) {
        way.parts.push_back(draw_part(draw, most_ranks));
        way.parts.back().stop_after = static_cast<int>(draw.whole(1, steps - done - 1));
        done += static_cast<uint32_t>(way.parts.back().stop_after);
    }
    way.parts.push_back(draw_part(draw, most_ranks));
    return way;
}

std::string to_string(const Problem& problem) {
    const TrainConfig& t = problem.config.train;
    const DatasetInfo& info = problem.set.records.info;
    const auto& splits = problem.set.records.splits;
    const auto images = [&](int split) { return std::count(splits.begin(), splits.end(), split); };
    return fmt::format(
        "{} widths [{}] images {}+{}+{} of {}x{}x{} classes {}{} batch {} V {} epochs {} {} {} batchnorm {} dropout {} clip "
        "{} ema {} {} by {} freeze [{}] chunks {}/{} weights [{}] {} {} "
        "smoothing {}",
        problem.config.model.name, fmt::join(problem.config.model.widths, ","), images(0), images(1), images(2),
        info.channels, info.height, info.width, info.classes(), info.multilabel ? " multilabel" : "", t.batch_size,
        t.virtual_ranks, t.epochs, t.optimizer, t.precision, t.batchnorm, problem.config.model.dropout, t.clip_norm,
        t.ema_decay, t.lr_schedule, t.lr_interval, fmt::join(t.freeze, ","), t.chunk_images, t.chunk_partitions,
        fmt::join(t.class_weights, ","), t.class_weight_mean, t.loss, t.label_smoothing);
}

std::string to_string(const Way& way) {
    std::string text = fmt::format("accumulate {}", way.accumulate);
    for (const Part& part : way.parts)
        text += fmt::format(" | {} ranks x {} threads{} stage {} overlap {}{}{} workers {}{}", part.ranks, part.threads,
                            part.nodes.empty() ? "" : fmt::format(" on nodes {}", fmt::join(part.nodes, ",")), part.stage,
                            part.overlap, part.checkpointing ? " checkpointing" : "", part.hybrid ? " hybrid" : "",
                            part.workers, part.stop_after < 0 ? "" : fmt::format(" stopped after {}", part.stop_after));
    return text;
}

TrainResult train_part(const Problem& problem, const Way& way, const Part& part, const std::filesystem::path& checkpoints,
                       Communicator& communicator) {
    Config config = problem.config;
    config.train.accumulate = way.accumulate;
    config.train.activation_checkpointing = part.checkpointing;
    config.train.hybrid_sharding = part.hybrid;
    config.data.workers = part.workers;
    const bool possible = part.overlap == "thread" ? communicator.has_channels()
                          : part.overlap == "fused"
                              ? communicator.size() > 1 && communicator.shares_memory() && config.train.clip_norm == 0
                              : true;
    config.train.overlap = possible ? part.overlap : "auto";
    const MemoryDataset dataset(problem.set);
    TrainOptions options;
    options.threads = part.threads;
    options.stage = part.stage;
    if (way.parts.size() > 1) options.checkpoint_dir = checkpoints;
    options.resume = way.parts.size() > 1;
    int asked = 0;
    options.stop = [&] { return communicator.rank() == 0 && ++asked == part.stop_after; };
    return train(config, dataset, communicator, options);
}

std::string outcome_of(const TrainResult& result) {
    std::string text = fmt::format("last {} best {} of epoch {} test loss {:a} accuracy {:a}", result.final_weights_hash,
                                   result.weights_hash, result.best_epoch, result.test.loss, result.test.accuracy);
    for (const EpochResult& epoch : result.history)
        text += fmt::format("; epoch {}: {:a} {:a} {:a}, {} images", epoch.epoch, epoch.train_loss, epoch.val_loss,
                            epoch.val_balanced_accuracy, epoch.images);
    return text;
}

}  // namespace xbench::test
