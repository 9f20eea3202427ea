// Imports of small folders and tables made on the spot: labels, splits, quarantine, leaks, depth, order.
#include "data/import/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "data/set/h5.h"
#include "import_fixture.h"

namespace xbench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Import : public ImportFixture {
protected:
    void table(const std::string& text) const { folder.write("labels.csv", text); }
    ImportOptions with_table() const {
        ImportOptions chosen = options();
        chosen.labels = folder / "labels.csv";
        return chosen;
    }
    ImageSet set() const { return read_h5(folder / "set.h5"); }
};

TEST_F(Import, TakesClassesAndSplitsFromFolders) {
    add("wrapper/train/dog/b.png", 1);
    add("wrapper/train/cat/deep/a.png", 2);
    add("wrapper/valid/dog/c.png", 3);
    add("wrapper/TEST/cat/d.png", 4);
    add("wrapper/train/dog/.hidden.png", 5);
    const ImportReport report = import_images(options());
    EXPECT_EQ(report.images, 4);
    EXPECT_THAT(report.class_names, ElementsAre("cat", "dog"));
    EXPECT_THAT(report.split_counts, ElementsAre(2, 1, 1));
    EXPECT_THAT(report.counts[1], ElementsAre(1, 1, 0));
    const ImageSet back = set();
    EXPECT_THAT(back.records.ids, ElementsAre("wrapper/TEST/cat/d.png", "wrapper/train/cat/deep/a.png",
                                              "wrapper/train/dog/b.png", "wrapper/valid/dog/c.png"));
    EXPECT_THAT(back.records.labels, ElementsAre(0, 0, 1, 1));
    EXPECT_THAT(back.records.splits, ElementsAre(2, 0, 0, 1));
    EXPECT_EQ(back.pixels[0], 4);
    EXPECT_EQ(back.pixels[64], 2);
}

TEST_F(Import, SplitsWhatHasNoSplitsAndKeepsCopiesTogether) {
    for (int i = 0; i < 100; ++i) add("a/" + std::to_string(i) + ".png", static_cast<uint8_t>(i / 4));  // each 4 times
    for (int i = 0; i < 100; ++i) add("b/" + std::to_string(i) + ".png", static_cast<uint8_t>(100 + i));
    const ImportReport report = import_images(options());
    EXPECT_EQ(report.duplicates, 75);
    EXPECT_EQ(report.duplicates_across_splits, 0);
    EXPECT_NEAR(static_cast<double>(report.split_counts[0]), 140, 4);
    EXPECT_THAT(report.counts[1], ElementsAre(70, 15, 15));
    EXPECT_THAT(report.notes, testing::Contains(HasSubstr("no splits")));
    EXPECT_THAT(report.notes, testing::Contains(HasSubstr("75 files have the same bytes")));
}

TEST_F(Import, MakesAValSplitWhereOnlyThatIsMissing) {
    for (int i = 0; i < 40; ++i)
        add("train/" + std::string(i % 2 ? "a/" : "b/") + std::to_string(i) + ".png", static_cast<uint8_t>(i));
    add("test/a/x.png", 200);
    ImportOptions chosen = options();
    chosen.val_share = 0.25;
    EXPECT_THAT(import_images(chosen).split_counts, ElementsAre(30, 10, 1));
    chosen.val_share = 0;
    EXPECT_THAT(import_images(chosen).split_counts, ElementsAre(40, 0, 1));
}

TEST_F(Import, CountsLeaksBetweenGivenSplits) {
    add("train/a/1.png", 1);
    add("train/b/2.png", 2);
    add("val/a/3.png", 3);
    add("test/b/4.png", 2);  // the bytes of 2.png
    EXPECT_EQ(import_images(options()).duplicates_across_splits, 1);
    table("path,label,split,group\n1.png,a,train,p1\n2.png,b,train,p2\n3.png,a,val,p1\n4.png,b,test,p3\n");
    const ImportReport report = import_images(with_table());
    EXPECT_EQ(report.groups_across_splits, 1);
    EXPECT_THAT(set().records.groups, ElementsAre("p3", "p1", "p2", "p1"));
}

