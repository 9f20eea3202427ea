// Offline augmentation: copies are in train, in the group of their original, and what they should be.
#include "data/load/augment_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/rng.h"
#include "data/import/leaks.h"
#include "data/set/h5.h"
#include "image_files.h"

namespace xbench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AugmentSet : public testing::Test {
protected:
    // Six images of 1x16x16: train, train, val, test, train, test; patients of some.
    void write(int bytes_per_pixel, bool grouped = true) {
        ImageSet set;
        SetRecords& r = set.records;
        r.info = {"somewhere", 6, 1, 16, 16, bytes_per_pixel, {"Left Lung", "Right Lung"}, false};
        r.splits = {0, 0, 1, 2, 0, 2};
        r.labels = {0, 1, 0, 1, 1, 0};
        if (grouped) r.groups = {"p1", "", "p2", "p3", "p1", "p4"};
        Random random(3, RandomUse::test_data);
        for (int64_t i = 0; i < 6; ++i) {
            r.ids.push_back("i" + std::to_string(i));
            r.meta["view"].push_back(i % 2 == 0 ? "PA" : "AP");
            r.box_offsets.push_back(static_cast<int64_t>(r.boxes.size()));
            if (i == 4) r.boxes.push_back({0, 1, 2, 3, 4});
            for (int v = 0; v < 256 * bytes_per_pixel; ++v) set.pixels.push_back(static_cast<uint8_t>(random.below(256)));
        }
        r.box_offsets.push_back(1);
        write_h5(folder / "set.h5", set);
    }
    AugmentSetOptions options() const {
        AugmentSetOptions options;
        options.source = folder / "set.h5";
        options.out = folder / "new.h5";
        return options;
    }
    TemporaryFolder folder;
};

TEST_F(AugmentSet, MirrorsTheTrainingImages) {
    for (const int bytes : {1, 2}) {
        write(bytes);
        AugmentSetOptions wanted = options();
        wanted.mirror = true;
        augment_set(wanted);
        const ImageSet old = read_h5(folder / "set.h5"), made = read_h5(folder / "new.h5");
        const SetRecords& r = made.records;
        ASSERT_EQ(r.info.count, 9);
        EXPECT_THAT(r.splits, ElementsAre(0, 0, 1, 2, 0, 2, 0, 0, 0));
        EXPECT_THAT(r.labels, ElementsAre(0, 1, 0, 1, 1, 0, 1, 0, 0));  // sides change places
        EXPECT_EQ(r.ids[6], "i0+mirror");
        EXPECT_THAT(r.groups, ElementsAre("p1", "i1", "p2", "p3", "p1", "p4", "p1", "i1", "p1"));
        EXPECT_EQ(r.meta.at("view")[8], "PA");
        EXPECT_THAT(r.boxes.back(), ElementsAre(1, 12, 2, 3, 4));
        EXPECT_TRUE(std::equal(old.pixels.begin(), old.pixels.end(), made.pixels.begin()));
        const size_t b = static_cast<size_t>(bytes), first = 6 * 256 * b;  // the first row of i0, mirrored
        for (size_t x = 0; x < 16; ++x)
            for (size_t k = 0; k < b; ++k) EXPECT_EQ(made.pixels[first + x * b + k], old.pixels[(15 - x) * b + k]);
    }
}

// The gate finds the twins, and none of them in another split.
TEST_F(AugmentSet, LeaksNothing) {
    write(1, false);
    AugmentSetOptions wanted = options();
    wanted.mirror = true;
    augment_set(wanted);
    const LeakReport report = find_leaks(*open_h5(folder / "new.h5"), 2);
    EXPECT_EQ(report.identical_pairs, 3);
    EXPECT_EQ(report.identical_across, 0);
    EXPECT_EQ(report.patients_across, 0);
}

TEST_F(AugmentSet, CopiesFollowTheSeed) {
    write(1);
    AugmentSetOptions wanted = options();
    wanted.copies = 2;
    wanted.augment.rotation = 10;
    wanted.augment.noise = 0.05;
    augment_set(wanted);
    const ImageSet first = read_h5(folder / "new.h5");
    EXPECT_EQ(first.records.info.count, 12);
    EXPECT_EQ(first.records.ids[9], "i0+2");
    EXPECT_FALSE(std::equal(first.pixels.begin() + 6 * 256, first.pixels.begin() + 7 * 256, first.pixels.begin() + 9 * 256));
    augment_set(wanted);
    EXPECT_EQ(read_h5(folder / "new.h5").pixels, first.pixels);
    wanted.seed = 2;
    augment_set(wanted);
    EXPECT_NE(read_h5(folder / "new.h5").pixels, first.pixels);
}

TEST_F(AugmentSet, RefusesWhatMakesNothing) {
    write(1);
    const auto refusal = [](const AugmentSetOptions& wanted) -> std::string {
        try {
            augment_set(wanted);
        } catch (const UsageError& error) {
            return error.what();
        }
        return "accepted";
    };
    EXPECT_THAT(refusal(options()), HasSubstr("nothing is asked for"));
    AugmentSetOptions wanted = options();
    wanted.copies = 1;
    EXPECT_THAT(refusal(wanted), HasSubstr("the copies would be equal"));
}

}  // namespace
}  // namespace xbench
