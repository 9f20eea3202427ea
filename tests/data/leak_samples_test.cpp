// The search for leaks on public sets whose leaks were counted by other means: where XBENCH_TEST_SETS names a folder with
// chest_xray_pneumonia, nih_chestxray14_64 and bone_fracture (each a tar of images and labels.csv); else skipped.
#include <gtest/gtest.h>

#include <cstdlib>

#include "data/import/import.h"
#include "image_files.h"

namespace xbench {
namespace {

class LeakSamplesSlow : public testing::Test {
protected:
    LeakReport find(const std::string& set, const std::string& images, const std::string& split, const std::string& group,
                    const std::string& label) {
        const std::string source = std::string(std::getenv("XBENCH_TEST_SETS")) + "/" + set;
        const std::string unpack = "tar xf '" + source + "/" + images + ".tar' -C '" + folder_.string() + "'";
        EXPECT_EQ(std::system(unpack.c_str()), 0);
        ImportOptions options;
        options.source = folder_ / images;
        options.labels = source + "/labels.csv";
        options.columns = {{"path", "file"}, {"label", label}, {"split", split}};
        if (!group.empty()) options.columns["group"] = group;
        options.out = folder_ / "set.h5";
        options.val_share = 0;
        return *import_images(options).leaks;
    }
    void SetUp() override {
        if (std::getenv("XBENCH_TEST_SETS") == nullptr) GTEST_SKIP() << "XBENCH_TEST_SETS names no folder";
    }
    TemporaryFolder folder_;
};

TEST_F(LeakSamplesSlow, PneumoniaHasThirtyGroups) {
    const LeakReport official = find("chest_xray_pneumonia", "jpeg128", "split_official", "patient_group", "class");
    EXPECT_EQ(official.groups, 30);
    EXPECT_EQ(official.identical_pairs, 34);
    EXPECT_EQ(official.groups_across, 0);
    const LeakReport other = find("chest_xray_pneumonia", "jpeg128", "split_701515", "patient_group", "class");
    EXPECT_EQ(other.groups, 30);
    EXPECT_EQ(other.groups_across, 15);
    EXPECT_EQ(other.patients_across, 725);
}

TEST_F(LeakSamplesSlow, NihHasNoCopiesButPatientsInSeveralSplits) {
    const LeakReport own = find("nih_chestxray14_64", "images", "split", "patient", "abnormal");
    EXPECT_EQ(own.identical_pairs, 0);
    EXPECT_EQ(own.patients, 264);
    EXPECT_EQ(own.patients_across, 30);
    EXPECT_EQ(find("nih_chestxray14_64", "images", "split_chexnet", "patient", "abnormal").patients_across, 0);
}

TEST_F(LeakSamplesSlow, FracturesHaveCopiesInBothSplits) {
    EXPECT_EQ(find("bone_fracture", "jpeg160", "split", "", "label").identical_across, 43);
}

}  // namespace
}  // namespace xbench