TEST_F(Import, LetsTheTableWinOverTheFolders) {
    add("train/a/1.png", 1);
    add("train/b/2.png", 2);
    add("train/b/3.png", 3);
    add("train/b/extra.png", 4);
    table("file,class,fold,patient\ntrain/a/1.png,10,test,p\n2.png,9,val,q\n\"3.png\",10,train,r\n");
    ImportOptions chosen = with_table();
    chosen.columns = {{"path", "file"}, {"label", "class"}, {"split", "fold"}, {"group", "patient"}};
    const ImportReport report = import_images(chosen);
    EXPECT_THAT(report.class_names, ElementsAre("9", "10"));  // by value
    ASSERT_EQ(report.ignored.size(), 1u);
    EXPECT_EQ(report.ignored[0].path, "train/b/extra.png");
    EXPECT_THAT(report.ignored[0].rule, HasSubstr("not in the table"));
    const ImageSet back = set();
    EXPECT_THAT(back.records.labels, ElementsAre(1, 0, 1));
    EXPECT_THAT(back.records.splits, ElementsAre(2, 1, 0));
}

TEST_F(Import, ReadsSeveralLabels) {
    for (int i = 1; i <= 4; ++i) add(std::to_string(i) + ".png", static_cast<uint8_t>(i));
    table("path,label,split\n1.png,Mass|Edema,train\n2.png,No Finding,train\n3.png,Edema,val\n4.png,Hernia,test\n");
    const ImportReport report = import_images(with_table());
    EXPECT_TRUE(report.multilabel);
    EXPECT_THAT(report.class_names, ElementsAre("Edema", "Hernia", "Mass"));
    EXPECT_THAT(set().records.targets, ElementsAre(1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0));
}

TEST_F(Import, QuarantinesWhatItCannotRead) {
    add("a/good.png", 1);
    add("b/good.png", 2);
    folder.write("src/a/lying.png", gray_jpeg(8, 8, 50));  // a JPEG by content
    folder.write("src/a/image.gif", std::string("GIF89a, and so on"));
    folder.write("src/b/empty.jpg", std::string());
    folder.write("src/b/notes.txt", std::string("not an image"));
    auto cut = gray_jpeg(64, 64, 3);
    cut.resize(cut.size() / 2);
    folder.write("src/b/cut.jpg", cut);
    const ImportReport report = import_images(options());
    EXPECT_EQ(report.images, 3);
    ASSERT_EQ(report.quarantined.size(), 4u);
    EXPECT_THAT(report.quarantined[0].reason, HasSubstr("GIF is not supported"));
    const auto bytes = read_bytes(folder / "set.h5.quarantine.csv");
    const std::string list(bytes.begin(), bytes.end());
    for (const char* name : {"path,reason", "a/image.gif", "b/empty.jpg", "b/notes.txt", "b/cut.jpg"})
        EXPECT_THAT(list, HasSubstr(name));
    EXPECT_EQ(set().records.ids.size(), 3u);
    // The list does not outlive the next import.
    for (const char* name : {"a/image.gif", "b/empty.jpg", "b/notes.txt", "b/cut.jpg"})
        std::filesystem::remove(folder / ("src/" + std::string(name)));
    import_images(options());
    EXPECT_FALSE(std::filesystem::exists(folder / "set.h5.quarantine.csv"));
}

TEST_F(Import, QuarantinesRowsWithoutFileOrLabel) {
    add("1.png", 1);
    add("2.png", 2);
    add("3.png", 2);
    table("path,label,split\n1.png,a,train\n2.png,b,train\nmissing.png,a,train\n3.png,,train\n");
    const ImportReport report = import_images(with_table());
    EXPECT_EQ(report.images, 2);
    ASSERT_EQ(report.quarantined.size(), 2u);
    EXPECT_THAT(report.quarantined[0].reason, HasSubstr("labels.csv:5: no label"));
    EXPECT_THAT(report.quarantined[1].reason, HasSubstr("labels.csv:4: no such file"));
}

TEST_F(Import, BecomesSixteenBitsWhenAnyFileIs) {
    for (int i = 0; i < 300; ++i) add("a/" + std::to_string(1000 + i) + ".png", 100);  // several windows of 8 bits first
    folder.write("src/b/deep.png", encode_png({2, 2, 16}, {0x12, 0x34, 0x12, 0x34, 0x12, 0x34, 0x12, 0x34}));
    const ImportReport report = import_images(options());
    EXPECT_EQ(report.bytes_per_pixel, 2);
    EXPECT_EQ(report.images, 301);
    const ImageSet back = set();
    uint16_t first, last;
    std::memcpy(&first, back.pixels.data(), 2);
    std::memcpy(&last, back.pixels.data() + back.pixels.size() - 2, 2);
    EXPECT_EQ(first, 100 * 257);
    EXPECT_EQ(last, 0x1234);
}

