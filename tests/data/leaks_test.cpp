// Copies of images across splits are found in any orientation and as negatives; what only looks alike is not refused.
#include "data/import/leaks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <bit>
#include <cmath>
#include <cstdlib>

#include "core/error.h"
#include "core/rng.h"
#include "data/datasets.h"
#include "data/import/import.h"
#include "data/import/near_hashes.h"
#include "data/set/h5.h"
#include "image_files.h"

namespace xbench {
namespace {

using Pixels = std::vector<uint8_t>;
constexpr int64_t side = 64;

// A smooth picture of its own for each seed: a few waves.
Pixels picture(uint64_t seed) {
    Random random(seed, RandomUse::test_data);
    double wave[6][4];
    for (auto& w : wave)
        for (double& value : w) value = random.uniform();
    Pixels pixels(side * side);
    for (int64_t y = 0; y < side; ++y) {
        for (int64_t x = 0; x < side; ++x) {
            double value = 0;
            for (const auto& w : wave)
                value += w[0] * std::sin(0.25 * (w[1] * static_cast<double>(x) + w[2] * static_cast<double>(y)) + 6 * w[3]);
            pixels[static_cast<size_t>(y * side + x)] = static_cast<uint8_t>(128 + 20 * value);
        }
    }
    return pixels;
}

Pixels turned(const Pixels& from, int o) {
    Pixels to(from.size());
    for (int64_t y = 0; y < side; ++y) {
        for (int64_t x = 0; x < side; ++x) {
            const int64_t a = (o & 1) != 0 ? side - 1 - x : x, b = (o & 2) != 0 ? side - 1 - y : y;
            to[static_cast<size_t>((o & 4) != 0 ? x * side + y : y * side + x)] = from[static_cast<size_t>(b * side + a)];
        }
    }
    return to;
}

LeakReport search(const std::vector<Pixels>& images, const std::vector<uint8_t>& splits,
                  const std::vector<std::string>& patients = {}) {
    LeakFinder finder;
    for (const Pixels& pixels : images) finder.add(pixels.data(), 1, side, side, 1);
    return finder.find(splits, patients, 2);
}

TEST(Leaks, FindCopiesInEveryOrientationAndAsNegatives) {
    for (int o = 0; o < 8; ++o) {
        for (const bool negative : {false, true}) {
            Pixels copy = turned(picture(1), o);
            for (uint8_t& value : copy) value = negative ? static_cast<uint8_t>(255 - value) : value;
            const LeakReport report = search({picture(1), picture(2), copy, picture(3)}, {0, 0, 2, 1});
            ASSERT_EQ(report.identical_pairs, 1) << o << negative;
            EXPECT_EQ(report.identical_across, 1);
            EXPECT_EQ(report.groups_across, 1);
            ASSERT_EQ(report.examples.size(), 1u);
            EXPECT_EQ(report.examples[0].a, 0);
            EXPECT_EQ(report.examples[0].b, 2);
            EXPECT_EQ(report.examples[0].negative, negative);
            EXPECT_EQ(report.examples[0].turned, o != 0);
        }
    }
}

TEST(Leaks, HashesOfOneTransformAreThoseOfTurnedImages) {
    Resizer resizer;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        const Thumbnail thumbnail = make_thumbnail(resizer, picture(seed).data(), 1, side, side);
        const auto hashes = perceptual_hashes(thumbnail);
        for (size_t o = 0; o < orientations; ++o)
            EXPECT_LE(__builtin_popcountll(hashes[o] ^ perceptual_hashes(oriented(thumbnail, o))[0]), 2) << seed << ' ' << o;
    }
}

TEST(Leaks, FindBrighterAndSofterCopies) {
    Pixels bright = picture(1), soft = picture(1);
    for (uint8_t& value : bright) value = static_cast<uint8_t>(std::min(255, value * 6 / 5));
    for (uint8_t& value : soft) value = static_cast<uint8_t>(64 + value / 2);
    const LeakReport report = search({picture(1), bright, soft}, {0, 1, 2});
    EXPECT_EQ(report.identical_pairs, 3);
    EXPECT_EQ(report.identical_across, 3);
    EXPECT_EQ(report.groups, 1);
}

TEST(NearPairs, AreThoseOfAPlainLoopWithAnIndexAndWithout) {
    Random random(4, RandomUse::test_data);
    const auto any = [&] { return uint64_t{random.bits()} << 32 | random.bits(); };
    std::vector<std::array<uint64_t, orientations>> hashes(1500);
    for (size_t i = 0; i < hashes.size(); ++i) {
        for (uint64_t& hash : hashes[i]) {
            hash = i % 3 == 0 ? any() : hashes[random.below(static_cast<uint32_t>(i))][0];
            for (uint32_t flip = random.below(12); flip > 0; --flip) hash ^= uint64_t{1} << random.below(64);
            if (i % 5 == 0) hash = ~hash;
        }
    }
    using Met = std::array<size_t, 3>;
    std::vector<Met> expected;
    for (size_t i = 0; i < hashes.size(); ++i)
        for (size_t o = 0; o < orientations; ++o)
            for (size_t j = i + 1; j < hashes.size(); ++j)
                if (const int bits = std::popcount(hashes[i][o] ^ hashes[j][0]); bits <= 8 || bits >= 56)
                    expected.push_back({i, o, j});
    ASSERT_GT(expected.size(), 1000u);
    for (const size_t indexed_from : {size_t{0}, hashes.size() + 1}) {
        std::array<std::vector<Met>, 3> met;
        near_pairs(
            hashes, 3,
            [&](int thread, size_t i, size_t o, size_t j) {
                met[static_cast<size_t>(thread)].push_back({i, o, j});
            },
            indexed_from);
        std::vector<Met> all;
        for (const auto& some : met) all.insert(all.end(), some.begin(), some.end());
        std::sort(all.begin(), all.end());
        EXPECT_EQ(all, expected) << indexed_from;
    }
}

TEST(Leaks, CountPairsOfCopiesAndPatients) {
    const LeakReport report = search({picture(1), picture(1), picture(1), picture(2), picture(3), picture(3)},
                                     {0, 0, 2, 1, 1, 1}, {"p", "p", "q", "q", "", ""});
    EXPECT_EQ(report.identical_pairs, 4);
    EXPECT_EQ(report.identical_across, 2);
    EXPECT_EQ(report.groups, 2);
    EXPECT_EQ(report.groups_across, 1);
    EXPECT_EQ(report.patients, 2);
    EXPECT_EQ(report.patients_across, 1);
    EXPECT_TRUE(report.leaks());
    EXPECT_EQ(report.verdict(),
              "2 pairs of identical images (1 groups) lie in different splits; 1 of 2 groups (patients) lie in "
              "more than one split");
    EXPECT_THROW(refuse_leaks(report, "set.h5"), Error);
}

TEST(Leaks, AreNotSeenWhereThereAreNone) {
    std::vector<Pixels> images;
    std::vector<uint8_t> splits;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        images.push_back(picture(seed));
        splits.push_back(static_cast<uint8_t>(seed % 3));
    }
    images.push_back(Pixels(side * side, 7));  // flat ones have no shape to compare
    images.push_back(Pixels(side * side, 90));
    splits.insert(splits.end(), {0, 2});
    const LeakReport report = search(images, splits);
    EXPECT_EQ(report.identical_pairs, 0);
    EXPECT_FALSE(report.leaks());
    EXPECT_NO_THROW(refuse_leaks(report, "set.h5"));
}

