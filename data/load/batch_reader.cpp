// Leaves are those of core/virtual_ranks.h.
#include "data/load/batch_reader.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "core/communicator.h"
#include "core/error.h"
#include "core/virtual_ranks.h"

namespace xbench {
namespace {

// One number for all channels, or one a channel.
std::vector<float> per_channel(const std::vector<double>& values, int64_t channels, const char* name) {
    if (values.size() != 1 && std::cmp_not_equal(values.size(), channels)) {
        throw UsageError(fmt::format("{} numbers for {} channels", values.size(), channels), fmt::format("/data/{}", name),
                         "give one number, or one a channel");
    }
    std::vector<float> result;
    for (int64_t c = 0; c < channels; ++c) {
        result.push_back(static_cast<float>(values.size() == 1 ? values[0] : values[static_cast<size_t>(c)]));
    }
    return result;
}

}  // namespace

BatchReader::BatchReader(const Dataset& dataset, const LoaderOptions& options)
    : dataset_(dataset),
      options_(options),
      image_values_(dataset.info().channels * dataset.info().height * dataset.info().width),
      leaf_first_(options.ranks > 0 ? leaves_of_rank(options.virtual_ranks, options.rank, options.ranks).first : 0),
      leaf_last_(options.ranks > 0 ? leaves_of_rank(options.virtual_ranks, options.rank + 1, options.ranks).first : 0),
      augmenter_(options.augment, dataset.info(), options.seed),
      mean_(per_channel(options.mean, dataset.info().channels, "mean")),
      std_(per_channel(options.std, dataset.info().channels, "std")) {}

int64_t BatchReader::local_size(int64_t global_size) const {
    return start_of(leaf_last_, global_size) - start_of(leaf_first_, global_size);
}

void BatchReader::read(std::span<const int64_t> order, const std::vector<int64_t>& bounds, int64_t index, int64_t epoch,
                       Batch& batch) const {
    const int64_t begin = bounds[static_cast<size_t>(index)];
    batch.index = index;
    batch.global_size = bounds[static_cast<size_t>(index) + 1] - begin;
    batch.weight_sum = weight_sum(order.subspan(static_cast<size_t>(begin), static_cast<size_t>(batch.global_size)), epoch);
    const int64_t before = start_of(leaf_first_, batch.global_size);
    batch.leaf_begin.clear();
    for (int64_t v = leaf_first_; v <= leaf_last_; ++v) {
        batch.leaf_begin.push_back(static_cast<int32_t>(start_of(v, batch.global_size) - before));
    }
    batch.size = batch.leaf_begin.back();
    const int64_t* ids = order.data() + begin + before;
    batch.sample_ids.assign(ids, ids + batch.size);
    read_labels(batch);
    read_boxes(batch);
    dataset_.read(batch.sample_ids, batch.images);
    if (augmenter_.active()) augment(epoch, batch);
    normalise(batch.images, batch.size);
}

// Of the classes that the images of all ranks have once they are augmented.
double BatchReader::weight_sum(std::span<const int64_t> images, int64_t epoch) const {
    if (options_.class_weights.empty()) return 0;
    if (!augmenter_.active()) return sum_of_weights(options_.class_weights, dataset_, images);
    double sum = 0;
    for (const int64_t image : images) {
        const int32_t label = augmenter_.label(augmenter_.draw(epoch, image), dataset_.labels()[static_cast<size_t>(image)]);
        sum += static_cast<double>(static_cast<float>(options_.class_weights[static_cast<size_t>(label)]));
    }
    return sum;
}

void BatchReader::read_labels(Batch& batch) const {
    batch.labels.clear();
    batch.targets.clear();
    const auto classes = static_cast<size_t>(dataset_.info().classes());
    for (const int64_t id : batch.sample_ids) {
        if (dataset_.info().multilabel) {
            const auto row = dataset_.targets().subspan(static_cast<size_t>(id) * classes, classes);
            for (const uint8_t target : row) batch.targets.push_back(target == unknown_label ? unknown_target : target);
        } else {
            batch.labels.push_back(dataset_.labels()[static_cast<size_t>(id)]);
        }
    }
}

void BatchReader::read_boxes(Batch& batch) const {
    if (!dataset_.has_boxes()) return;
    batch.boxes.clear();
    batch.box_offsets.assign(1, 0);
    for (const int64_t id : batch.sample_ids) {
        const auto boxes = dataset_.boxes(id);
        batch.boxes.insert(batch.boxes.end(), boxes.begin(), boxes.end());
        batch.box_offsets.push_back(static_cast<int64_t>(batch.boxes.size()));
    }
}

// Labels, boxes and pixels of each image by what is drawn for it in this epoch.
void BatchReader::augment(int64_t epoch, Batch& batch) const {
    thread_local std::vector<float> scratch;
    thread_local std::vector<Box> boxes, all_boxes;
    scratch.resize(static_cast<size_t>(image_values_));
    all_boxes.clear();
    const auto classes = static_cast<size_t>(dataset_.info().classes());
    for (size_t i = 0; i < batch.sample_ids.size(); ++i) {
        const Augmentation what = augmenter_.draw(epoch, batch.sample_ids[i]);
        augmenter_.apply(what, batch.images + static_cast<int64_t>(i) * image_values_, scratch.data());
        if (batch.multilabel)
            augmenter_.targets(what, std::span(batch.targets).subspan(i * classes, classes));
        else
            batch.labels[i] = augmenter_.label(what, batch.labels[i]);
        if (batch.box_offsets.empty()) continue;
        const auto own = dataset_.boxes(batch.sample_ids[i]);
        boxes.assign(own.begin(), own.end());
        augmenter_.apply(what, boxes);
        all_boxes.insert(all_boxes.end(), boxes.begin(), boxes.end());
        batch.box_offsets[i + 1] = static_cast<int64_t>(all_boxes.size());
    }
    batch.boxes.assign(all_boxes.begin(), all_boxes.end());
}

void BatchReader::normalise(float* images, int64_t count) const {
    const int64_t plane = dataset_.info().height * dataset_.info().width;
    for (int64_t i = 0; i < count; ++i) {
        for (size_t c = 0; c < mean_.size(); ++c, images += plane) {
            const float centre = mean_[c], width = std_[c];
            for (int64_t p = 0; p < plane; ++p) images[p] = (images[p] - centre) / width;
        }
    }
}

}  // namespace xbench