TEST_F(Import, IsTheSameWithAnyNumberOfThreads) {
    for (int i = 0; i < 500; ++i) add((i % 3 ? "a/" : "b/") + std::to_string(i) + ".png", static_cast<uint8_t>(i));
    folder.write("src/a/broken.png", std::string("broken"));
    ImportOptions chosen = options();
    chosen.threads = 1;
    import_images(chosen);
    const auto one = read_bytes(folder / "set.h5");
    chosen.threads = 5;
    int64_t told = 0;
    import_images(chosen, [&](const ImportProgress& progress) {
        EXPECT_GT(progress.done, told);
        EXPECT_GE(progress.seconds_left, 0);
        told = progress.done;
    });
    EXPECT_EQ(told, 501);
    EXPECT_EQ(read_bytes(folder / "set.h5"), one);
}

TEST_F(Import, WritesThreeChannels) {
    add("a/gray.png", 9);
    folder.write("src/b/color.png", encode_png({1, 1, 8, PNG_COLOR_TYPE_RGB}, {1, 2, 3}));
    ImportOptions chosen = options();
    chosen.channels = 3;
    import_images(chosen);
    const ImageSet back = set();
    EXPECT_EQ(back.records.info.channels, 3);
    EXPECT_EQ(back.pixels[2 * 64], 9);
    EXPECT_EQ(back.pixels[3 * 64 + 2 * 64], 3);
}

TEST_F(Import, SaysWhatIsWrong) {
    ImportOptions nowhere = options();
    EXPECT_THAT(refusal(nowhere), HasSubstr("there is no such folder"));
    add("a/1.png", 1);
    EXPECT_THAT(refusal(options()), HasSubstr("1 class folders"));
    add("b/1.png", 2);
    ImportOptions chosen = options();
    chosen.format = "dicom";
    EXPECT_THAT(refusal(chosen), HasSubstr("csv, folder"));
    chosen = options();
    chosen.channels = 2;
    EXPECT_THAT(refusal(chosen), HasSubstr("--channels"));
    table("path,label\n1.png,x\n");
    EXPECT_THAT(refusal(with_table()), HasSubstr("labels.csv:2: '1.png' is 2 files"));
    table("path,label\na/1.png,x\na/1.png,y\n");
    EXPECT_THAT(refusal(with_table()), HasSubstr("already listed in line 2"));
    table("path,labels\na/1.png,x\n");
    EXPECT_THAT(refusal(with_table()), HasSubstr("did you mean labels?"));
    table("path,label,split\na/1.png,x,trian\nb/1.png,y,test\n");
    EXPECT_THAT(refusal(with_table()), HasSubstr("labels.csv:2: 'trian' is not a split"));
    add("train/a/1.png", 3);
    EXPECT_THAT(refusal(options()), HasSubstr("beside train"));
}

// Options that would change nothing, given to a format that does not read them.
TEST_F(Import, RefusesOptionsThatTheFormatDoesNotRead) {
    add("a/1.png", 1);
    add("b/2.png", 2);
    table("path,label\na/1.png,0\nb/2.png,1\n");
    ImportOptions by_folder = options(), by_table = with_table();
    by_folder.columns = {{"label", "class"}};
    EXPECT_THAT(refusal(by_folder), HasSubstr("--columns: format folder does not read it"));
    by_folder = options();
    by_folder.multilabel = true;
    EXPECT_THAT(refusal(by_folder), HasSubstr("--multilabel: format folder"));
    by_folder = options();
    by_folder.drop_labels = {"x"};
    EXPECT_THAT(refusal(by_folder), HasSubstr("--drop-labels: format folder"));
    by_table.class_names = {"sick", "well"};
    EXPECT_THAT(refusal(by_table), HasSubstr("--class-names: format csv"));
    by_table = with_table();
    by_table.rsna_classes = 3;
    EXPECT_THAT(refusal(by_table), HasSubstr("--rsna-classes: format csv"));
}

TEST_F(Import, EndsWhenNothingIsLeft) {
    folder.write("src/a/1.png", std::string("no"));
    folder.write("src/b/1.png", std::string("no"));
    EXPECT_THAT(refusal(options()), HasSubstr("none of 2 files could be read"));
    EXPECT_FALSE(std::filesystem::exists(folder / "set.h5"));
    EXPECT_TRUE(std::filesystem::exists(folder / "set.h5.quarantine.csv"));
}

}  // namespace
}  // namespace xbench
