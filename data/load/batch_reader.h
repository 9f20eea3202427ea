// What a batch holds, made from a data set: which images a rank takes of it, their labels and boxes, and their pixels,
// changed and normalised. Has no state of its own, so that several threads may read different batches at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/load/augment.h"
#include "data/load/loader.h"

namespace xbench {

class BatchReader {
public:
    // The set and the options must outlive it. Throws UsageError where mean or std do not fit the channels.
    BatchReader(const Dataset& dataset, const LoaderOptions& options);

    int64_t image_values() const { return image_values_; }           // c * h * w
    int64_t own_leaves() const { return leaf_last_ - leaf_first_; }  // of this rank
    int64_t local_size(int64_t global_size) const;                   // images of this rank in a batch
    const std::vector<float>& deviations() const { return std_; }    // one a channel

    // Batch `index` of an epoch in which the images come in this order, and batches begin and end so (batch_bounds).
    void read(std::span<const int64_t> order, const std::vector<int64_t>& bounds, int64_t index, int64_t epoch,
              Batch& batch) const;

private:
    int64_t start_of(int64_t leaf, int64_t size) const { return leaf_start(leaf, size, options_.virtual_ranks); }
    void read_labels(Batch& batch) const;
    double weight_sum(std::span<const int64_t> images, int64_t epoch) const;
    void read_boxes(Batch& batch) const;
    void augment(int64_t epoch, Batch& batch) const;
    void normalise(float* images, int64_t count) const;

    const Dataset& dataset_;
    const LoaderOptions& options_;
    const int64_t image_values_, leaf_first_, leaf_last_;  // this rank's leaves: [leaf_first_, leaf_last_)
    const Augmenter augmenter_;
    std::vector<float> mean_, std_;
};

}  // namespace xbench
