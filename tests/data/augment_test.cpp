// Augmentation: torchvision's values, boxes and sides that follow the pixels, and numbers that follow from (seed, epoch,
// image, operation) alone.
#include "data/load/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "core/rng.h"
#include "data/load/loader.h"
#include "data/set/memory_dataset.h"

namespace xbench {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

std::vector<float> ramp(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    std::iota(values.begin(), values.end(), 0.0f);
    for (float& value : values) value /= 255;
    return values;
}

std::vector<double> warped(int64_t height, int64_t width, double degrees, double scale, bool bilinear, double right = 0,
                           double down = 0) {
    const PixelShape shape{1, height, width};
    const auto from = ramp(height * width);
    std::vector<float> to(from.size());
    warp(from.data(), to.data(), shape, inverse_affine(shape, degrees, right, down, scale), bilinear);
    std::vector<double> values;
    for (const float value : to) values.push_back(255 * static_cast<double>(value));
    return values;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(got.at(i), wanted[i], 2e-5) << i;
}

// A row without zeros: the centre is that of the pixels, (side - 1) / 2.
TEST(AugmentOps, TurnClockwise) {
    expect_near(warped(4, 4, 90, 1, false), {12, 8, 4, 0, 13, 9, 5, 1, 14, 10, 6, 2, 15, 11, 7, 3});
    expect_near(warped(4, 4, 90, 1, true), {12, 8, 4, 0, 13, 9, 5, 1, 14, 10, 6, 2, 15, 11, 7, 3});
}

TEST(AugmentOps, WarpAsTorchvisionDoes) {
    expect_near(warped(4, 4, 30, 1, true), {1.715390, 2.120835, 1.125, .924038, 6.911543, 6.084936, 4.950962, 3.816987});
    expect_near(warped(4, 4, 0, 1.25, true), {1.5, 2.3, 3.1, 3.9});
    expect_near(warped(3, 5, 30, 1, true), {4.354174, 3.803848, 2.169873, 1.5, .433013, 10.267949, 8.633975, 7, 5.366025,
                                            3.732051, 1.442632, 7.375644, 11.830127, 10.196152, 6.397114});
    expect_near(warped(2, 3, 0, 1, true, 1, 0), {0, 0, 1, 0, 3, 4});
    expect_near(warped(2, 3, 0, 1, false, 0, 1), {0, 0, 0, 0, 1, 2});
}

std::vector<uint8_t> changed(void (*change)(uint8_t*, const PixelShape&, float), float by) {
    std::vector<uint8_t> row{0, 50, 100, 200, 255};
    change(row.data(), {1, 1, 5}, by);
    return row;
}

TEST(AugmentOps, ColorsAsTorchvisionDoes) {
    EXPECT_THAT(changed(adjust_brightness<uint8_t>, 1.3f), ElementsAre(0, 65, 130, 255, 255));
    EXPECT_THAT(changed(adjust_contrast<uint8_t>, 1.5f), ElementsAre(0, 14, 89, 239, 255));
    EXPECT_THAT(changed(adjust_contrast<uint8_t>, 0.5f), ElementsAre(60, 85, 110, 160, 188));
    EXPECT_THAT(changed(adjust_gamma<uint8_t>, 0.8f), ElementsAre(0, 69, 121, 210, 255));
    std::vector<float> row{0, 50 / 255.0f, 100 / 255.0f, 200 / 255.0f, 1};
    adjust_gamma(row.data(), {1, 1, 5}, 0.8f);
    for (size_t i = 0; const double wanted : {0.0, .27160883, .47289842, .82336396, 1.0})
        EXPECT_NEAR(static_cast<double>(row[i++]), wanted, 1e-6);
}

// Contrast of RGB is about the mean of the gray image, each pixel of it cut off.
TEST(AugmentOps, ContrastOfColor) {
    std::vector<uint8_t> rgb{10, 20, 30, 40, 50, 61};  // R R, G G, B B
    // gray 26.30 -> 26 and 36.41 -> 36: mean 31
    adjust_contrast(rgb.data(), {3, 1, 2}, 2.0f);
    EXPECT_THAT(rgb, ElementsAre(0, 9, 29, 49, 69, 91));
}

TEST(AugmentOps, Mirror) {
    std::vector<float> image = ramp(12);
    const auto original = image;
    mirror_columns(image.data(), {1, 3, 4});
    EXPECT_EQ(image[0], original[3]);
    mirror_rows(image.data(), {1, 3, 4});
    EXPECT_EQ(image[0], original[11]);
    mirror_columns(image.data(), {1, 3, 4});
    mirror_rows(image.data(), {1, 3, 4});
    EXPECT_EQ(image, original);
}

TEST(AugmentOps, NoiseIsNormal) {
    const PixelShape shape{1, 200, 200};
    std::vector<float> image(40000, 0.5f);
    add_noise(image.data(), shape, 0.1f, 1, 7, 9);
    double sum = 0, squares = 0;
    for (const float value : image) {
        sum += static_cast<double>(value) - 0.5;
        squares += (static_cast<double>(value) - 0.5) * (static_cast<double>(value) - 0.5);
    }
    EXPECT_NEAR(sum / 40000, 0, 4 * 0.1 / 200);
    EXPECT_NEAR(std::sqrt(squares / 40000), 0.1, 0.002);
}

AugmentConfig everything() {
    AugmentConfig config;
    config.flip = config.flip_vertical = 0.5;
    config.rotation = 20;
    config.shift = config.scale = 0.1;
    config.brightness = config.contrast = config.gamma = 0.3;
    config.noise = 0.05;
    return config;
}

TEST(Augmenter, KnowsSides) {
    EXPECT_THAT(sided_partners({"Right Lung", "heart", "Left Lung"}), ElementsAre(2, 1, 0));
    EXPECT_THAT(sided_partners({"left_lung", "right_lung", "bright"}), ElementsAre(1, 0, 2));
    EXPECT_TRUE(sided_partners({"Left Lung", "Pneumonia"}).empty());
}

TEST(Augmenter, DrawsWithinItsBounds) {
    const Augmenter augmenter(everything(), {"", 10, 1, 20, 30, 1, {"a", "b"}}, 3);
    int flips = 0;
    double degrees = 0;
    for (int64_t image = 0; image < 2000; ++image) {
        const Augmentation what = augmenter.draw(1, image);
        flips += what.flip;
        degrees += what.degrees;
        EXPECT_LE(std::fabs(what.degrees), 20);
        EXPECT_LE(std::fabs(what.right), 3);
        EXPECT_LE(std::fabs(what.down), 2);
        EXPECT_EQ(what.right, std::nearbyint(what.right));
        EXPECT_NEAR(what.scale, 1, 0.1);
        EXPECT_NEAR(static_cast<double>(what.contrast), 1, 0.3);
    }
    EXPECT_NEAR(flips, 1000, 100);
    EXPECT_NEAR(degrees / 2000, 0, 1.5);
    EXPECT_NE(augmenter.draw(1, 5).degrees, augmenter.draw(2, 5).degrees);
    EXPECT_NE(augmenter.draw(1, 5).degrees / 20, (augmenter.draw(1, 5).scale - 1) / 0.1);  // own numbers each
    EXPECT_EQ(augmenter.draw(1, 5).degrees, augmenter.draw(1, 5).degrees);
}

TEST(Augmenter, BoxesFollowThePixels) {
    AugmentConfig config = everything();
    const Augmenter augmenter(config, {"", 1, 1, 10, 20, 1, {"Right Lung", "Left Lung"}}, 1);
    Augmentation what;
    what.flip = true;
    std::vector<Box> boxes{{0, 1, 2, 3, 4}};
    augmenter.apply(what, boxes);
    EXPECT_THAT(boxes.at(0), ElementsAre(1, 16, 2, 3, 4));
    what = {};
    what.degrees = 90;  // about (10, 5): (1, 2)-(4, 6) becomes x 10 - (6 - 5) = 9 .. 13, y 5 + (1 - 10) = -4 .. -1
    boxes = {{0, 8, 1, 4, 2}};
    augmenter.apply(what, boxes);
    ASSERT_EQ(boxes.size(), 1u);
    for (size_t i = 0; const float wanted : {0.0f, 12.0f, 3.0f, 2.0f, 4.0f}) EXPECT_NEAR(boxes[0][i++], wanted, 1e-4f);
    what = {};
    what.right = -6;  // of the first a third stays, of the second a sixth: below the share of a quarter
    boxes = {{0, 3, 0, 4.5f, 5}, {1, 1, 0, 6, 5}};
    augmenter.apply(what, boxes);
    ASSERT_EQ(boxes.size(), 1u);
    EXPECT_THAT(boxes[0], ElementsAre(0, 0, 0, 1.5f, 5));
}

// 60 images of 2x6x6, random, with boxes.
MemoryDataset random_set(bool multilabel) {
    ImageSet set;
    set.records.info = {"test", 60, 2, 6, 6, 1, {"left", "right"}, multilabel};
    Random random(1, RandomUse::test_data);
    for (int64_t i = 0; i < 60; ++i) {
        for (int v = 0; v < 72; ++v) set.pixels.push_back(static_cast<uint8_t>(random.below(256)));
        if (multilabel)
            set.records.targets.insert(set.records.targets.end(), {1, i % 3 == 0 ? unknown_label : uint8_t{0}});
        else
            set.records.labels.push_back(static_cast<int32_t>(i % 2));
        set.records.splits.push_back(0);
        set.records.ids.push_back(std::to_string(i));
        set.records.box_offsets.push_back(static_cast<int64_t>(set.records.boxes.size()));
        if (i % 2 == 0) set.records.boxes.push_back({0, 1, 2, 3, 2});
    }
    set.records.box_offsets.push_back(static_cast<int64_t>(set.records.boxes.size()));
    return MemoryDataset(std::move(set));
}

struct Read {
    std::vector<float> pixels, targets;
    std::vector<Box> boxes;
    bool operator==(const Read&) const = default;
};

std::map<int64_t, Read> read_epoch(const Dataset& set, LoaderOptions options, int64_t epoch) {
    std::map<int64_t, Read> images;
    for (options.rank = 0; options.rank < options.ranks; ++options.rank) {
        Loader loader(set, options);
        loader.start_epoch(epoch);
        while (const Batch* batch = loader.next()) {
            for (int64_t i = 0; i < batch->size; ++i) {
                const auto at = static_cast<size_t>(i);
                Read& read = images[batch->sample_ids[at]];
                read.pixels.assign(batch->images + 72 * i, batch->images + 72 * (i + 1));
                if (batch->multilabel) read.targets.assign({batch->targets[2 * at], batch->targets[2 * at + 1]});
                read.boxes.assign(batch->boxes.begin() + batch->box_offsets[at],
                                  batch->boxes.begin() + batch->box_offsets[at + 1]);
            }
        }
    }
    return images;
}

TEST(Augmenter, AnImageIsTheSameAtAnyNumberOfRanksAndThreads) {
    const MemoryDataset set = random_set(true);
    LoaderOptions options;
    options.augment = everything();
    options.batch_size = 16;
    const auto one = read_epoch(set, options, 3);
    EXPECT_EQ(one.size(), 60u);
    for (const auto& [ranks, workers] : {std::pair{2, 0}, {3, 4}, {8, 1}}) {
        options.ranks = ranks;
        options.workers = workers;
        EXPECT_EQ(read_epoch(set, options, 3), one) << ranks;
    }
    options.batch_size = 60;
    options.shuffle = false;
    EXPECT_EQ(read_epoch(set, options, 3), one);
    EXPECT_NE(read_epoch(set, options, 4), one);
    options.seed = 2;
    EXPECT_NE(read_epoch(set, options, 3), one);
}

TEST(Augmenter, SidesOfLabelsFollowTheMirror) {
    const MemoryDataset set = random_set(true);
    LoaderOptions options;
    options.augment.flip = 1;
    for (const auto& [image, read] : read_epoch(set, options, 0))
        EXPECT_THAT(read.targets, ElementsAreArray({image % 3 == 0 ? unknown_target : 0.0f, 1.0f})) << image;
    const MemoryDataset single = random_set(false);
    Loader loader(single, options);
    loader.start_epoch(0);
    while (const Batch* batch = loader.next())
        for (size_t i = 0; i < batch->labels.size(); ++i) EXPECT_EQ(batch->labels[i], 1 - batch->sample_ids[i] % 2);
}

TEST(Augmenter, OffChangesNothing) {
    const MemoryDataset set = random_set(true);
    LoaderOptions options;
    options.mean = {0};
    options.std = {1};
    std::vector<float> stored(72);
    for (const auto& [image, read] : read_epoch(set, options, 0)) {
        set.read(std::span(&image, 1), stored.data());
        EXPECT_EQ(read.pixels, stored);
    }
}

}  // namespace
}  // namespace xbench
