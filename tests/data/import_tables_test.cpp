// Tables of others: a column a class with policies for what is uncertain, lists, a row a box, groups by file name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats_fixture.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// CheXpert's way: 1, 0, -1 (uncertain), blank (not mentioned).
class ColumnLabels : public Formats {
protected:
    ImportOptions with(const std::string& uncertain, const std::string& blank) {
        for (const char* name : {"p1/a.png", "p1/b.png", "p2/c.png", "p3/d.png"}) add(name, static_cast<uint8_t>(name[3]));
        ImportOptions chosen = options(
            "Path,Sex,Age,View,No Finding,Edema,Support Devices\n"
            "p1/a.png,F,61,PA,,1.0,\n"
            "p1/b.png,F,061Y,AP,,-1.0,0\n"
            "p2/c.png,M,nan,PA,1.0,,\n"
            "p3/d.png,M,40,PA,0,0,1\n");
        chosen.columns = {
            {"path", "Path"}, {"labels", "No Finding..Support Devices"}, {"sex", "Sex"}, {"age", "Age"}, {"view", "View"}};
        chosen.uncertain = uncertain;
        chosen.blank = blank;
        chosen.group_regex = "p(\\d+)/";
        return chosen;
    }
};

TEST_F(ColumnLabels, FollowThePolicies) {
    struct Case {
        const char *uncertain, *blank;
        std::vector<uint8_t> targets;
    };
    const Case cases[] = {{"ignore", "zeros", {0, 1, 0, 0, 255, 0, 1, 0, 0, 0, 0, 1}},
                          {"zeros", "zeros", {0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}},
                          {"ones", "zeros", {0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1}},
                          // With "No Finding" the other blanks are no; of devices it says nothing.
                          {"ignore", "ignore", {255, 1, 255, 255, 255, 0, 1, 0, 255, 0, 0, 1}}};
    for (const Case& c : cases) {
        import_images(with(c.uncertain, c.blank));
        const SetRecords set = records();
        EXPECT_EQ(set.targets, c.targets) << c.uncertain << ' ' << c.blank;
        EXPECT_THAT(set.info.class_names, ElementsAre("No Finding", "Edema", "Support Devices"));
    }
}

TEST_F(ColumnLabels, KeepWhatSubgroupsNeed) {
    import_images(with("ignore", "zeros"));
    const SetRecords set = records();
    EXPECT_THAT(set.meta.at("sex"), ElementsAre("F", "F", "M", "M"));
    EXPECT_THAT(set.meta.at("age"), ElementsAre("61", "61", "", "40"));
    EXPECT_THAT(set.meta.at("view"), ElementsAre("PA", "AP", "PA", "PA"));
    EXPECT_THAT(set.groups, ElementsAre("1", "1", "2", "3"));
    EXPECT_EQ(set.splits[0], set.splits[1]);
}

TEST_F(ColumnLabels, RefuseWhatIsNoLabel) {
    ImportOptions chosen = with("maybe", "zeros");
    EXPECT_THAT(refusal(chosen), HasSubstr("'maybe' is no way to read a label"));
    chosen = with("ignore", "zeros");
    chosen.columns["labels"] = "Edema..No Finding";
    EXPECT_THAT(refusal(chosen), HasSubstr("stands behind the last"));
    chosen.columns["labels"] = "Edemma+No Finding";
    EXPECT_THAT(refusal(chosen), HasSubstr("did you mean Edema?"));
    chosen.columns["labels"] = "Age..Edema";
    EXPECT_THAT(refusal(chosen), HasSubstr("'61' in column Age is none of 1, 0, -1 and a blank"));
    chosen.group_regex = "p(";
    chosen.columns["labels"] = "Edema+No Finding";
    EXPECT_THAT(refusal(chosen), HasSubstr("is not a regular expression"));
    chosen.group_regex = "patient(\\d+)";
    EXPECT_THAT(refusal(chosen), HasSubstr("matches none of the paths"));
}

TEST_F(Formats, ReadListsAsPythonPrintsThem) {
    for (const char* name : {"a.png", "b.png", "c.png", "d.png"}) add(name);
    ImportOptions chosen =
        options("path,label\na,\"['normal']\"\nb,\"['stent', ' abnormal']\"\nc,\"['unchanged']\"\nd,[]\n");
    chosen.drop_labels = {"unchanged"};
    import_images(chosen);
    const SetRecords set = records();
    EXPECT_THAT(set.info.class_names, ElementsAre("abnormal", "normal", "stent"));
    EXPECT_EQ(set.targets, (std::vector<uint8_t>{0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0}));
}

// As VinDr's: a row a box of one of three readers, corners, and rows without a finding.
TEST_F(Formats, TablesWithARowABox) {
    for (const char* name : {"a.png", "b.png", "c.png"}) add(name);
    ImportOptions chosen = options(
        "image_id,class_name,rad_id,x_min,y_min,x_max,y_max\n"
        "a,Nodule,R1,1,2,4,6\na,Nodule,R1,5,5,6,6\na,Nodule,R2,1,1,3,3\na,No finding,R3,,,,\na,Mass,R3,0,0,8,8\n"
        "b,No finding,R1,,,,\nb,No finding,R2,,,,\nb,No finding,R3,,,,\n"
        "c,Mass,R1,2,2,2,5\nc,Mass,R2,2,2,4,4\nc,Nodule,R3,1,1,2,2\n");
    chosen.columns = {
        {"path", "image_id"}, {"label", "class_name"}, {"corners", "x_min+y_min+x_max+y_max"}, {"reader", "rad_id"}};
    ImportReport report = import_images(chosen);
    SetRecords set = records();
    EXPECT_THAT(set.info.class_names, ElementsAre("Mass", "Nodule"));
    EXPECT_EQ(set.targets, (std::vector<uint8_t>{1, 1, 0, 0, 1, 1}));
    EXPECT_THAT(set.box_offsets, ElementsAre(0, 4, 4, 6));
    EXPECT_THAT(set.boxes[0], ElementsAre(1, 1, 2, 3, 4));
    EXPECT_THAT(report.notes, Contains("1 boxes without an area are left out"));
    chosen.consensus = "majority";
    import_images(chosen);
    set = records();
    EXPECT_EQ(set.targets, (std::vector<uint8_t>{0, 1, 0, 0, 1, 0}));
    EXPECT_THAT(set.box_offsets, ElementsAre(0, 3, 3, 4));
    chosen.columns["corners"] = "x_min+y_min";
    EXPECT_THAT(refusal(chosen), HasSubstr("2 columns for a box"));
    chosen.columns["corners"] = "x_min+y_min+x_max+ymax";
    EXPECT_THAT(refusal(chosen), HasSubstr("did you mean y_max?"));
    chosen.columns.erase("corners");
    EXPECT_THAT(refusal(chosen), HasSubstr("was already listed"));
}

TEST_F(Formats, GroupRotatedCopiesByTheirName) {
    for (const char* name : {"a/1.png", "a/1-rotated1.png", "b/1-rotated1-rotated2.png", "b/2.png"}) add(name);
    ImportOptions chosen = options();
    chosen.group_regex = R"(([^/]+?)(-rotated\d+)*\.[^.]+$)";
    import_images(chosen);
    EXPECT_THAT(records().groups, ElementsAre("1", "1", "1", "2"));
}

}  // namespace
}  // namespace xbench
