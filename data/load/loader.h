// Turns a split of a data set into batches: shuffled by (seed, epoch) alone, divided among leaves and ranks, normalised, and
// read ahead by worker threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/config.h"
#include "core/memory.h"
#include "data/set/dataset.h"

namespace xbench {

struct LoaderOptions {
    Split split = Split::train;
    std::vector<int64_t> indices;  // not empty: these images of the data set instead of a split
    int64_t batch_size = 64;       // of all ranks together
    int64_t virtual_ranks = 8;     // leaves of the batch, V
    int rank = 0, ranks = 1;       // this rank takes leaves floor(rank V / ranks) .. floor((rank+1) V / ranks) - 1
    uint64_t seed = 1;
    bool shuffle = true;
    std::vector<double> mean{0.5}, std{0.5};         // x = (value in [0,1] - mean) / std, one number or one a channel
    AugmentConfig augment;                           // before that; drawn by `seed`, the epoch and the image
    int workers = 1;                                 // threads that read ahead; 0: next() reads itself
    int prefetch = 3;                                // batches held ready
    std::vector<double> class_weights;               // one a class: Batch::weight_sum is wanted
    int64_t chunk_images = 0, chunk_partitions = 1;  // of chunked_order
    bool preload = false;  // a few batches of each size are read when the first epoch starts, and come again and again
    double longer_ms = 0;  // of a planted loss: each batch that is read takes so much longer
    MemoryLedger* ledger = nullptr;                 // counts the batches' images
    std::function<AlignedBuffer(size_t)> allocate;  // memory for those; none: the host's own
};

// Of a class of which nobody knows whether the image shows it: loss and metrics leave it out.
inline constexpr float unknown_target = -1;

// One rank's share of one global batch. Leaf v of the batch holds its samples floor(v B / V) .. floor((v+1) B / V) - 1,
// where B is this batch's real size (the last one of an epoch may be short; then leaves may be empty).
struct Batch {
    int64_t index = 0;                // in the epoch
    int64_t global_size = 0;          // images of all ranks
    int64_t size = 0;                 // images here; may be 0 in a short batch
    double weight_sum = 0;            // of the classes of all ranks' images; 0 where no weights are given
    std::vector<int32_t> leaf_begin;  // {leaves here + 1}, from 0 to size
    std::vector<int64_t> sample_ids;  // {size}: index in the data set
    float* images = nullptr;          // {size,c,h,w} plain, 64-byte aligned, owned by the loader until the next next()
    bool multilabel = false;          // targets are meant, where size is 0 too
    std::vector<int32_t> labels;      // {size}, single label
    std::vector<float> targets;       // {size*K}, multi-label
    std::vector<Box> boxes;           // of sets that have boxes: image i has boxes[box_offsets[i]] .. [box_offsets[i+1] - 1]
    std::vector<int64_t> box_offsets;  // {size+1}; empty for a set without boxes
};

// The order of an epoch, a function of (seed, epoch) alone: every index of the split exactly once.
std::vector<int64_t> epoch_order(std::vector<int64_t> indices, uint64_t seed, int64_t epoch);
// An order cut into chunks of so many images, each of them into partitions as even as can be. A batch, of which none goes
// over the end of a chunk, takes its share of every partition. One chunk of one partition is the order itself.
std::vector<int64_t> chunked_order(const std::vector<int64_t>& order, int64_t chunk_images, int64_t partitions,
                                   int64_t batch_size);
// Where each batch begins, and the end of the last: {batches + 1}. chunk_images 0: one chunk.
std::vector<int64_t> batch_bounds(int64_t images, int64_t chunk_images, int64_t batch_size);
// The sum of the weights of these images' classes, each rounded to f32 as kernels read it, in the order of the images.
double sum_of_weights(const std::vector<double>& class_weights, const Dataset& dataset, std::span<const int64_t> images);
// First sample of leaf v of a batch of `size` images cut into `leaves`.
constexpr int64_t leaf_start(int64_t v, int64_t size, int64_t leaves) { return v * size / leaves; }
// The most images in `own` neighbouring leaves of a batch of at most `size` images.
constexpr int64_t most_images(int64_t own, int64_t size, int64_t leaves) { return (own * size + leaves - 1) / leaves; }

// One is the consumer's; each worker needs one to fill.
constexpr int batches_in_memory(int workers, int prefetch) {
    return workers == 0 ? 1 : (prefetch > workers ? prefetch : workers) + 1;
}

// Throws Error where a split has no images, so that a job can find out before it begins.
void check_split(const Dataset& dataset, Split split);

class Loader {
public:
    Loader(const Dataset& dataset, const LoaderOptions& options);  // throws when ranks > virtual_ranks or the split is empty
    ~Loader();
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    int64_t samples() const;                     // of the split, all ranks
    int64_t batches() const;                     // in an epoch, the last of it or of a chunk may be short
    const std::vector<int64_t>& bounds() const;  // batch_bounds
    // The most images that this rank gets in a batch; 1 where it gets none, so that there is memory to point to.
    int64_t max_local_batch() const;
    // From this batch on; also abandons an epoch under way.
    void start_epoch(int64_t epoch, int64_t first_batch = 0);
    const Batch* next();  // null at the end of the epoch; valid until the next call
    // How long next() has waited for batches, or read them itself, since the last call of this.
    int64_t take_wait_ns();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace xbench
