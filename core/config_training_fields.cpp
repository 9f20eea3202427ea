// Rows of the configuration table: schedules and the end of a training, the loss and what is done to gradients and weights,
// and the search over keys.
#include "core/config_field_rows.h"

namespace xbench {

// How the learning rate changes and when a training ends.
std::vector<ConfigField> schedule_fields() {
    return {
        {.path = "/train/lr_schedule",
         .slot = XB_SLOT(train.lr_schedule),
         .help =
             "Of the learning rate, behind the warm-up. cosine: from learning_rate to lr_min in lr_t_max intervals, which "
             "it keeps; step: times lr_gamma every lr_step_size intervals; plateau: times lr_gamma when lr_monitor has not "
             "improved in lr_patience epochs and another one.",
         .choices = {"constant", "cosine", "step", "plateau"}},
        {.path = "/train/lr_interval",
         .slot = XB_SLOT(train.lr_interval),
         .help = "What cosine and step count: whole epochs (PyTorch's schedulers, stepped once an epoch) or steps (Keras' "
                 "CosineDecay). They begin behind the warm-up, of which an epoch belongs to it where it ends.",
         .choices = {"epoch", "step"}},
        {"/train/lr_t_max", XB_SLOT(train.lr_t_max),
         "Of cosine: intervals until lr_min (PyTorch's T_max, Keras' decay_steps); 0: to the end of epochs.", from(0)},
        {"/train/lr_step_size", XB_SLOT(train.lr_step_size), "Of step: intervals between two reductions.", from(1)},
        {"/train/lr_gamma",
         XB_SLOT(train.lr_gamma),
         "Factor of a reduction (Keras: factor).",
         {.low = 0, .high = 1, .low_open = true}},
        {"/train/lr_min", XB_SLOT(train.lr_min), "Of cosine and plateau: the lowest learning rate.", from(0)},
        {.path = "/train/lr_monitor",
         .slot = XB_SLOT(train.lr_monitor),
         .help = "Of plateau: what should improve.",
         .choices = {"val_loss", "train_loss", "val_accuracy", "val_balanced_accuracy"}},
        {"/train/lr_patience", XB_SLOT(train.lr_patience),
         "Of plateau: epochs without improvement that are put up with; the next one reduces (PyTorch's patience; Keras' is "
         "one more).",
         from(0)},
        {"/train/lr_cooldown", XB_SLOT(train.lr_cooldown), "Of plateau: epochs behind a reduction that count for nothing.",
         from(0)},
        {"/train/lr_threshold", XB_SLOT(train.lr_threshold), "Of plateau: a smaller change is no improvement.", from(0)},
        {.path = "/train/lr_threshold_mode",
         .slot = XB_SLOT(train.lr_threshold_mode),
         .help = "Of plateau: rel, a share of the best value (PyTorch); abs, a difference (Keras' min_delta).",
         .choices = {"rel", "abs"}},
    };
}

// When a training ends, and the order of its images.
std::vector<ConfigField> stopping_fields() {
    return {
        {.path = "/train/early_stopping",
         .slot = XB_SLOT(train.early_stopping),
         .help = "What patience counts. best: epochs since the best one, in which a tie with a lower loss is better too; "
                 "keras: EarlyStopping's wait, epochs in which monitor has not improved by more than min_delta; first_rise: "
                 "stops at the first epoch whose val_loss is not lower, whatever patience is.",
         .choices = {"best", "keras", "first_rise"}},
        {"/train/min_delta", XB_SLOT(train.min_delta), "Of keras and first_rise: a smaller change is no improvement.",
         from(0)},
        {.path = "/train/baseline",
         .slot = XB_SLOT(train.baseline),
         .help =
             "Of keras and first_rise: the wait begins anew only where an improvement is one on this value of monitor, too; "
             "null: on the best so far alone.",
         .range = from(0),
         .nullable = true},
        {"/train/start_from_epoch", XB_SLOT(train.start_from_epoch),
         "Of keras and first_rise: so many epochs pass before one is compared; none of them is restored unless no other "
         "follows.",
         from(0)},
        {"/train/restore_best", XB_SLOT(train.restore_best),
         "Test the best epoch's weights, also where no patience ended the run; false: the last epoch's. Checkpoints keep "
         "both."},
        {.path = "/train/constants",
         .slot = XB_SLOT(train.constants),
         .help = "The defaults of keys that are not given. keras: bn_eps 1e-3, bn_momentum 0.01, adam_epsilon 1e-7, "
                 "initializer glorot_uniform, class_weight_mean images, lr_threshold_mode abs, lr_patience 9.",
         .choices = {"pytorch", "keras"}},
    };
}

// The loss, what is done to gradients and weights, and in what order images come.
std::vector<ConfigField> loss_fields() {
    return {
        {.path = "/train/loss",
         .slot = XB_SLOT(train.loss),
         .help =
             "cross_entropy: softmax for one label, binary for several. focal: times (1 - p)^focal_gamma, with focal_alpha "
             "for several labels.",
         .choices = {"cross_entropy", "focal"}},
        {"/train/focal_gamma", XB_SLOT(train.focal_gamma), "Exponent of the focal loss.", from(0)},
        {"/train/focal_alpha", XB_SLOT(train.focal_alpha),
         "Of the focal loss of several labels: weight of positives, 1 minus it that of negatives.", between(0, 1)},
        {"/train/label_smoothing", XB_SLOT(train.label_smoothing),
         "e: targets become (1 - e) t + e / K, K classes, 2 for each of several labels.", below_one()},
        {.path = "/train/class_weights",
         .slot = [](Config& c, size_t) -> ConfigSlot {
             return WordOrNumbers{&c.train.class_weight_rule, &c.train.class_weights};
         },
         .help =
             "Weight of each class in the loss: one number a class, or balanced: N / (K n_c) of the training split. none or "
             "empty: 1.",
         .range = above(0),
         .choices = {"none", "balanced"}},
        {.path = "/train/class_weight_mean",
         .slot = XB_SLOT(train.class_weight_mean),
         .help = "What the weighted loss of the whole batch is divided by: the sum of its weights (PyTorch) or the images "
                 "(Keras).",
         .choices = {"weights", "images"}},
        {"/train/clip_norm", XB_SLOT(train.clip_norm),
         "Gradients are scaled by min(1, clip_norm / (norm + 1e-6)), norm that of all of them together; 0: never.", from(0)},
        {.path = "/train/decay_exclude",
         .slot = XB_SLOT(train.decay_exclude),
         .help = "Parameters that weight_decay leaves alone: those of one dimension, which are biases and those of "
                 "normalisations.",
         .choices = {"none", "bias_and_norm"}},
        {"/train/ema_decay", XB_SLOT(train.ema_decay),
         "d: after each step an average of the weights becomes d average + (1 - d) weights; it is what is evaluated and "
         "stored. 0: none.",
         below_one()},
        {.path = "/train/ema_statistics",
         .slot = XB_SLOT(train.ema_statistics),
         .help =
             "Running statistics of batch normalisations beside averaged weights. averaged: by ema_decay, too (PyTorch's "
             "use_buffers=True), once they have forgotten what fresh ones begin as; copied: those of the newest weights, "
             "which need not fit the averaged ones.",
         .choices = {"averaged", "copied"}},
        {"/train/freeze", XB_SLOT(train.freeze),
         "Patterns (* and ?) of names of parameters that stay as they are; a batch normalisation whose parameters all do "
         "uses "
         "and keeps its running statistics."},
        {"/train/chunk_images", XB_SLOT(train.chunk_images),
         "Cuts the shuffled training split into chunks of so many images, each trained on for one epoch before the next; "
         "batches end with their chunk. 0: one chunk.",
         from(0)},
        {"/train/chunk_partitions", XB_SLOT(train.chunk_partitions),
         "Parts of a chunk, as even as can be, from each of which a batch takes its share.", between(1, 2048)},
    };
}

std::vector<ConfigField> tune_fields() {
    return {
        {.path = "/tune/method",
         .slot = XB_SLOT(tune.method),
         .help =
             "How trials get their values: random draws, every combination (grid), or random draws of which only the best "
             "1/eta go on, again and again (halving: synchronous successive halving).",
         .choices = {"random", "grid", "halving"}},
        {"/tune/search", XB_SLOT(tune.search),
         "What is searched: \"train.learning_rate=0.001,0.01\" lists values, \"train.weight_decay=1e-6..1e-2\" is a range, "
         "\"log 1e-6..1e-2\" one whose logarithm is uniform."},
        {"/tune/trials", XB_SLOT(tune.trials), "Trials of random and halving.", between(1, 100000)},
        {"/tune/seed", XB_SLOT(tune.seed), "Of the draws.", from(0)},
        {.path = "/tune/select",
         .slot = XB_SLOT(tune.select),
         .help = "monitor: the best train.monitor on the validation split; chunk_loss: the lowest mean training loss of the "
                 "chunks of a trial's last epoch (system A's published rule).",
         .choices = {"monitor", "chunk_loss"}},
        {"/tune/eta", XB_SLOT(tune.eta), "Of halving: one in so many goes on, for so many times the epochs.",
         between(2, 100)},
        {"/tune/min_epochs", XB_SLOT(tune.min_epochs), "Of halving: epochs of the first rung.", from(1)},
        {"/tune/repeats", XB_SLOT(tune.repeats), "Further trainings of the winner with other seeds, to show its optimism.",
         between(0, 1000)},
    };
}

}  // namespace xbench
