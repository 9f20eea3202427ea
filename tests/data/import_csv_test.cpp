// Tables as people and their programs write them: encodings, separators, missing values, and paths of another machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/import/csv.h"
#include "data/import/import.h"
#include "data/set/h5.h"
#include "image_files.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class TableImport : public testing::Test {
protected:
    TableImport() {
        for (int i = 0; i < 6; ++i)
            folder.write("img/sub/im0" + std::to_string(i) + ".png", gray_png(2, 2, static_cast<uint8_t>(i)));
    }
    ImportReport import(const std::string& text, char separator = ',') const {
        folder.write("labels.csv", text);
        ImportOptions options;
        options.source = folder / "img";
        options.out = folder / "set.h5";
        options.labels = folder / "labels.csv";
        options.separator = separator;
        options.size = 4;
        return import_images(options);
    }
    std::string refusal(const std::string& text) const {
        try {
            import(text);
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }
    TemporaryFolder folder;
};

std::string utf16(const std::string& ascii, bool big, bool mark) {
    std::string text = mark ? (big ? "\xfe\xff" : "\xff\xfe") : "";
    for (const char letter : ascii) text += big ? std::string{'\0', letter} : std::string{letter, '\0'};
    return text;
}

// Which of two columns of one name is meant nobody knows; columns that are not read may be called anything.
TEST_F(TableImport, AColumnThatIsReadHasItsNameAlone) {
    for (const char* header : {"path,label,label", "path,path,label", "path,label,split,split",
                               "path,label,group,view,group", "path,label,sex,sex"}) {
        std::string rows;
        for (const char* image : {"im00.png", "im01.png"}) {
            rows += image;
            for (const char* c = header; *c != 0; ++c)
                if (*c == ',') rows += ",a";
            rows += "\n";
        }
        EXPECT_THAT(refusal(std::string(header) + "\n" + rows), HasSubstr("are both called")) << header;
    }
    EXPECT_THAT(refusal("path,label,label\nim00.png,a,b\n"),
                HasSubstr("labels.csv:1: columns 2 and 3 are both called 'label'"));
    EXPECT_EQ(import("path,label,note,note\nim00.png,a,x,y\nim01.png,b,x,y\n").images, 2);
}

TEST_F(TableImport, ReadsEveryWayToWriteAPath) {
    for (const std::string& path :
         {std::string("sub/im00.png"), std::string("im00.png"), std::string("./sub/../sub/im00.png"),
          std::string("sub\\im00.png"), std::string(".\\sub\\im00.png"), std::string("im00"), std::string("sub/im00"),
          std::string("img/sub/im00.png"), std::string("data/img/sub/im00.png"),
          std::string("/somewhere/else/img/sub/im00.png"), std::string("C:\\Users\\me\\img\\sub\\im00.png"),
          folder / "img/sub/im00.png", std::string("img\\sub\\im00")}) {
        const ImportReport report = import("path,label\n" + path + ",a\nim01.png,b\n");
        EXPECT_EQ(report.images, 2) << path;
        EXPECT_EQ(read_h5_records(folder / "set.h5").ids[0], "sub/im00.png") << path;
    }
}

TEST_F(TableImport, NamesTheNearestFile) {
    const std::string others = "im01.png,a\nim02.png,b\n";
    for (const auto& [written, near] :
         {std::pair{"IM00.PNG", "sub/im00.png"}, {"other/im00.png", "sub/im00.png"}, {"im0O.png", "sub/im00.png"}}) {
        const ImportReport report = import(std::string("path,label\n") + written + ",a\n" + others);
        ASSERT_EQ(report.quarantined.size(), 1u) << written;
        EXPECT_FALSE(report.quarantined[0].on_disk);
        EXPECT_EQ(report.rows_without_file, 1);
        EXPECT_THAT(report.quarantined[0].reason, HasSubstr(std::string("the nearest file is '") + near)) << written;
        EXPECT_EQ(report.files_met, 6);
        EXPECT_EQ(report.files_met,
                  report.files_imported + report.files_quarantined + static_cast<int64_t>(report.ignored.size()));
    }
    EXPECT_THAT(refusal("path,label\nx/im00.png,a\ny/im01.png,b\n"),
                HasSubstr("labels.csv:2: none of its 2 paths is a file below"));
}

