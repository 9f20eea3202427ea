// The loader's promises: an order that follows from (seed, epoch) alone, each sample exactly once at any number of ranks,
// leaves where the header says, the same batches with any number of workers, and errors that surface.
#include "data/load/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "core/error.h"

namespace xbench {
namespace {

// `count` images of 2x3x3 whose pixels are the index, all in train but every fifth in val and every seventh in test.
class CountingDataset : public Dataset {
public:
    explicit CountingDataset(int64_t count, bool multilabel = false, int64_t broken = -1) : broken_(broken) {
        info_ = {"counting", count, 2, 3, 3, 1, {"even", "odd", "never"}, multilabel};
        for (int64_t i = 0; i < count; ++i) {
            if (multilabel)
                targets_.insert(targets_.end(), {uint8_t(i % 2 == 0), uint8_t(i % 2), 0});
            else
                labels_.push_back(static_cast<int32_t>(i % 2));
            splits_.push_back(i % 5 == 4 ? 1 : i % 7 == 6 ? 2 : 0);
            ids_.push_back(std::to_string(i));
        }
    }
    void read(std::span<const int64_t> indices, float* images) const override {
        for (const int64_t index : indices) {
            if (index == broken_) throw Error("cannot be read", "image " + std::to_string(index));
            images = std::fill_n(images, 18, static_cast<float>(index));
        }
    }
    std::string digest() const override { return "0"; }

private:
    int64_t broken_;
};

struct Seen {
    std::vector<int64_t> samples;
    std::vector<int32_t> labels, leaf_begin;
    std::vector<float> images, targets;
    int64_t global_size = 0;
    bool operator==(const Seen&) const = default;
};

std::vector<Seen> run_epoch(Loader& loader, int64_t epoch) {
    std::vector<Seen> batches;
    loader.start_epoch(epoch);
    while (const Batch* batch = loader.next()) {
        EXPECT_EQ(batch->index, static_cast<int64_t>(batches.size()));
        EXPECT_EQ(reinterpret_cast<uintptr_t>(batch->images) % 64, 0u);
        batches.push_back({batch->sample_ids,
                           batch->labels,
                           batch->leaf_begin,
                           {batch->images, batch->images + batch->size * 18},
                           batch->targets,
                           batch->global_size});
    }
    EXPECT_EQ(static_cast<int64_t>(batches.size()), loader.batches());
    return batches;
}

std::vector<Seen> run_epoch(const Dataset& set, const LoaderOptions& options, int64_t epoch) {
    Loader loader(set, options);
    return run_epoch(loader, epoch);
}

TEST(EpochOrder, IsAPermutationThatFollowsFromSeedAndEpoch) {
    std::vector<int64_t> indices(100);
    std::iota(indices.begin(), indices.end(), 1000);
    const auto order = epoch_order(indices, 7, 3);
    EXPECT_THAT(order, testing::UnorderedElementsAreArray(indices));
    EXPECT_EQ(order, epoch_order(indices, 7, 3));
    EXPECT_NE(order, epoch_order(indices, 7, 4));
    EXPECT_NE(order, epoch_order(indices, 8, 3));
    EXPECT_NE(order, indices);
}

TEST(Loader, GivesEachSampleOnceWithItsOwnLabelAndPixels) {
    const CountingDataset set(100);
    LoaderOptions options;
    options.batch_size = 16;
    options.mean = {2, 4};
    options.std = {0.5, 0.25};
    std::vector<int64_t> samples;
    for (const Seen& batch : run_epoch(set, options, 0)) {
        for (size_t i = 0; i < batch.samples.size(); ++i) {
            const int64_t id = batch.samples[i];
            EXPECT_EQ(batch.labels[i], id % 2);
            EXPECT_FLOAT_EQ(batch.images[i * 18 + 8], static_cast<float>(id - 2) / 0.5f);
            EXPECT_FLOAT_EQ(batch.images[i * 18 + 9], static_cast<float>(id - 4) / 0.25f);
            samples.push_back(id);
        }
    }
    EXPECT_THAT(samples, testing::UnorderedElementsAreArray(set.indices(Split::train)));
    EXPECT_FALSE(std::is_sorted(samples.begin(), samples.end()));
}

TEST(Loader, EvaluatesInOrder) {
    const CountingDataset set(100);
    LoaderOptions options;
    options.split = Split::val;
    options.shuffle = false;
    options.batch_size = 8;
    std::vector<int64_t> samples;
    for (const Seen& batch : run_epoch(set, options, 5))
        samples.insert(samples.end(), batch.samples.begin(), batch.samples.end());
    EXPECT_EQ(samples, set.indices(Split::val));
}

TEST(Loader, CarriesMultilabelTargets) {
    const CountingDataset set(60, true);
    LoaderOptions options;
    options.batch_size = 10;
    for (const Seen& batch : run_epoch(set, options, 0)) {
        EXPECT_TRUE(batch.labels.empty());
        ASSERT_EQ(batch.targets.size(), 3 * batch.samples.size());
        for (size_t i = 0; i < batch.samples.size(); ++i)
            EXPECT_EQ(batch.targets[3 * i + 1], static_cast<float>(batch.samples[i] % 2));
    }
}

// The ranks' shares, one after the other, are the single rank's batch: samples, pixels, and leaf by leaf.
class LoaderRanks : public testing::TestWithParam<int> {};

void expect_ranks_join(int ranks, int64_t batch_size, int64_t virtual_ranks) {
    SCOPED_TRACE(testing::Message() << "batch " << batch_size << ", " << virtual_ranks << " virtual ranks");
    const CountingDataset set(97);
    LoaderOptions options;
    options.batch_size = batch_size;
    options.virtual_ranks = virtual_ranks;
    const auto whole = run_epoch(set, options, 2);
    options.ranks = ranks;
    std::vector<std::vector<Seen>> shares;
    for (options.rank = 0; options.rank < ranks; ++options.rank) {
        Loader loader(set, options);
        shares.push_back(run_epoch(loader, 2));
        for (const Seen& batch : shares.back())
            EXPECT_LE(static_cast<int64_t>(batch.samples.size()), loader.max_local_batch());
    }
    for (size_t b = 0; b < whole.size(); ++b) {
        Seen joined;
        joined.leaf_begin = {0};
        joined.global_size = whole[b].global_size;
        for (const auto& share : shares) {
            const Seen& part = share[b];
            EXPECT_EQ(part.global_size, whole[b].global_size);
            ASSERT_EQ(part.leaf_begin.front(), 0);
            const auto before = static_cast<int32_t>(joined.samples.size());
            for (size_t v = 1; v < part.leaf_begin.size(); ++v) joined.leaf_begin.push_back(before + part.leaf_begin[v]);
            joined.samples.insert(joined.samples.end(), part.samples.begin(), part.samples.end());
            joined.labels.insert(joined.labels.end(), part.labels.begin(), part.labels.end());
            joined.images.insert(joined.images.end(), part.images.begin(), part.images.end());
        }
        EXPECT_EQ(joined, whole[b]) << "batch " << b;
        ASSERT_EQ(static_cast<int64_t>(whole[b].leaf_begin.size()), virtual_ranks + 1);
        for (int64_t v = 0; v <= virtual_ranks; ++v) {
            EXPECT_EQ(whole[b].leaf_begin[static_cast<size_t>(v)], leaf_start(v, whole[b].global_size, virtual_ranks));
        }
    }
}

// 97 images leave 66 in train: the last batches are short, and of size 2 and 1 they leave leaves empty.
TEST_P(LoaderRanks, TogetherAreTheSingleRank) {
    for (const int64_t batch_size : {8, 13, 16, 64, 65, 200}) {
        for (const int64_t virtual_ranks : {8, 11}) expect_ranks_join(GetParam(), batch_size, virtual_ranks);
    }
}
INSTANTIATE_TEST_SUITE_P(Ranks, LoaderRanks, testing::Values(1, 2, 3, 4, 5, 8));

TEST(Loader, IsTheSameWithAnyNumberOfWorkers) {
    const CountingDataset set(300);
    LoaderOptions options;
    options.batch_size = 7;
    options.workers = 0;
    const auto plain = run_epoch(set, options, 1);
    for (const int workers : {1, 3, 6}) {
        for (const int prefetch : {1, 4}) {
            options.workers = workers;
            options.prefetch = prefetch;
            EXPECT_EQ(run_epoch(set, options, 1), plain) << workers << " workers, prefetch " << prefetch;
        }
    }
}

TEST(Loader, StartsAnEpochAnewInTheMiddleOfAnother) {
    const CountingDataset set(300);
    for (const int workers : {0, 1, 3}) {
        LoaderOptions options;
        options.batch_size = 8;
        options.workers = workers;
        const auto second = run_epoch(set, options, 2);
        Loader loader(set, options);
        for (int stop = 0; stop < 12; ++stop) {
            loader.start_epoch(1);
            for (int i = 0; i < stop; ++i) ASSERT_NE(loader.next(), nullptr);
            EXPECT_EQ(run_epoch(loader, 2), second);
        }
        loader.start_epoch(3);  // and leaves with batches ready that nobody wants
        ASSERT_NE(loader.next(), nullptr);
    }
}

// Preloaded batches are real ones of their size and place, a few of each size again and again; nothing is read any more.
TEST(Loader, PreloadedBatchesAreAFewOfEachSize) {
    const CountingDataset set(100);  // 69 to train on: the last batch has 5 images
    for (const int ranks : {1, 2}) {
        LoaderOptions options;
        options.batch_size = 8;
        options.ranks = ranks;
        const auto real = run_epoch(set, options, 1);
        options.preload = true;
        Loader loader(set, options);
        for (const int64_t epoch : {1, 2}) {
            const auto preloaded = run_epoch(loader, epoch);
            ASSERT_EQ(preloaded.size(), real.size());
            for (size_t i = 0; i < real.size(); ++i) {
                EXPECT_EQ(preloaded[i].global_size, real[i].global_size);
                EXPECT_EQ(preloaded[i].leaf_begin, real[i].leaf_begin);
                const bool held = i < static_cast<size_t>(batches_in_memory(options.workers, options.prefetch));
                EXPECT_TRUE(preloaded[i] == real[i] || !(held || i + 1 == real.size())) << "batch " << i;
            }
            EXPECT_EQ(preloaded[0], preloaded[4]);  // four are held
            EXPECT_NE(preloaded[0], preloaded[1]);
        }
        loader.start_epoch(3, 7);
        ASSERT_NE(loader.next(), nullptr);
        EXPECT_EQ(loader.next()->index, 8);
        EXPECT_EQ(loader.next(), nullptr);
    }
}

// One worker reads in order: as it reads the second batch, the first one is ready.
TEST(Loader, WaitsOnlyForWhatIsNotReady) {
    class Watched final : public CountingDataset {
    public:
        using CountingDataset::CountingDataset;
        void read(std::span<const int64_t> indices, float* images) const override {
            CountingDataset::read(indices, images);
            ++reads;
        }
        mutable std::atomic<int> reads{0};
    };
    const Watched set(70);
    LoaderOptions options;
    options.batch_size = 8;
    {
        Loader ahead(set, options);
        ahead.start_epoch(1);
        while (set.reads < 2) std::this_thread::yield();
        ASSERT_NE(ahead.next(), nullptr);
        EXPECT_EQ(ahead.take_wait_ns(), 0);
    }
    options.workers = 0;
    Loader alone(set, options);
    alone.start_epoch(1);
    ASSERT_NE(alone.next(), nullptr);
    EXPECT_GE(alone.take_wait_ns(), 1);
    EXPECT_EQ(alone.take_wait_ns(), 0);
}

TEST(Loader, KeepsABatchUntilTheNextCall) {
    const CountingDataset set(300);
    LoaderOptions options;
    options.batch_size = 4;
    options.workers = 3;
    options.prefetch = 1;
    Loader loader(set, options);
    loader.start_epoch(0);
    while (const Batch* batch = loader.next()) {
        const std::vector<int64_t> samples = batch->sample_ids;
        std::this_thread::sleep_for(std::chrono::microseconds(200));  // time in which a worker could spoil it
        ASSERT_EQ(batch->sample_ids, samples);
        for (int64_t i = 0; i < batch->size; ++i) {
            ASSERT_FLOAT_EQ(batch->images[i * 18], (static_cast<float>(samples[static_cast<size_t>(i)]) - 0.5f) / 0.5f);
        }
    }
    EXPECT_EQ(loader.next(), nullptr);
}

TEST(Loader, ThrowsWhatAWorkerThrewAtTheBatchWhereItHappened) {
    const int64_t broken = 50;
    const CountingDataset good(200), bad(200, false, broken);
    for (const int workers : {0, 1, 4}) {
        LoaderOptions options;
        options.batch_size = 8;
        options.workers = workers;
        size_t fine = 0;  // batches before the broken one
        for (const Seen& batch : run_epoch(good, options, 0)) {
            if (std::find(batch.samples.begin(), batch.samples.end(), broken) != batch.samples.end()) break;
            ++fine;
        }
        Loader loader(bad, options);
        for (int round = 0; round < 2; ++round) {
            loader.start_epoch(0);
            for (size_t i = 0; i < fine; ++i) ASSERT_NE(loader.next(), nullptr);
            EXPECT_THROW(loader.next(), Error);
            EXPECT_EQ(loader.next(), nullptr);
        }
    }
}

TEST(Loader, RefusesWhatCannotWork) {
    const CountingDataset set(3);  // train only
    const auto expect_error = [&](auto change, const char* part) {
        LoaderOptions options;
        change(options);
        try {
            const Loader loader(set, options);
            ADD_FAILURE() << "accepted: " << part;
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr(part));
        }
    };
    expect_error([](LoaderOptions& o) { o.split = Split::test; }, "no images in split test");
    expect_error([](LoaderOptions& o) { o.ranks = 9; }, "virtual ranks");
    expect_error([](LoaderOptions& o) { o.rank = 1; }, "rank 1 of 1");
    expect_error([](LoaderOptions& o) { o.batch_size = 0; }, "batch size");
    expect_error([](LoaderOptions& o) { o.mean = {1, 2, 3}; }, "3 numbers for 2 channels");
    expect_error([](LoaderOptions& o) { o.std = {0}; }, "/data/std");
    Loader loader(set, {});
    EXPECT_THROW(loader.next(), Error);
}

}  // namespace
}  // namespace xbench
