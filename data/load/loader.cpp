// Batches of a split, read ahead by worker threads.
//
// The workers and the consumer share a ring of slots. Batch b of an epoch always lands in slot b % slots; a worker takes
// the number of the next batch under the mutex once that batch's slot is free, fills the slot without the mutex, and marks
// it ready. So batches come in order whatever the number of workers, the workers never touch the batch that the consumer
// holds, and all buffers are allocated when the loader is made.
#include "data/load/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/core.h>

#include "core/communicator.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/rng.h"
#include "core/virtual_ranks.h"
#include "data/load/batch_reader.h"

namespace xbench {
namespace {

struct Slot {
    Batch batch;
    AlignedBuffer images;
    bool ready = false;
    std::exception_ptr failure;
};

}  // namespace

void check_split(const Dataset& dataset, Split split) {
    if (dataset.indices(split).empty())
        throw Error(fmt::format("no images in split {}", name_of(split)), dataset.info().source,
                    "import with --split, or name the folders train, val and test");
}

std::vector<int64_t> epoch_order(std::vector<int64_t> indices, uint64_t seed, int64_t epoch) {
    Random(seed, RandomUse::shuffle, static_cast<uint32_t>(epoch)).shuffle(indices);
    return indices;
}

struct Loader::State {
    const Dataset& dataset;
    const LoaderOptions options;
    const BatchReader reader;
    std::vector<int64_t> indices, order;  // of the split, ascending; of this epoch
    std::vector<int64_t> bounds;          // of batches
    std::vector<Slot> slots;

    std::mutex mutex;
    std::condition_variable slot_freed, slot_ready, worker_idle;
    int64_t first = 0, taken = 0, delivered = 0, last = 0;  // of the epoch; taken by workers; given to the consumer; end
    int busy = 0;                                           // workers that are filling a slot
    int64_t epoch = 0;
    int64_t waited_ns = 0;           // of the consumer
    std::vector<int64_t> preloaded;  // which batch of an epoch each slot holds; empty: not preloaded
    bool epoch_started = false, stopping = false;
    std::vector<std::thread> workers;

    State(const Dataset& set, const LoaderOptions& wanted);
    ~State();
    int64_t batches() const { return static_cast<int64_t>(bounds.size()) - 1; }
    int64_t samples() const { return static_cast<int64_t>(indices.size()); }
    int64_t max_local_batch() const;
    int64_t most_boxes() const;
    Slot& slot_of(int64_t index) { return slots[static_cast<size_t>(index) % slots.size()]; }
    // The consumer's own batch, delivered - 1, keeps its slot until the next call of next().
    bool may_take() const {
        return taken < last && taken < std::max<int64_t>(delivered - 1, 0) + static_cast<int64_t>(slots.size());
    }
    void check() const;
    void make_slots();
    void choose_preloaded();
    const Batch* next_preloaded();
    void end_workers();
    void stop_epoch(std::unique_lock<std::mutex>& lock);
    void start_epoch(int64_t number, int64_t first_batch);
    const Batch* next();
    void wait_for(Slot& slot, int64_t index, std::unique_lock<std::mutex>& lock);
    void work();
    void fill(int64_t index);
};

Loader::State::State(const Dataset& set, const LoaderOptions& wanted)
    : dataset(set),
      options(wanted),
      reader(dataset, options),
      indices(wanted.indices.empty() ? set.indices(wanted.split) : wanted.indices) {
    check();
    bounds = batch_bounds(samples(), options.chunk_images, options.batch_size);
    if (options.preload) choose_preloaded();
    make_slots();
    order = indices;
    if (options.preload) return;
    try {
        for (int i = 0; i < options.workers; ++i) workers.emplace_back([this] { work(); });
    } catch (...) {  // no thread left: those that were started must end before this object goes
        end_workers();
        throw;
    }
}

Loader::State::~State() { end_workers(); }

void Loader::State::end_workers() {
    {
        const std::lock_guard lock(mutex);
        stopping = true;
    }
    slot_freed.notify_all();
    for (std::thread& worker : workers) worker.join();
}

void Loader::State::check() const {
    if (indices.empty()) check_split(dataset, options.split);
    if (options.batch_size < 1) throw UsageError("the batch size must be at least 1", "/train/batch_size");
    if (options.virtual_ranks < 1) throw UsageError("must be at least 1", "/train/virtual_ranks");
    if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks) {
        throw UsageError(fmt::format("rank {} of {} ranks", options.rank, options.ranks));
    }
    if (const std::string mistake = too_many_ranks(options.ranks, options.virtual_ranks); !mistake.empty())
        throw UsageError(mistake, "/train/virtual_ranks", "raise it (at most to the batch size), or start fewer ranks");
    for (const float value : reader.deviations()) {
        if (!(value > 0)) throw UsageError("must be greater than 0", "/data/std");
    }
    if (options.workers < 0 || options.prefetch < 1)
        throw UsageError("workers must be >= 0 and prefetch >= 1", "/data/workers");
}

