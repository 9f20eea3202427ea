// Labels that are told by several tables: MIMIC-CXR's tree, whose metadata and splits have a row an image and whose labels
// have a row a study; other keys, and what cannot be joined.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats_fixture.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class Mimic : public Formats {
protected:
    // Two patients; p10's first study has two images. d4's study has no labels, d5 no split, d6 no file.
    ImportOptions tree() const {
        for (const char* name :
             {"p10/p10000032/s501/d1-aa.png", "p10/p10000032/s501/d2-bb.png", "p10/p10000032/s502/d3-cc.png",
              "p11/p11000007/s601/d4-dd.png", "p11/p11000007/s602/d5-ee.png", "p11/p11000007/s602/d7-gg.png"})
            add(name, static_cast<uint8_t>(10 + name[20]));
        folder.write("metadata.csv", std::string("dicom_id,subject_id,study_id,ViewPosition,Rows\n"
                                                 "d1-aa,10000032,501,PA,8\nd2-bb,10000032,501,LATERAL,8\n"
                                                 "d3-cc,10000032,502,AP,8\nd4-dd,11000007,601,AP,8\n"
                                                 "d5-ee,11000007,602,AP,8\nd6-ff,11000007,602,PA,8\n"
                                                 "d7-gg,11000007,602,PA,8\n"));
        folder.write("split.csv", std::string("dicom_id,study_id,subject_id,split\n"
                                              "d7-gg,602,11000007,test\nd4-dd,601,11000007,validate\n"
                                              "d3-cc,502,10000032,train\nd2-bb,501,10000032,train\n"
                                              "d1-aa,501,10000032,train\nd6-ff,602,11000007,test\n"));
        folder.write("chexpert.csv", std::string("subject_id,study_id,Edema,Fracture,No Finding,Support Devices\n"
                                                 "10000032,501,1.0,,,-1.0\n10000032,502,,,1.0,\n"
                                                 "11000007,602,-1.0,0.0,,1.0\n99,999,1.0,1.0,,\n"));
        ImportOptions chosen = options();
        chosen.labels = folder / "metadata.csv";
        chosen.joins = {folder / "split.csv", folder / "chexpert.csv"};
        chosen.columns = {{"path", "dicom_id"},
                          {"split", "split"},
                          {"group", "subject_id"},
                          {"view", "ViewPosition"},
                          {"labels", "Edema..Support Devices"}};
        chosen.val_share = 0;
        return chosen;
    }
};

TEST_F(Mimic, AllImagesOfAStudyShareItsLabels) {
    const ImportReport report = import_images(tree());
    const SetRecords set = records();
    EXPECT_THAT(set.ids, ElementsAre("p10/p10000032/s501/d1-aa.png", "p10/p10000032/s501/d2-bb.png",
                                     "p10/p10000032/s502/d3-cc.png", "p11/p11000007/s602/d7-gg.png"));
    EXPECT_THAT(set.info.class_names, ElementsAre("Edema", "Fracture", "No Finding", "Support Devices"));
    EXPECT_EQ(set.targets, (std::vector<uint8_t>{1, 0, 0, 255, 1, 0, 0, 255, 0, 0, 1, 0, 255, 0, 0, 1}));
    EXPECT_THAT(set.splits, ElementsAre(0, 0, 0, 2));
    EXPECT_THAT(set.groups, ElementsAre("10000032", "10000032", "10000032", "11000007"));
    EXPECT_THAT(set.meta.at("view"), ElementsAre("PA", "LATERAL", "AP", "PA"));
    ASSERT_THAT(report.quarantined, SizeIs(3));
    std::vector<std::string> said;
    for (const auto& left_out : report.quarantined) said.push_back(left_out.path + ": " + left_out.reason);
    EXPECT_THAT(said, Contains(HasSubstr("d4-dd.png: " + folder / "metadata.csv:5: no row of " + folder / "chexpert.csv" +
                                         " with subject_id 11000007, study_id 601")));
    EXPECT_THAT(said, Contains(HasSubstr("d5-ee.png: " + folder / "metadata.csv:6: no row of " + folder / "split.csv" +
                                         " with dicom_id d5-ee, study_id 602, subject_id 11000007")));
    EXPECT_THAT(said, Contains(HasSubstr("d6-ff: ")));
    EXPECT_THAT(report.notes, Contains(HasSubstr("by subject_id and study_id; 1 of its 4 rows belong to no row of")));
    EXPECT_EQ(report.files_met, report.files_imported + report.files_quarantined);
}

