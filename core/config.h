// The configuration of a run, as docs/configuration.md describes it. core/config_fields.cpp holds the one table of fields
// from which the parser, --set, the JSON Schema, the help text and that document are made.
#pragma once

#include <cstdint>
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
    double bn_momentum = 0.1;  // weight of the new value
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
    std::string reduction = "invariant";  // invariant | fast
    std::string batchnorm = "global";     // global | local
    std::string weights;                  // a checkpoint to start from; empty: drawn from the seed
    int64_t accumulate = 1;               // passes in which a rank computes its share of a batch
    std::string lr_scaling = "none";      // none | linear | sqrt: of learning_rate by batch_size / base_batch
    int64_t base_batch = 0;               // the batch that learning_rate is meant for; 0: not given
    int64_t warmup_steps = 0;             // steps over which the learning rate rises to its value
    std::string compression = "none";     // none | fp16 | bf16 | powersgd: of gradients between ranks
    int64_t powersgd_rank = 4;
    std::string overlap = "auto";  // auto | fused | thread | inline | none: when gradients are reduced
    bool activation_checkpointing = false;
    bool hybrid_sharding = false;
    std::vector<double> pos_weight;           // of binary cross-entropy; empty: 1
    int64_t check_steps = 100;                // steps between checks of all numbers and replicas; 0: never
    int64_t checkpoint_steps = 0;             // steps between checkpoints to resume from; 0: only on a signal
    int64_t checkpoint_keep = 2;              // of them
    double collective_timeout_seconds = 300;  // the longest that a rank waits for the others; 0: for ever
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
    // An injected link: every collective takes as much longer as its bytes need. 0: none.
    double slow_link_mb_per_s = 0, slow_link_latency_us = 0;
};

struct Config {
    std::string name = "run";
    ModelConfig model;
    DataConfig data;
    TrainConfig train;
    std::vector<SweepRow> sweep;
    ScalingConfig scaling;
    std::string output = "results/runs";
};

// Reads FILE, applies "key.path=value" settings, checks everything. Throws UsageError that lists all mistakes, each as
// "file:line:column /path: what; remedy". An empty path means defaults only.
// `model_names` are those that "model" may take (core knows no models); empty: any. A relative data path that is not found
// from the current folder is taken from the file's. parse_config does not ask for model and data to be there.
Config load_config(const std::string& path, const std::vector<std::string>& settings = {},
                   const std::vector<std::string>& model_names = {});
Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& settings = {},
                    const std::vector<std::string>& model_names = {});
Json to_json(const Config& config);  // all keys, for config.resolved.json and --print-config
Json config_schema();                // JSON Schema, draft 7
std::string config_markdown();       // the tables of docs/configuration.md
std::string config_help();           // one line a key, for a terminal

}  // namespace xbench