int64_t Loader::State::max_local_batch() const {
    // A short last batch can give a middle leaf one image more than a full batch does.
    int64_t most = 1;
    for (size_t i = 0; i + 1 < bounds.size(); ++i) most = std::max(most, reader.local_size(bounds[i + 1] - bounds[i]));
    return most;
}

int64_t Loader::State::most_boxes() const {
    size_t most = 0;
    for (const int64_t image : indices) most = std::max(most, dataset.boxes(image).size());
    return static_cast<int64_t>(most);
}

void Loader::State::make_slots() {
    const size_t most = static_cast<size_t>(max_local_batch());
    const auto read_ahead = static_cast<size_t>(batches_in_memory(options.workers, options.prefetch));
    slots = std::vector<Slot>(options.preload ? preloaded.size() : read_ahead);
    for (Slot& slot : slots) {
        const size_t bytes = most * static_cast<size_t>(reader.image_values()) * sizeof(float);
        slot.images = options.allocate ? options.allocate(bytes) : AlignedBuffer(bytes);
        slot.images.count_in(options.ledger, MemoryCategory::batches);
        slot.batch.images = slot.images.as<float>();
        slot.batch.multilabel = dataset.info().multilabel;
        slot.batch.leaf_begin.reserve(static_cast<size_t>(reader.own_leaves()) + 1);
        slot.batch.sample_ids.reserve(most);
        if (dataset.has_boxes()) {
            slot.batch.boxes.reserve(most * static_cast<size_t>(most_boxes()));
            slot.batch.box_offsets.reserve(most + 1);
        }
        if (dataset.info().multilabel)
            slot.batch.targets.reserve(most * static_cast<size_t>(dataset.info().classes()));
        else
            slot.batch.labels.reserve(most);
    }
}

// As many of each size as are in memory otherwise, so that the caches see as much of them.
void Loader::State::choose_preloaded() {
    std::vector<int64_t> sizes;
    for (int64_t i = 0; i < batches(); ++i) {
        const int64_t size = bounds[static_cast<size_t>(i) + 1] - bounds[static_cast<size_t>(i)];
        if (std::count(sizes.begin(), sizes.end(), size) >= batches_in_memory(options.workers, options.prefetch)) continue;
        sizes.push_back(size);
        preloaded.push_back(i);
    }
}

// Of the slots that hold a batch of this size, one after the other.
const Batch* Loader::State::next_preloaded() {
    if (delivered == last) return nullptr;
    const int64_t index = delivered++, size = bounds[static_cast<size_t>(index) + 1] - bounds[static_cast<size_t>(index)];
    const auto fits = [&](const Slot& slot) { return slot.batch.global_size == size; };
    auto left = index % std::count_if(slots.begin(), slots.end(), fits);
    const auto found = std::find_if(slots.begin(), slots.end(), [&](const Slot& slot) { return fits(slot) && left-- == 0; });
    found->batch.index = index;
    return &found->batch;
}