TEST_F(Mimic, UncertainLabelsFollowThePolicies) {
    struct Case {
        const char *uncertain, *blank;
        std::vector<uint8_t> targets;
    };
    const Case cases[] = {{"zeros", "zeros", {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}},
                          {"ones", "zeros", {1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1}},
                          {"ignore", "ignore", {1, 255, 255, 255, 1, 255, 255, 255, 0, 0, 1, 255, 255, 0, 255, 1}}};
    for (const Case& c : cases) {
        ImportOptions chosen = tree();
        chosen.uncertain = c.uncertain;
        chosen.blank = c.blank;
        import_images(chosen);
        EXPECT_EQ(records().targets, c.targets) << c.uncertain << ' ' << c.blank;
    }
}

// Patients by a name of their own, and a table that says what the first one says otherwise.
TEST_F(Mimic, KeysMayBeNamed) {
    ImportOptions chosen = tree();
    folder.write("chexpert.csv", std::string("patient,study_id,ViewPosition,Edema,Fracture\n"
                                             "10000032,501,none,1,0\n10000032,502,none,0,0\n11000007,602,none,0,1\n"));
    chosen.joins[1] += ":patient=subject_id+study_id";
    chosen.columns["labels"] = "Edema+Fracture";
    import_images(chosen);
    EXPECT_EQ(records().targets, (std::vector<uint8_t>{1, 0, 1, 0, 0, 0, 0, 1}));
    EXPECT_THAT(records().meta.at("view"), ElementsAre("PA", "LATERAL", "AP", "PA")) << "the first table's";
}

TEST_F(Mimic, WhatCannotBeJoinedIsRefused) {
    ImportOptions chosen = tree();
    const auto with = [&](const std::string& table, const std::string& keys = "") {
        folder.write("chexpert.csv", table);
        chosen.joins[1] = folder / "chexpert.csv" + keys;
        return refusal(chosen);
    };
    EXPECT_THAT(with("subject_id,study_id,Edema,Support Devices\n1,501,1,0\n1,502,0,0\n1,501,0,0\n"),
                testing::AllOf(HasSubstr("chexpert.csv:4: subject_id 1, study_id 501 stands in line 2, too")));
    EXPECT_THAT(with("subject_id,study_id,Edema,Support Devices\n10000032,501,1,0\n10000032,501,1,0\n"), "accepted")
        << "the same said twice";
    EXPECT_THAT(with("patient,Edema,Support Devices\n1,1,0\n"), HasSubstr("shares no column with"));
    EXPECT_THAT(with("patient,Edema,Support Devices\n1,1,0\n", ":patient=subjectid"), HasSubstr("did you mean subject_id?"));
    EXPECT_THAT(with("patient,Edema,Support Devices\n1,1,0\n", ":patent"), HasSubstr("did you mean patient?"));
    EXPECT_THAT(with(std::string("\x1f\x8b\x08\0\0", 5)), HasSubstr("compressed with gzip"));
    chosen.joins[1] = folder / "absent.csv";
    EXPECT_THAT(refusal(chosen), HasSubstr("check the path of --join"));
    chosen.labels.clear();
    chosen.columns.clear();
    EXPECT_THAT(refusal(chosen), HasSubstr("--join: format folder does not read it"));
}

}  // namespace
}  // namespace xbench
