// One function a section of the configuration.
#include "core/config_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

#include "core/config_fields.h"
#include "core/nearest.h"
#include "core/virtual_ranks.h"

namespace xbench {
namespace {

class Rules {
public:
    Rules(const Config& config, ConfigDocument& document, const std::vector<std::string>& model_names)
        : config_(config), document_(document), model_names_(model_names) {}
    void check();

private:
    void check_model();
    void check_large_batches();
    void check_compression();
    void check_data();
    void check_loss();
    void check_schedule();
    void check_row(const SweepRow& row, const std::string& pointer);

    const Config& config_;
    ConfigDocument& document_;
    const std::vector<std::string>& model_names_;
};

// Rules look only at parts that were read without a mistake: one slip should be told once.
void Rules::check() {
    if (document_.sound("/model")) check_model();
    if (document_.sound("/data")) check_data();
    const TrainConfig& train = config_.train;
    const bool batch_sound = document_.sound("/train/virtual_ranks") && document_.sound("/train/batch_size");
    if (batch_sound && train.virtual_ranks > train.batch_size)
        document_.mistake("/train/virtual_ranks",
                          fmt::format("{} virtual ranks for a batch of {}; set virtual_ranks to at most batch_size",
                                      train.virtual_ranks, train.batch_size));
    check_large_batches();
    check_compression();
    check_loss();
    check_schedule();
    for (size_t row = 0; row < config_.sweep.size(); ++row)
        if (const std::string pointer = fmt::format("/sweep/{}", row); document_.sound(pointer))
            check_row(config_.sweep[row], pointer);
}

void Rules::check_large_batches() {
    const TrainConfig& train = config_.train;
    if (document_.sound("/train/lr_scaling") && document_.sound("/train/base_batch") && train.lr_scaling != "none" &&
        train.base_batch == 0)
        document_.mistake("/train/lr_scaling", "no base_batch; give the batch that learning_rate is meant for");
    if (document_.sound("/train/accumulate") && document_.sound("/train/virtual_ranks") &&
        train.accumulate > train.virtual_ranks)
        document_.mistake("/train/accumulate",
                          fmt::format("{} passes over {} virtual ranks; set accumulate to at most virtual_ranks",
                                      train.accumulate, train.virtual_ranks));
}

// What changes a sum cannot keep its bits.
void Rules::check_compression() {
    const TrainConfig& train = config_.train;
    if (!document_.sound("/train/compression") || train.compression == "none") return;
    if (document_.sound("/train/reduction") && train.reduction == "invariant")
        document_.mistake("/train/compression",
                          "the invariant reduction promises the same bits at any number of ranks, which "
                          "compressed gradients do not have; set reduction to fast, or compression to none");
    if (document_.sound("/train/overlap") && train.overlap == "fused")
        document_.mistake("/train/overlap", "gradients that are summed where they lie are not compressed; leave it out");
    if (train.compression != "powersgd") return;
    if (document_.sound("/train/checkpoint_steps") && train.checkpoint_steps > 0)
        document_.mistake("/train/checkpoint_steps",
                          "checkpoints do not hold PowerSGD's error feedback; set it to 0, or compression "
                          "to another");
    if (document_.sound("/train/overlap") && (train.overlap == "thread" || train.overlap == "inline"))
        document_.mistake("/train/overlap", "PowerSGD works on whole layers behind the backward pass; leave it out");
}

void Rules::check_loss() {
    const TrainConfig& train = config_.train;
    const bool focal = document_.sound("/train/loss") && train.loss == "focal";
    if (focal && document_.sound("/train/label_smoothing") && train.label_smoothing > 0)
        document_.mistake("/train/label_smoothing", "the focal loss takes labels as they are; leave one of them out");
    if (focal && document_.sound("/train/pos_weight") && !(train.pos_weight.empty() && train.pos_weight_rule.empty()))
        document_.mistake("/train/pos_weight", "the focal loss weighs positives by focal_alpha; leave one of them out");
}

void Rules::check_schedule() {
    const TrainConfig& train = config_.train;
    if (document_.sound("/train/lr_min") && document_.sound("/train/learning_rate") && train.lr_min > train.learning_rate)
        document_.mistake("/train/lr_min",
                          fmt::format("{} is above learning_rate, {}; lower it", train.lr_min, train.learning_rate));
    if (document_.sound("/train/clip_norm") && train.clip_norm > 0 && document_.sound("/train/overlap") &&
        train.overlap == "fused")
        document_.mistake("/train/overlap",
                          "the norm of all gradients is known only after all of them are summed, which the "
                          "fused update does piece by piece; leave it out");
    if (document_.sound("/train/chunk_images") && train.chunk_images > 0 && document_.sound("/train/chunk_partitions") &&
        train.chunk_partitions > train.chunk_images)
        document_.mistake("/train/chunk_partitions", fmt::format("{} partitions of a chunk of {} images; lower it",
                                                                 train.chunk_partitions, train.chunk_images));
}

void Rules::check_model() {
    const std::string& name = config_.model.name;
    if (name.empty() && document_.json().contains("model"))
        document_.mistake("/model", "no name; `xbench models` lists them");
    if (name.empty() || model_names_.empty()) return;
    if (std::find(model_names_.begin(), model_names_.end(), name) != model_names_.end()) return;
    const std::string close = nearest(name, model_names_);
    document_.mistake("/model/name", fmt::format("unknown model \"{}\"; {}", name,
                                                 close.empty() ? "one of " + fmt::format("{}", fmt::join(model_names_, ", "))
                                                               : "did you mean " + close + "?"));
}

void Rules::check_data() {
    const DataConfig& data = config_.data;
    const bool synthetic = data.synthetic.count > 0;
    if (synthetic && !data.path.empty())
        document_.mistake("/data/synthetic", "both path and synthetic are given; keep one of them");
    if (!synthetic && document_.json().contains("data") && document_.json()["data"].contains("synthetic"))
        document_.mistake("/data/synthetic", "no count; give the number of images to generate");
    else if (!synthetic && data.path.empty() && document_.json().contains("data"))
        document_.mistake("/data", "neither path nor synthetic is given; name a data set");
    if (data.mean.size() != data.std.size() && data.mean.size() != 1 && data.std.size() != 1)
        document_.mistake("/data/std", fmt::format("{} numbers beside {} of mean; one number, or one a channel",
                                                   data.std.size(), data.mean.size()));
    for (const auto& [key, count] : {std::pair{"mean", data.mean.size()}, std::pair{"std", data.std.size()}})
        if (synthetic && count != 1 && static_cast<int64_t>(count) != data.synthetic.channels)
            document_.mistake(
                fmt::format("/data/{}", key),
                fmt::format("{} numbers for {} channels; one number, or one a channel", count, data.synthetic.channels));
}

void Rules::check_row(const SweepRow& row, const std::string& pointer) {
    for (const int64_t ranks : row.ranks) {
        if (row.trainer == "serial" && ranks != 1)
            document_.mistake(pointer + "/ranks", fmt::format("serial has one rank, not {}; use cpu_ddp for more", ranks));
        if (const std::string what = too_many_ranks(ranks, config_.train); !what.empty())
            document_.mistake(pointer + "/ranks", what + "; raise train.virtual_ranks");
    }
    if (row.trainer == "sharded" && config_.train.compression != "none")
        document_.mistake(pointer + "/trainer", "sharded sums its gradients uncompressed; set train.compression to none");
    if (row.trainer == "sharded" && row.stage == 0) document_.mistake(pointer, "sharded needs a stage; 1, 2 or 3");
    if (row.trainer != "sharded" && row.stage != 0)
        document_.mistake(pointer + "/stage", row.trainer + " has no stages; remove the key, or use sharded");
    if (row.trainer == "cpu_ddp" && row.device == "cuda")
        document_.mistake(pointer + "/device", "cpu_ddp runs on the CPU; use gpu_ddp for cuda");
    if (row.trainer == "gpu_ddp" && row.device == "cpu")
        document_.mistake(pointer + "/device", "gpu_ddp runs on a GPU; use cpu_ddp for the CPU");
}

}  // namespace

void require_sections(ConfigDocument& document) {
    for (const ConfigSection& wanted : config_sections())
        if (wanted.required && document.json().is_object() && !document.json().contains(wanted.path.substr(1)))
            document.mistake("", fmt::format("no {}; {}", wanted.path.substr(1), wanted.help));
}

void set_constants(const Json& document, Config& config) {
    if (config.train.constants != "keras" || !document.is_object()) return;
    const auto given = [&](const char* section, const char* key) {
        return document.contains(section) && document[section].is_object() && document[section].contains(key);
    };
    if (!given("model", "bn_eps")) config.model.bn_eps = 1e-3;
    if (!given("model", "bn_momentum")) config.model.bn_momentum = 0.01;
    if (!given("model", "initializer")) config.model.initializer = "glorot_uniform";
    if (!given("train", "adam_epsilon")) config.train.adam_epsilon = 1e-7;
    if (!given("train", "class_weight_mean")) config.train.class_weight_mean = "images";
    if (!given("train", "lr_threshold_mode")) config.train.lr_threshold_mode = "abs";
    if (!given("train", "lr_patience")) config.train.lr_patience = 9;
}

void check_rules(const Config& config, ConfigDocument& document, const std::vector<std::string>& model_names) {
    Rules(config, document, model_names).check();
}

}  // namespace xbench
