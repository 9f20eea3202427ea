// Weights of a model on disk and in memory, under the names that PyTorch gives them.
// A checkpoint is one .safetensors file. Its metadata holds everything that `eval` and `predict` need besides the data: the
// model's configuration, the class names, the mean and standard deviation for normalising images, and everything on which
// the loss of the training run and its bits depend.
// BatchNorm's num_batches_tracked, which PyTorch's strict loading demands, is written as 0 and ignored when read.
#pragma once

#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/graph.h"
#include "parallel/checkpoint/safetensors.h"

namespace xbench {

// Parameters and running statistics, in canonical order (Graph::state: forward order, filters OIHW) when written by xbench.
struct WeightSet {
    std::vector<NamedTensor> tensors;
    std::map<std::string, std::string> metadata;
    bool verified = false;  // read from a file whose hashes were there and right
    std::string wrapper{};  // "module.": taken off the names of all tensors
};

// With two hashes in its metadata: xbench.weights_hash of the numbers, and xbench.header_hash of everything else that is
// read from the file (the metadata, names, shapes and integers).
void save_weights(const std::filesystem::path& path, const WeightSet& weights);
// `path` is a .safetensors file, a folder that holds best.safetensors (or no other than one .safetensors file), or a run
// folder with such a folder named checkpoints. Throws Error where a hash in the file is not that of its content; a file
// without them, as PyTorch writes it, is read unverified.
WeightSet load_weights(const std::filesystem::path& path);
std::filesystem::path find_weights(const std::filesystem::path& path);

// XXH3-128 over the fp32 numbers of all tensors in the order of the set, as 32 hex digits.
std::string weights_hash(const WeightSet& weights);

// The tensors that belong to the graph, in canonical order (Graph::state). Throws one Error that lists every tensor that is
// missing, left over or of another shape. `origin` names the file in it.
std::vector<const NamedTensor*> match_weights(const WeightSet& weights, const Graph& graph, const std::string& origin);

// The loss beside positive weights, as it was trained with and is evaluated with.
struct LossDescription {
    bool focal = false;
    double focal_gamma = 2, focal_alpha = 0.25, label_smoothing = 0;
    std::vector<double> class_weights;  // none, or one a class
    bool mean_of_weights = false;       // a batch's loss is divided by the sum of its images' weights, not by their number
    bool is_plain() const { return !focal && label_smoothing == 0 && class_weights.empty(); }
};

// What a checkpoint says about its model.
struct ModelDescription {
    ModelConfig model;  // resolved: channels, size and classes are set
    std::vector<std::string> class_names;
    std::vector<double> mean{0.5}, std{0.5};
    std::string leaks;                     // the training set's: what was found in several splits; empty: nobody looked
    std::vector<double> positive_weights;  // of binary cross-entropy: none, one, or one a class (train.pos_weight)
    LossDescription loss;
    std::string kind = "trained";    // or "ema": an average of the weights (train.ema_decay)
    std::string precision = "fp32";  // of products, as train.precision
    // Images of a batch of an evaluation and its leaves: the order in which losses are added.
    int64_t evaluation_batch = 64, virtual_ranks = 1;
    // Chosen on the validation split (eval/thresholds.h, eval/calibration.h): a threshold a class, or none; NaN: no
    // temperature.
    std::vector<double> thresholds;
    double temperature = std::numeric_limits<double>::quiet_NaN();
};

void describe(const ModelDescription& description, WeightSet& weights);                // into the metadata
ModelDescription description_of(const WeightSet& weights, const std::string& origin);  // throws Error where it is missing

}  // namespace xbench
