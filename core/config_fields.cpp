// The rows of the configuration table.
#include "core/config_fields.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "core/config_field_rows.h"

namespace xbench {
namespace {

std::vector<ConfigField> model_and_data_fields() {
    return {
        {"/name", XB_SLOT(name), "Name of the run; run folders begin with it."},
        {"/model/name", XB_SLOT(model.name), "Name of a model; `xbench models` lists them."},
        {"/model/widths", XB_SLOT(model.widths), "Channels of each block; empty: the model's own.", between(1, 65536)},
        {.path = "/model/dropout",
         .slot = XB_SLOT(model.dropout),
         .help = "Dropout probability; null: the model's own.",
         .range = below_one(),
         .nullable = true},
        {"/model/bn_eps", XB_SLOT(model.bn_eps), "Epsilon of the batch normalisations.", above(0)},
        {"/model/bn_momentum", XB_SLOT(model.bn_momentum),
         "Weight of the new value in running statistics (PyTorch's sense; Keras' momentum is 1 minus this).", between(0, 1)},
        {.path = "/model/initializer",
         .slot = XB_SLOT(model.initializer),
         .help = "How weights begin: pytorch, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases too; glorot_uniform (Keras), "
                 "U(-a, a) with a = sqrt(6 / (fan_in + fan_out)), biases 0.",
         .choices = {"pytorch", "glorot_uniform"}},
        {"/model/channels", XB_SLOT(model.channels), "Input channels; 0: those of the data set.", between(0, 4096)},
        {"/model/size", XB_SLOT(model.size), "Input height and width in pixels; 0: those of the data set.",
         between(0, 65536)},
        {"/model/classes", XB_SLOT(model.classes), "Outputs; 0: the classes of the data set.", between(0, 1000000)},
        {"/data/path", XB_SLOT(data.path),
         "An HDF5 set made by `xbench data import` or `data synth`; relative to the current folder, else to this file's."},
        {"/data/synthetic/count", XB_SLOT(data.synthetic.count), "Images to generate.", between(1, 1e8)},
        {"/data/synthetic/size", XB_SLOT(data.synthetic.size), "Height and width in pixels.", between(16, 4096)},
        {"/data/synthetic/channels", XB_SLOT(data.synthetic.channels), "1 for gray, 3 for RGB.", between(1, 3)},
        {"/data/synthetic/seed", XB_SLOT(data.synthetic.seed), "Seed of the generator.", from(0)},
        {.path = "/data/mean",
         .slot = XB_SLOT(data.mean),
         .help = "Subtracted from pixels in [0,1]: one number, or one a channel.",
         .at_least = 1},
        {.path = "/data/std",
         .slot = XB_SLOT(data.std),
         .help = "Pixels are divided by it after the mean was subtracted.",
         .range = above(0),
         .at_least = 1},
        {"/data/workers", XB_SLOT(data.workers), "Loader threads of each rank; 0: the training thread reads.",
         between(0, 256)},
        {"/data/memory_mib", XB_SLOT(data.memory_mib),
         "A set whose pixels need more MiB than this is not read into memory, but image by image as they are needed.",
         between(0, 1e9)},
        {.path = "/data/leaks",
         .slot = XB_SLOT(data.leaks),
         .help = "Images or groups that lie in more than one split: report them, or refuse the set before anything runs.",
         .choices = {"report", "refuse"}},
    };
}

std::vector<ConfigField> train_fields() {
    return {
        {.path = "/train/optimizer",
         .slot = XB_SLOT(train.optimizer),
         .help = "Update rule.",
         .choices = {"adam", "adamw", "sgd"}},
        {"/train/learning_rate", XB_SLOT(train.learning_rate), "Step size.", above(0)},
        {"/train/weight_decay", XB_SLOT(train.weight_decay), "L2 of adam and sgd; decoupled in adamw.", from(0)},
        {"/train/momentum", XB_SLOT(train.momentum), "Of sgd.", below_one()},
        {"/train/adam_epsilon", XB_SLOT(train.adam_epsilon), "Epsilon of adam and adamw (Keras' is 1e-7).", above(0)},
        {"/train/beta1", XB_SLOT(train.beta1), "Decay of Adam's first moment.", below_one()},
        {"/train/beta2", XB_SLOT(train.beta2), "Decay of Adam's second moment.", below_one()},
        {"/train/batch_size", XB_SLOT(train.batch_size),
         "Images of a step over all ranks; in weak mode it grows with the ranks.", between(1, 1000000)},
        {"/train/epochs", XB_SLOT(train.epochs), "Passes over the training split.", between(1, 1000000)},
        {"/train/patience", XB_SLOT(train.patience), "Epochs without a better monitor before stopping; 0: never.", from(0)},
        {.path = "/train/monitor",
         .slot = XB_SLOT(train.monitor),
         .help = "Chooses the best epoch; ties go to the lower loss.",
         .choices = {"val_accuracy", "val_loss", "val_balanced_accuracy"}},
        {"/train/seed", XB_SLOT(train.seed), "Of weights, shuffles and dropout.", from(0)},
        {"/train/weights", XB_SLOT(train.weights),
         "A .safetensors file, or a folder with one, whose weights the training starts from; empty: drawn from the seed."},
        {.path = "/train/precision",
         .slot = XB_SLOT(train.precision),
         .help =
             "bf16, and on a GPU fp16 and tf32: convolutions and linear layers round their operands so and add up in "
             "f32; the rest is fp32. fp16 comes with dynamic loss scaling: updates whose gradients overflow are skipped.",
         .choices = {"fp32", "bf16", "fp16", "tf32"}},
        {"/train/virtual_ranks", XB_SLOT(train.virtual_ranks),
         "Parts that the batch is cut into, at most the batch; sums go over them in a fixed tree, so that any number of "
         "ranks ends "
         "with the same weights.",
         between(1, 2048)},
        {.path = "/train/reduction",
         .slot = XB_SLOT(train.reduction),
         .help = "invariant: the same bits at any number of ranks; fast: the message library's own order.",
         .choices = {"invariant", "fast"}},
        {.path = "/train/batchnorm",
         .slot = XB_SLOT(train.batchnorm),
         .help = "Over which images statistics are taken: the whole batch, or each virtual rank's (no communication in the "
                 "forward pass). With the fast reduction a rank has the largest power of two of virtual ranks that is its "
                 "share.",
         .choices = {"global", "local"}},
        {"/train/accumulate", XB_SLOT(train.accumulate),
         "Passes in which a rank computes its virtual ranks, each with a part of the activations' memory; not with global "
         "batch normalisation. The same weights at any number (with the fast reduction and no local batch normalisation, up "
         "to "
         "rounding errors).",
         between(1, 2048)},
        {.path = "/train/lr_scaling",
         .slot = XB_SLOT(train.lr_scaling),
         .help = "Multiplies learning_rate by batch_size / base_batch (linear) or its square root (sqrt).",
         .choices = {"none", "linear", "sqrt"}},
        {"/train/base_batch", XB_SLOT(train.base_batch),
         "The batch that learning_rate is meant for, where it is scaled; 0: not given.", between(0, 1000000)},
        {"/train/warmup_steps", XB_SLOT(train.warmup_steps),
         "Steps over which the learning rate rises in equal parts to its value; 0: none.", from(0)},
        {.path = "/train/compression",
         .slot = XB_SLOT(train.compression),
         .help = "Of gradients between ranks: rounded to 16 bits, or PowerSGD's low-rank factors with error feedback; only "
                 "with the fast reduction.",
         .choices = {"none", "fp16", "bf16", "powersgd"}},
        {"/train/powersgd_rank", XB_SLOT(train.powersgd_rank), "Columns of PowerSGD's factors.", between(1, 256)},
        {.path = "/train/overlap",
         .slot = XB_SLOT(train.overlap),
         .help = "When gradients are summed over ranks: in a thread during the backward pass, inline as soon as a bucket is "
                 "complete, none, behind it, or fused, by ranks of one node that have one copy of the parameters and each "
                 "update a part of it; auto: thread over a network, fused in shared memory. The same bits in all. The "
                 "sharded trainer gathers and reduces its units in a thread or, with inline and none, inline.",
         .choices = {"auto", "fused", "thread", "inline", "none"}},
        {"/train/activation_checkpointing", XB_SLOT(train.activation_checkpointing),
         "Keep what passes between units of the model, compute the rest again for the backward pass: less memory, more "
         "time, "
         "the same weights."},
        {"/train/hybrid_sharding", XB_SLOT(train.hybrid_sharding),
         "The sharded trainer splits the model's state over the ranks of a node and replicates it across nodes."},
        {.path = "/train/pos_weight",
         .slot = [](Config& c, size_t) -> ConfigSlot {
             return WordOrNumbers{&c.train.pos_weight_rule, &c.train.pos_weight};
         },
         .help = "Weight of positives in binary cross-entropy: one number, one a class, or a rule over the training split's "
                 "known labels: ratio, negatives / positives of the class; sqrt, its square root; log, log(1 + ratio). "
                 "none or empty: 1.",
         .range = above(0),
         .choices = {"none", "log", "sqrt", "ratio"}},
        {.path = "/train/arrivals",
         .slot = XB_SLOT(train.arrivals),
         .help = "Whether it is logged when each rank comes to each collective and leaves it, for delays, arrivals.csv and "
                 "trace.json; auto: where ranks compute on the host. alternate: in one step of two, so that the record has "
                 "what it costs.",
         .choices = {"auto", "on", "off", "alternate"}},
        {"/train/check_steps", XB_SLOT(train.check_steps),
         "Steps between checks that all numbers are finite and all ranks have the same weights; 0: never.", from(0)},
        {"/train/checkpoint_steps", XB_SLOT(train.checkpoint_steps),
         "Steps between checkpoints that train --resume goes on from; 0: only when a signal asks for one.", from(0)},
        {"/train/checkpoint_keep", XB_SLOT(train.checkpoint_keep), "How many of the newest checkpoints stay.", from(1)},
        {"/train/collective_timeout_seconds", XB_SLOT(train.collective_timeout_seconds),
         "The longest that a rank waits for others in one collective before it ends the job with a line that names rank, "
         "step, "
         "operation and bytes; 0: for ever.",
         from(0)},
        {.path = "/train/probe",
         .slot = XB_SLOT(train.probe),
         .help = "A run that is made for its times alone and keeps no weights and no scores, as a sweep's factors need it. "
                 "steps: the training as it is; preloaded: its batches are in memory; arrivals: so they are, and its ranks "
                 "wait for each other but move no data.",
         .choices = {"none", "steps", "preloaded", "arrivals"}},
    };
}

std::vector<ConfigField> sweep_and_scaling_fields() {
    return {
        {.path = "/sweep/*/trainer",
         .slot = XB_SLOT(sweep[row].trainer),
         .help = "How the row trains.",
         .choices = {"serial", "cpu_ddp", "gpu_ddp", "sharded"}},
        {.path = "/sweep/*/device",
         .slot = XB_SLOT(sweep[row].device),
         .help = "Empty: the trainer's own.",
         .choices = {"", "cpu", "cuda"}},
        {.path = "/sweep/*/ranks",
         .slot = XB_SLOT(sweep[row].ranks),
         .help = "Processes: a number or a list.",
         .range = between(1, 2048),
         .at_least = 1},
        {.path = "/sweep/*/threads",
         .slot = XB_SLOT(sweep[row].threads),
         .help = "Threads of each process: a number or a list.",
         .range = between(1, 1024),
         .at_least = 1},
        {"/sweep/*/stage", XB_SLOT(sweep[row].stage), "ZeRO stage of sharded: 1, 2 or 3.", between(0, 3)},
        {.path = "/scaling/mode",
         .slot = XB_SLOT(scaling.mode),
         .help = "strong: one batch shared by more ranks; weak: the batch grows with the ranks.",
         .choices = {"strong", "weak"}},
        {"/scaling/repeats", XB_SLOT(scaling.repeats), "Times that each point runs; from 6 on intervals are 95% intervals.",
         between(1, 1000)},
        {.path = "/scaling/launcher",
         .slot = XB_SLOT(scaling.launcher),
         .help =
             "auto: srun inside a Slurm job, else mpirun, else local; local: no launcher, xbench starts the ranks of GPUs "
             "of this node itself, and otherwise one process.",
         .choices = {"auto", "mpirun", "srun", "local"}},
        {"/scaling/oversubscribe", XB_SLOT(scaling.oversubscribe),
         "Also run points that need more cores than this machine allows; they are marked and kept out of fits."},
        {"/scaling/timeout_seconds", XB_SLOT(scaling.timeout_seconds), "Longest time of one repeat of a point; 0: no limit.",
         from(0)},
        {"/scaling/seed", XB_SLOT(scaling.seed),
         "Of the order of runs: each repeat of all points is a block, run in an order drawn anew."},
        {"/scaling/budget_minutes", XB_SLOT(scaling.budget_minutes),
         "Minutes for the sweep: it makes as many whole blocks as fit, at least one, more or fewer than repeats says. 0: "
         "repeats decides.",
         from(0)},
        {"/scaling/factors", XB_SLOT(scaling.factors),
         "Run probes beside the rows on CPUs, in every repeat: they split the efficiency of a row into nine factors."},
        {"/scaling/slow_link_mb_per_s", XB_SLOT(scaling.slow_link_mb_per_s),
         "Experiments: every collective takes as long as its bytes need at this rate (1e6 B/s); 0: no such link.", from(0)},
        {"/scaling/slow_link_latency_us", XB_SLOT(scaling.slow_link_latency_us),
         "Experiments: and this long before the first byte.", from(0)},
        {"/output", XB_SLOT(output), "Folder in which run folders are made; --out names the run folder itself."},
    };
}
std::vector<ConfigField> all_fields() {
    std::vector<ConfigField> fields = model_and_data_fields();
    for (auto part : {train_fields(), schedule_fields(), stopping_fields(), loss_fields(), augment_fields(),
                      sweep_and_scaling_fields(), tune_fields()})
        fields.insert(fields.end(), part.begin(), part.end());
    return fields;
}

}  // namespace

const std::vector<ConfigField>& config_fields() {
    static const std::vector<ConfigField> fields = all_fields();
    return fields;
}

const std::vector<ConfigSection>& config_sections() {
    static const std::vector<ConfigSection> sections = {
        {"", "What one configuration file holds."},
        {"/model", "A name, or an object.", true},
        {"/data", "Where images come from: path or synthetic.", true},
        {"/data/synthetic", "Procedural chest X-rays made in memory, for runs without a data set."},
        {"/train", "One training run."},
        {"/train/augment",
         "Changes of the training images as they are read, drawn by (seed, epoch, image, operation) alone: the same at any "
         "number of ranks, threads and restarts. In this order; torchvision's meaning of each. All 0: none."},
        {"/sweep", "The rows of the scaling table; lists are multiplied out."},
        {"/sweep/*", "One row of the sweep."},
        {"/scaling", "How the sweep measures."},
        {"/tune", "A search over keys, by `xbench tune`."},
    };
    return sections;
}

const ConfigField* find_field(const std::string& path) {
    const auto& fields = config_fields();
    const auto found =
        std::find_if(fields.begin(), fields.end(), [&](const ConfigField& field) { return field.path == path; });
    return found == fields.end() ? nullptr : &*found;
}

std::vector<std::string> keys_of_section(const std::string& path) {
    std::vector<std::string> keys;
    const std::string prefix = path + "/";
    for (const ConfigField& field : config_fields()) {
        if (!field.path.starts_with(prefix)) continue;
        const std::string key = field.path.substr(prefix.size(), field.path.find('/', prefix.size()) - prefix.size());
        if (keys.empty() || keys.back() != key) keys.push_back(key);
    }
    return keys;
}

std::string to_string(const NumberRange& range) {
    const std::string low =
        std::isinf(range.low) ? "" : fmt::format("{} {}", range.low_open ? "more than" : "at least", range.low);
    const std::string high =
        std::isinf(range.high) ? "" : fmt::format("{} {}", range.high_open ? "less than" : "at most", range.high);
    return low.empty() || high.empty() ? low + high : low + " and " + high;
}

}  // namespace xbench