// Turned copies of six pictures, under names that say nothing: none may come to lie in two splits.
TEST(Leaks, AreNotMadeByADrawnSplit) {
    const TemporaryFolder folder;
    for (int i = 0; i < 60; ++i)
        folder.write(fmt::format("src/{}/{}.png", i % 2 == 0 ? "a" : "b", i),
                     encode_png({side, side}, turned(picture(static_cast<uint64_t>(1 + i / 10)), i % 8)));
    ImportOptions options;
    options.source = folder / "src";
    options.out = folder / "set.h5";
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        options.seed = seed;
        const ImportReport report = import_images(options);
        EXPECT_GE(report.leaks->identical_pairs, 6 * 9);
        EXPECT_EQ(report.leaks->identical_across, 0) << seed;
        EXPECT_GT(report.split_counts[2], 0);
    }
}

TEST(Leaks, StopAnImportThatRefusesThem) {
    const TemporaryFolder folder;
    const auto add = [&](const std::string& name, const Pixels& pixels) {
        folder.write("src/" + name, encode_png({side, side}, pixels));
    };
    add("train/a/1.png", picture(1));
    add("train/b/2.png", picture(2));
    add("test/a/3.png", turned(picture(1), 1));
    add("test/b/4.png", picture(4));
    ImportOptions options;
    options.source = folder / "src";
    options.out = folder / "set.h5";
    options.val_share = 0;
    const ImportReport report = import_images(options);
    EXPECT_EQ(report.leaks->identical_across, 1);
    EXPECT_EQ(open_h5(options.out)->info().leaks, "1 pairs of identical images (1 groups) lie in different splits");
    DataConfig config;
    config.path = options.out;
    const auto set = open_dataset(config);
    EXPECT_TRUE(says_leaks(set->info().leaks));
    EXPECT_NO_THROW(check_leaks(config, *set, 1));
    config.leaks = "refuse";
    EXPECT_THROW(check_leaks(config, *set, 1), Error);
    std::filesystem::remove(options.out);
    options.refuse_leaks = true;
    EXPECT_THROW(import_images(options), Error);
    EXPECT_FALSE(std::filesystem::exists(options.out));
}

}  // namespace
}  // namespace xbench
