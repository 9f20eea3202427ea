// Which folders are splits and which are classes; what cannot be told is refused.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/import/import.h"
#include "data/import/split_names.h"
#include "image_files.h"

namespace xbench {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(SplitNames, AreFoundAmongOtherWords) {
    for (const char* name : {"train", "Training", "training_set", "seg_train", "train_images", "train2017", "TrainSet",
                             "trainset", "images-train"})
        EXPECT_EQ(split_within(name), Split::train) << name;
    for (const char* name : {"valid", "val_images", "Validation Set", "seg_val"})
        EXPECT_EQ(split_within(name), Split::val) << name;
    for (const char* name : {"test", "test_set", "testdata", "seg_test"}) EXPECT_EQ(split_within(name), Split::test) << name;
    for (const char* name : {"NORMAL", "trains", "contest", "train_test", "valley", "fold1", ""})
        EXPECT_FALSE(split_within(name)) << name;
}

// What an import makes of a tree of files, in words.
std::string outcome(const std::vector<std::string>& files, bool split_folders = true) {
    const TemporaryFolder folder;
    for (size_t i = 0; i < files.size(); ++i) {
        if (files[i].ends_with('/'))
            std::filesystem::create_directories(folder / ("src/" + files[i]));
        else
            folder.write("src/" + files[i], gray_png(2, 2, static_cast<uint8_t>(i)));
    }
    ImportOptions options;
    options.source = folder / "src";
    options.out = folder / "set.h5";
    options.size = 4;
    options.split_folders = split_folders;
    options.val_share = 0;
    try {
        const ImportReport report = import_images(options);
        std::string text;
        for (size_t k = 0; k < report.class_names.size(); ++k)
            text += report.class_names[k] + (report.splits_drawn ? " drawn "
                                                                 : fmt::format(" {}/{}/{} ", report.counts[k][0],
                                                                               report.counts[k][1], report.counts[k][2]));
        for (const std::string& warning : report.warnings) text += "! " + warning + ' ';
        return text;
    } catch (const UsageError& error) {
        return error.what();
    }
}

TEST(SplitFolders, AreRecognisedOrRefused) {
    const std::string plain = "N 1/0/1 P 1/0/1 ";
    EXPECT_THAT(outcome({"train/N/1.png", "train/P/2.png", "test/N/3.png", "test/P/4.png"}), HasSubstr(plain));
    EXPECT_THAT(outcome({"training_set/N/1.png", "training_set/P/2.png", "test_set/N/3.png", "test_set/P/4.png"}),
                HasSubstr(plain));
    EXPECT_THAT(
        outcome({"seg_train/N/1.png", "seg_train/P/2.png", "seg_test/N/3.png", "seg_test/P/4.png", "seg_test/list.txt"}),
        HasSubstr(plain));
    EXPECT_THAT(outcome({"train/N/1.png", "train/P/2.png", "test_images/N/3.png", "test_images/P/4.png"}), HasSubstr(plain));
    // Kaggle's test images without labels are no class.
    EXPECT_THAT(outcome({"train_images/N/1.png", "train_images/P/2.png", "test_images/3.png"}),
                HasSubstr("N 1/0/0 P 1/0/0 "));
    // Unknown names above the same classes.
    EXPECT_THAT(outcome({"fold1/N/1.png", "fold1/P/2.png", "fold2/N/3.png", "fold2/P/4.png"}),
                HasSubstr("'fold1' and 'fold2' hold the same folders (N, P)"));
    EXPECT_THAT(outcome({"fold1/N/1.png", "fold1/P/2.png", "fold2/N/3.png", "fold2/P/4.png"}, false),
                HasSubstr("fold1 drawn fold2 drawn"));
    EXPECT_THAT(outcome({"N/train/1.png", "N/test/2.png", "P/train/3.png", "P/test/4.png"}),
                HasSubstr("the folders hold splits"));
    EXPECT_THAT(outcome({"train_1/N/1.png", "train_1/P/1.png", "train_2/N/2.png", "train_2/P/1.png"}),
                HasSubstr("both look like the split train"));
    EXPECT_THAT(outcome({"train_images/1.png", "test_images/2.png"}),
                HasSubstr("look like splits, and hold no class folders"));
    EXPECT_THAT(outcome({"train/N/1.png", "extras/N/2.png"}), HasSubstr("'extras' stands beside"));
    // Classes that only sound like splits, and classes that hold the same single folder.
    EXPECT_THAT(outcome({"test_positive/1.png", "test_negative/2.png"}),
                HasSubstr("test_negative drawn test_positive drawn"));
    EXPECT_THAT(outcome({"N/images/1.png", "P/images/2.png"}), HasSubstr("N drawn P drawn"));
}

TEST(SplitFolders, RefuseClassesThatWouldRuinAnEvaluation) {
    EXPECT_THAT(outcome({"train/Normal/1.png", "train/P/2.png", "test/NORMAL/3.png", "test/P/4.png"}),
                HasSubstr("'NORMAL' and 'Normal' differ in nothing but case"));
    EXPECT_THAT(outcome({"train/N/1.png", "train/P/2.png", "test/N/3.png", "test/Q/4.png"}),
                HasSubstr("class 'Q' has images in val or test and none in train"));
    EXPECT_THAT(outcome({"train/N/1.png", "train/P/2.png", "test/N/3.png"}), HasSubstr("! class 'P' has no image in test"));
    EXPECT_THAT(outcome({"N/1.png", "P/2.png", "Q/"}), Not(HasSubstr("//")));
    EXPECT_THAT(outcome({"N/1.png", "P/2.png", "Q/"}), HasSubstr("Q: the class folder holds no image"));
    EXPECT_THAT(outcome({"N/1.png", "P/2.png", "Q/.hidden.png"}), HasSubstr("Q: the class folder holds no image"));
    // Both spellings in one place are two classes, as for ImageFolder.
    EXPECT_THAT(outcome({"a/1.png", "A/2.png"}), HasSubstr("A drawn a drawn ! classes 'A' and 'a' differ"));
}

}  // namespace
}  // namespace xbench
