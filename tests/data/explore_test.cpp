// A look at a set whose figures can be worked out by hand.
#include "data/explore/explore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rng.h"
#include "data/set/memory_dataset.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// 80 images of 8x8: class "a" is 51 all over but for one pixel of 255, class "b" random. Views: "b" is mostly AP. Two
// patients have two images, one of them in train and test.
ImageSet a_set(bool multilabel) {
    ImageSet set;
    SetRecords& r = set.records;
    r.info = {"test", 80, 1, 8, 8, 1, {"a", "b"}, multilabel};
    r.source = "somewhere";
    Random random(5, RandomUse::test_data);
    for (int64_t i = 0; i < 80; ++i) {
        const bool b = i % 2 == 1;
        for (int v = 0; v < 64; ++v)
            set.pixels.push_back(b ? static_cast<uint8_t>(random.below(256)) : v == i % 64 ? 255 : 51);
        if (multilabel)
            r.targets.insert(r.targets.end(),
                             {uint8_t{!b}, i == 0 ? unknown_label : static_cast<uint8_t>(b || i % 10 == 2)});
        else
            r.labels.push_back(b);
        r.splits.push_back(i < 60 ? 0 : i < 70 ? 1 : 2);
        r.ids.push_back(std::to_string(i));
        r.groups.push_back(i == 79 ? "p0" : i == 2 ? "p1" : "p" + std::to_string(i));
        r.meta["view"].push_back(b ? "AP" : i % 4 == 0 ? "AP" : "PA");
        r.meta["age"].push_back(i % 2 == 0 ? "58" : "");
        r.meta["width"].push_back(i < 50 ? "1024" : "640");
        r.meta["height"].push_back("512");
    }
    return set;
}

ExploreReport look(const ImageSet& set, std::vector<int64_t>* seen = nullptr) {
    const MemoryDataset images(set);
    return explore(set.records, images, "set.h5", {2, 3}, [&](int64_t done, int64_t total) {
        EXPECT_EQ(total, 80);
        if (seen != nullptr) seen->push_back(done);
    });
}

TEST(Explore, SingleLabels) {
    std::vector<int64_t> seen;
    const ExploreReport report = look(a_set(false), &seen);
    EXPECT_THAT(seen, ElementsAre(80));
    EXPECT_EQ(report.summary.counts[1][0], 30);
    EXPECT_TRUE(report.together.empty());
    ASSERT_EQ(report.by_class.size(), 2u);
    const Intensity& a = report.by_class[0];
    const double mean = (63 * 0.2 + 1) / 64, contrast = std::sqrt((63 * 0.04 + 1) / 64 - mean * mean);
    EXPECT_EQ(a.images, 40);
    EXPECT_NEAR(a.mean, mean, 1e-6);
    EXPECT_NEAR(a.mean_spread, 0, 1e-6);
    EXPECT_NEAR(a.contrast, contrast, 1e-6);
    EXPECT_NEAR(a.white, 1.0 / 64, 1e-12);
    EXPECT_EQ(a.black, 0);
    EXPECT_EQ(a.brightness.counts[static_cast<size_t>(mean * 32)], 40);
    EXPECT_NEAR(report.by_class[1].mean, 0.5, 0.03);
    EXPECT_EQ(report.all.images, 80);
    EXPECT_NEAR(report.all.mean, (a.mean + report.by_class[1].mean) / 2, 1e-9);
    EXPECT_EQ(report.sizes.at("1024x512"), 50);
    EXPECT_EQ(report.sizes.at("640x512"), 30);
    EXPECT_EQ(report.most_in_group, 2);
    EXPECT_EQ(report.leaks.patients_across, 1);
    EXPECT_THAT(report.samples[1], ElementsAre(1, 27, 53));
}

TEST(Explore, SubgroupsAndWhatTheyMaySpoil) {
    const ExploreReport report = look(a_set(false));
    ASSERT_EQ(report.subgroups.size(), 2u);
    EXPECT_EQ(report.subgroups[0].column, "age");
    EXPECT_EQ(report.subgroups[0].rows[1].value, "50-59");
    const Subgroups& view = report.subgroups[1];
    ASSERT_EQ(view.rows.size(), 2u);
    EXPECT_EQ(view.rows[0].value, "AP");
    EXPECT_EQ(view.rows[0].images, 60);
    EXPECT_THAT(view.rows[0].with_class, ElementsAre(20, 40));
    EXPECT_EQ(view.rows[1].images, 20);
    EXPECT_THAT(report.warnings, Contains(HasSubstr("class 'a' has 5 images in val: too few")));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("1 of 78 groups")));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("class 'a' is 100% of age '50-59' and 0% of 'unknown'")));
    EXPECT_THAT(report.warnings, testing::Not(Contains(HasSubstr("may learn the view"))));  // 20 PA images are too few
}

TEST(Explore, SeveralLabels) {
    const ExploreReport report = look(a_set(true));
    EXPECT_THAT(report.unknown, ElementsAre(0, 1));
    EXPECT_THAT(report.together[0], ElementsAre(40, 8));
    EXPECT_THAT(report.together[1], ElementsAre(8, 48));
    const Json json = to_json(report, a_set(true).records.ids);
    EXPECT_EQ(json["schema"], "xbench.explore/1");
    EXPECT_EQ(json["together"]["images"][0][1], 8);
    EXPECT_EQ(json["unknown"]["b"], 1);
    EXPECT_EQ(json["intensity"]["classes"][0]["name"], "a");
    EXPECT_EQ(json["leaks"]["patients"]["groups_across_splits"], 1);
    EXPECT_EQ(json["file_sizes"]["1024x512"], 50);
}

TEST(Explore, CopiesThatAreLabelledOtherwise) {
    ImageSet set = a_set(false);
    std::copy_n(set.pixels.begin() + 3 * 64, 64, set.pixels.begin() + 8 * 64);   // 8 is of "a" and shows what 3 of "b" shows
    std::copy_n(set.pixels.begin() + 5 * 64, 64, set.pixels.begin() + 75 * 64);  // both of "b", across splits
    const ExploreReport report = look(set);
    EXPECT_GE(report.leaks.identical_across, 1);
    EXPECT_EQ(report.copies_labelled_otherwise, 1);
    EXPECT_THAT(report.warnings, Contains("1 pairs of identical images have different labels"));
}

TEST(Histogram, KeepsWhatLiesOutside) {
    Histogram histogram{0, 1, std::vector<int64_t>(4)};
    for (const double value : {-1.0, 0.0, 0.24, 0.25, 1.0, 7.0}) histogram.add(value);
    EXPECT_THAT(histogram.counts, ElementsAre(3, 1, 0, 2));
    EXPECT_EQ(histogram.centre(0), 0.125);
}

}  // namespace
}  // namespace xbench
