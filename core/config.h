// The configuration of a run, as docs/configuration.md describes it. core/config_fields.cpp holds the one table of fields
// from which the parser, --set, the JSON Schema, the help text and that document are made.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"

namespace xbench {

// "model": a name, or an object {"name": ..., "widths": [...], ...}.
struct ModelConfig {
    std::string name;
    std::vector<int64_t> widths;  // empty: the model's own
    double dropout = -1;          // negative: the model's own
    double bn_eps = 1e-5;
    double bn_momentum = 0.1;             // weight of the new value
    std::string initializer = "pytorch";  // pytorch | glorot_uniform
    // Of the data set; 0: the model's own definition.
    int64_t channels = 0, size = 0, classes = 0;
    bool multilabel = false;  // binary cross-entropy over each output instead of softmax
};

struct SyntheticConfig {
    int64_t count = 0, size = 64, channels = 1;
    uint64_t seed = 1;
};

struct DataConfig {
    std::string path;                         // an HDF5 set, or empty when synthetic
    SyntheticConfig synthetic;                // count 0: not synthetic
    std::vector<double> mean{0.5}, std{0.5};  // one number, or one a channel
    int64_t workers = 1;                      // loader threads of each rank
    int64_t memory_mib = 2048;                // pixels of a larger set are read from its file as they are needed
    std::string leaks = "report";             // report | refuse: images or groups in several splits
};

// How training images are changed as they are read (data/load/augment.h). All zero: not at all.
struct AugmentConfig {
    double flip = 0, flip_vertical = 0;                         // probabilities
    double rotation = 0;                                        // degrees: drawn from +- this
    double shift = 0;                                           // of the side: whole pixels, drawn from +- this
    double scale = 0, brightness = 0, contrast = 0, gamma = 0;  // factors, drawn from 1 +- this
    double noise = 0;                                           // standard deviation, of pixels in [0,1]
    std::string interpolation = "bilinear";                     // bilinear | nearest: of rotation, shift and scale
    double box_share = 0.25;                                    // of its area that a box must keep to stay
    bool any() const {
        return flip > 0 || flip_vertical > 0 || rotation > 0 || shift > 0 || scale > 0 || brightness > 0 || contrast > 0 ||
               gamma > 0 || noise > 0;
    }
};

struct TrainConfig {
    std::string optimizer = "adam";  // adam | adamw | sgd
    double learning_rate = 0.001;
    double weight_decay = 0, momentum = 0.9, adam_epsilon = 1e-8, beta1 = 0.9, beta2 = 0.999;
    int64_t batch_size = 64;  // global
    int64_t epochs = 1;
    int64_t patience = 0;                  // epochs without a better monitor before stopping; 0: never
    std::string monitor = "val_accuracy";  // val_accuracy | val_loss | val_balanced_accuracy
    uint64_t seed = 1;
    std::string precision = "fp32";  // fp32 | bf16 | fp16 | tf32
    int64_t virtual_ranks = 8;
    std::string reduction = "invariant";   // invariant | fast
    std::string batchnorm = "global";      // global | local
    std::string weights;                   // a checkpoint to start from; empty: drawn from the seed
    int64_t accumulate = 1;                // passes in which a rank computes its share of a batch
    std::string lr_scaling = "none";       // none | linear | sqrt: of learning_rate by batch_size / base_batch
    int64_t base_batch = 0;                // the batch that learning_rate is meant for; 0: not given
    int64_t warmup_steps = 0;              // steps over which the learning rate rises to its value
    std::string lr_schedule = "constant";  // constant | cosine | step | plateau: behind the warm-up
    std::string lr_interval = "epoch";     // epoch | step: what cosine and step count
    int64_t lr_t_max = 0;                  // intervals from learning_rate to lr_min; 0: to the end of the run
    int64_t lr_step_size = 30;             // intervals between two reductions of step
    double lr_gamma = 0.1, lr_min = 0;     // factor of a reduction; lower bound
    std::string lr_monitor = "val_loss";   // of plateau: val_loss | train_loss | val_accuracy | val_balanced_accuracy
    int64_t lr_patience = 10, lr_cooldown = 0;
    double lr_threshold = 1e-4;
    std::string lr_threshold_mode = "rel";  // rel | abs
    std::string early_stopping = "best";    // best | keras | first_rise: what patience counts
    double min_delta = 0, baseline = -1;    // of keras and first_rise; baseline negative: none
    int64_t start_from_epoch = 0;           // of keras and first_rise: epochs before the first that counts
    bool restore_best = true;
    std::string loss = "cross_entropy";          // cross_entropy | focal
    double focal_gamma = 2, focal_alpha = 0.25;  // alpha: of several labels
    double label_smoothing = 0;
    std::string class_weight_rule;              // balanced, or empty: the numbers, or 1
    std::vector<double> class_weights;          // one a class
    std::string class_weight_mean = "weights";  // weights | images: what the loss of a batch is divided by
    double clip_norm = 0;                       // of the gradients' global norm; 0: none
    std::string decay_exclude = "none";         // none | bias_and_norm
    double ema_decay = 0;                       // 0: no average of the weights
    std::string ema_statistics = "averaged";    // averaged | copied: the running statistics that go with it
    std::vector<std::string> freeze;            // patterns of parameters' names
    int64_t chunk_images = 0, chunk_partitions = 1;
    std::string constants = "pytorch";  // pytorch | keras: the defaults of some other keys
    std::string compression = "none";   // none | fp16 | bf16 | powersgd: of gradients between ranks
    int64_t powersgd_rank = 4;
    std::string overlap = "auto";  // auto | fused | thread | inline | none: when gradients are reduced
    bool activation_checkpointing = false;
    bool hybrid_sharding = false;
    std::string pos_weight_rule;     // log | sqrt | ratio, or empty: the numbers below
    std::vector<double> pos_weight;  // of binary cross-entropy; empty: 1
    AugmentConfig augment;
    std::string arrivals = "auto";            // auto | on | off | alternate: when ranks come to collectives is logged
    int64_t check_steps = 100;                // steps between checks of all numbers and replicas; 0: never
    int64_t checkpoint_steps = 0;             // steps between checkpoints to resume from; 0: only on a signal
    int64_t checkpoint_keep = 2;              // of them
    double collective_timeout_seconds = 300;  // the longest that a rank waits for the others; 0: for ever
    std::string probe = "none";               // none | steps | arrivals | preloaded: a run for its times alone
};

// One row of the sweep: its lists are multiplied out by the bench.
struct SweepRow {
    std::string trainer;  // serial | cpu_ddp | gpu_ddp | sharded
    std::string device;   // empty: the trainer's own
    std::vector<int64_t> ranks{1}, threads{1};
    int64_t stage = 0;  // ZeRO stage of sharded
};

struct ScalingConfig {
    std::string mode = "strong";  // strong | weak
    int64_t repeats = 3;
    std::string launcher = "auto";  // auto | mpirun | srun | local
    bool oversubscribe = false;
    int64_t timeout_seconds = 0;  // of one point; 0: none
    uint64_t seed = 1;            // of the order in which a block's runs come
    double budget_minutes = 0;    // chooses the repeats; 0: as many as `repeats` says
    bool factors = true;          // probe runs beside the rows, which say where efficiency went
    // An injected link: every collective takes as much longer as its bytes need. 0: none.
    double slow_link_mb_per_s = 0, slow_link_latency_us = 0;
};

// A search over keys (`xbench tune`).
struct TuneConfig {
    std::string method = "random";    // random | grid | halving
    std::vector<std::string> search;  // "train.learning_rate=0.001,0.01", "train.weight_decay=log 1e-6..1e-2"
    int64_t trials = 16;              // of random and halving
    uint64_t seed = 1;
    std::string select = "monitor";   // monitor | chunk_loss
    int64_t eta = 3, min_epochs = 1;  // of halving
    int64_t repeats = 0;              // more trainings of the winner, with other seeds
};

struct Config {
    std::string name = "run";
    ModelConfig model;
    DataConfig data;
    TrainConfig train;
    std::vector<SweepRow> sweep;
    ScalingConfig scaling;
    TuneConfig tune;
    std::string output = "results/runs";
};

// Reads FILE, applies "key.path=value" settings, checks everything. Throws UsageError that lists all mistakes, each as
// "file:line:column /path: what; remedy". An empty path means defaults only.
// `model_names` are those that "model" may take (core knows no models); empty: any. A relative data path that is not found
// from the current folder is taken from the file's. parse_config does not ask for model and data to be there.
// `defaults` take the place of those of keys that neither file nor settings give.
using ConfigDefaults = std::map<std::string, Json>;  // by JSON pointer
Config load_config(const std::string& path, const std::vector<std::string>& settings = {},
                   const std::vector<std::string>& model_names = {}, const ConfigDefaults& defaults = {});
Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& settings = {},
                    const std::vector<std::string>& model_names = {});
Json to_json(const Config& config);  // all keys, for config.resolved.json and --print-config
Json config_schema();                // JSON Schema, draft 7
std::string config_markdown();       // the tables of docs/configuration.md
std::string config_help();           // one line a key, for a terminal

}  // namespace xbench