TEST_F(TableImport, TakesMissingValuesForNoValue) {
    for (const char* missing : {"", "nan", "NaN", "NA", "N/A", "null", "NULL", "None", " nan ", "<NA>", "#N/A"}) {
        const std::string cell = missing;
        const ImportReport report =
            import("path,label,split,group\nim00.png,a,train,p\nim01.png,b,test," + cell + "\nim02.png," + cell +
                   ",train,q\nim03.png,a," + cell + ",q\nim04.png,a|" + cell + ",train,q\nim05.png,b,train," + cell + "\n");
        EXPECT_THAT(report.class_names, ElementsAre("a", "b")) << cell;
        EXPECT_EQ(report.images, 3) << cell;
        EXPECT_EQ(report.groups_across_splits, 0) << cell;  // no patient is called nan
        ASSERT_EQ(report.quarantined.size(), 3u);
        EXPECT_THAT(report.quarantined[0].reason, HasSubstr("labels.csv:4: no label"));
        EXPECT_THAT(report.quarantined[1].reason, HasSubstr("labels.csv:5: no split"));
    }
}

// A patient is one patient however the cells are padded.
TEST_F(TableImport, TrimsAllColumnsAlike) {
    const ImportReport report = import(
        "path , label,split ,\tgroup\nim00.png,a,train,p1\n im01.png ,\"b \", test, p1\n\"im02.png\",\"a\",train,\"p1 "
        "\"\nim03.png,b ,train,\xc2\xa0p1\n");
    EXPECT_THAT(report.class_names, ElementsAre("a", "b"));
    EXPECT_EQ(report.groups_across_splits, 1);
    EXPECT_THAT(read_h5_records(folder / "set.h5").groups, ElementsAre("p1", "p1", "p1", "p1"));
}

TEST_F(TableImport, ReadsUtf16AndByteOrderMarks) {
    const std::string text = "path,label\nim00.png,a\nim01.png,b\n";
    import(text);
    const auto expected = read_bytes(folder / "set.h5");
    EXPECT_EQ(import("\xef\xbb\xbf" + text).images, 2);
    EXPECT_EQ(read_bytes(folder / "set.h5"), expected);
    for (const bool big : {false, true}) {
        for (const bool mark : {false, true}) {
            EXPECT_EQ(import(utf16(text, big, mark)).images, 2) << big << mark;
            EXPECT_EQ(read_bytes(folder / "set.h5"), expected);
        }
    }
    // Beyond the basic plane: a pair of units.
    const CsvTable table = parse_csv(std::string("\xff\xfe"
                                                 "a\0\n\0\x3e\xd8\xc1\xde\n\0",
                                                 12),
                                     "t");
    EXPECT_EQ(table.rows.at(0).at(0), "\xf0\x9f\xab\x81");
}

TEST_F(TableImport, RefusesWhatItCannotRead) {
    EXPECT_THAT(refusal("path;label\nim00.png;a\n"), HasSubstr("separated by a semicolon; give --separator semicolon"));
    EXPECT_THAT(refusal("path\tlabel\nim00.png\ta\n"), HasSubstr("--separator tab"));
    EXPECT_THAT(refusal("path,label\nim00.png,a\nim01.png,L\xe9sion\n"), HasSubstr("labels.csv:3: byte 0xE9 is not UTF-8"));
    EXPECT_THAT(refusal("path,label,split\nim00.png,Normal,train\nim01.png,b,train\nim02.png,NORMAL,test\n"),
                HasSubstr("differ in nothing but case"));
    EXPECT_THAT(refusal("path,label,split\nim00.png,1,train\nim01.png,b,train\nim02.png,1.0,test\n"),
                HasSubstr("'1' and '1.0' are the same number"));
    EXPECT_THAT(refusal("path,label\nim00.png," + std::string(5000, 'x') + "\nim01.png,b\n"),
                HasSubstr("labels.csv:2: a label of 5000 bytes"));
    EXPECT_EQ(import("path;label\nim00.png;a\nim01.png;b\n", ';').images, 2);
}

}  // namespace
}  // namespace xbench