// Lets the workers finish what they have taken; after it nobody reads `order` or touches a slot.
void Loader::State::stop_epoch(std::unique_lock<std::mutex>& lock) {
    last = taken;
    worker_idle.wait(lock, [&] { return busy == 0; });
}

void Loader::State::start_epoch(int64_t number, int64_t first_batch) {
    {
        std::unique_lock lock(mutex);
        stop_epoch(lock);
        order = indices;
        if (options.shuffle) order = epoch_order(std::move(order), options.seed, number);
        order = chunked_order(order, options.chunk_images, options.chunk_partitions, options.batch_size);
        for (Slot& slot : slots) {
            slot.ready = false;
            slot.failure = nullptr;
        }
        epoch = number;
        taken = delivered = first = first_batch;
        last = batches();
        for (size_t i = 0; i < preloaded.size() && !epoch_started; ++i)
            reader.read(order, bounds, preloaded[i], epoch, slots[i].batch);
        epoch_started = true;
    }
    slot_freed.notify_all();
}

// Only what is not ready is waited for. A worker that is woken on the caller's own core, as where a rank has one core, may
// run at once: that is computing, and the core has to do it some time.
void Loader::State::wait_for(Slot& slot, int64_t index, std::unique_lock<std::mutex>& lock) {
    if (!workers.empty()) slot_freed.notify_one();
    if (slot.ready) return;
    const auto start = std::chrono::steady_clock::now();
    if (workers.empty()) {
        taken = delivered;
        lock.unlock();
        fill(index);
        lock.lock();
    } else {
        slot_ready.wait(lock, [&] { return slot.ready; });
    }
    waited_ns += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
}

const Batch* Loader::State::next() {
    std::unique_lock lock(mutex);
    if (!epoch_started) throw Error("next() without an epoch", "data/loader", "call start_epoch() first");
    if (options.preload) return next_preloaded();
    if (delivered > first) slot_of(delivered - 1).ready = false;
    if (delivered == last) return nullptr;
    const int64_t index = delivered++;
    Slot& slot = slot_of(index);
    wait_for(slot, index, lock);
    if (slot.failure) {
        const std::exception_ptr failure = std::exchange(slot.failure, nullptr);
        stop_epoch(lock);
        delivered = last;  // the epoch is over
        std::rethrow_exception(failure);
    }
    return &slot.batch;
}

void Loader::State::work() {
    std::unique_lock lock(mutex);
    while (true) {
        slot_freed.wait(lock, [&] { return stopping || may_take(); });
        if (stopping) return;
        const int64_t index = taken++;
        ++busy;
        lock.unlock();
        fill(index);
        lock.lock();
        slot_of(index).ready = true;
        --busy;
        slot_ready.notify_one();
        worker_idle.notify_one();
    }
}

void Loader::State::fill(int64_t index) {
    Slot& slot = slot_of(index);
    try {
        if (options.longer_ms > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options.longer_ms));
        reader.read(order, bounds, index, epoch, slot.batch);
    } catch (...) {
        slot.failure = std::current_exception();
    }
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options) : state_(std::make_unique<State>(dataset, options)) {}
Loader::~Loader() = default;
int64_t Loader::samples() const { return state_->samples(); }
int64_t Loader::batches() const { return state_->batches(); }
const std::vector<int64_t>& Loader::bounds() const { return state_->bounds; }
int64_t Loader::max_local_batch() const { return state_->max_local_batch(); }
void Loader::start_epoch(int64_t epoch, int64_t first_batch) { state_->start_epoch(epoch, first_batch); }
int64_t Loader::take_wait_ns() { return std::exchange(state_->waited_ns, 0); }

const Batch* Loader::next() { return state_->next(); }

}  // namespace xbench
