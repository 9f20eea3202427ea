// Sets that are told by their files: NIH ChestX-ray14, RSNA, COCO.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats_fixture.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Nih : public Formats {
protected:
    void tree() {
        const char* names[] = {"images_001/images/00000001_000.png", "images_001/images/00000001_001.png",
                               "images_002/images/00000002_000.png", "images_002/images/00000003_000.png"};
        for (uint8_t value = 1; const char* name : names) add(name, value++);
        folder.write(
            "src/Data_Entry_2017.csv",
            std::string("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
                        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
                        "00000001_000.png,Cardiomegaly|Emphysema,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
                        "00000001_001.png,Cardiomegaly,1,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
                        "00000002_000.png,No Finding,0,2,081Y,F,PA,2500,2048,0.171,0.171,\n"
                        "00000003_000.png,Hernia,0,3,081Y,F,AP,2500,2048,0.171,0.171,\n"));
    }
};

TEST_F(Nih, IsRecognisedByItsTable) {
    tree();
    const ImportReport report = import_images(options());
    const SetRecords set = records();
    EXPECT_THAT(set.info.class_names, ElementsAre("Cardiomegaly", "Emphysema", "Hernia"));
    EXPECT_EQ(set.targets, (std::vector<uint8_t>{1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}));
    EXPECT_THAT(set.groups, ElementsAre("1", "1", "2", "3"));
    EXPECT_THAT(set.meta.at("age"), ElementsAre("58", "58", "81", "81"));
    EXPECT_THAT(set.meta.at("view"), ElementsAre("PA", "PA", "PA", "AP"));
    EXPECT_EQ(set.splits[0], set.splits[1]);
    EXPECT_THAT(report.notes, Contains(HasSubstr("SHA-256 ")));
}

TEST_F(Nih, TakesTheOfficialListsWhereTheyAreThere) {
    tree();
    folder.write("src/train_val_list.txt", std::string("00000001_000.png\r\n00000001_001.png\r\n"));
    folder.write("src/test_list.txt", std::string("00000002_000.png\n"));
    ImportOptions chosen = options();
    chosen.val_share = 0;
    const ImportReport report = import_images(chosen);
    EXPECT_THAT(records().splits, ElementsAre(0, 0, 2));
    ASSERT_EQ(report.quarantined.size(), 1u);
    EXPECT_EQ(report.quarantined[0].reason, "in none of the official lists");
}

TEST_F(Formats, RsnaHasAnImageForEachPatientIdHoweverManyBoxes) {
    for (const char* name : {"stage_2_train_images/aa.png", "stage_2_train_images/bb.png", "stage_2_train_images/cc.png"})
        add(name);
    folder.write("src/stage_2_train_labels.csv", std::string("patientId,x,y,width,height,Target\n"
                                                             "aa,1.0,2.0,3.0,4.0,1\naa,5,5,2,2,1\nbb,,,,,0\ncc,,,,,0\n"));
    folder.write(
        "src/stage_2_detailed_class_info.csv",
        std::string("patientId,class\naa,Lung Opacity\naa,Lung Opacity\nbb,Normal\ncc,No Lung Opacity / Not Normal\n"));
    ImportReport report = import_images(options());
    SetRecords set = records();
    EXPECT_THAT(set.labels, ElementsAre(1, 0, 0));
    EXPECT_THAT(set.box_offsets, ElementsAre(0, 2, 2, 2));
    EXPECT_THAT(set.boxes[0], ElementsAre(1, 1, 2, 3, 4));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("a patientId of RSNA is one an image")));
    ImportOptions three = options();
    three.rsna_classes = 3;
    import_images(three);
    set = records();
    EXPECT_THAT(set.info.class_names, ElementsAre("Normal", "No Lung Opacity / Not Normal", "Lung Opacity"));
    EXPECT_THAT(set.labels, ElementsAre(2, 0, 1));
    EXPECT_EQ(set.boxes[0][0], 2);
}

TEST_F(Formats, CocoMapsIdsAndCutsBoxes) {
    for (const char* name : {"a.png", "b.png", "c.png"}) add(name);
    ImportOptions chosen = options();
    folder.write("boxes.json", std::string(R"({"categories": [{"id": 7, "name": "left"}, {"id": 3, "name": "right"}],
        "images": [{"id": 10, "file_name": "a.png", "width": 16, "height": 16}, {"id": 11, "file_name": "b.png", "width": 8, "height": 8},
                   {"id": 12, "file_name": "gone.png", "width": 8, "height": 8}, {"id": 13, "file_name": "c.png", "width": 8, "height": 8}],
        "annotations": [{"id": 1, "image_id": 10, "category_id": 7, "bbox": [2, 4, 8, 20]},
                        {"id": 2, "image_id": 11, "category_id": 3, "bbox": [296.65, 388.33, 1.03, 0.0]},
                        {"id": 3, "image_id": 11, "category_id": 3, "bbox": [1, 1, 2, 2]},
                        {"id": 3, "image_id": 11, "category_id": 3, "bbox": [1, 1, 2, 2], "iscrowd": 1},
                        {"id": 5, "image_id": 99, "category_id": 3, "bbox": [1, 1, 2, 2]}]})"));
    chosen.labels = folder / "boxes.json";
    const ImportReport report = import_images(chosen);
    const SetRecords set = records();
    EXPECT_THAT(set.info.class_names, ElementsAre("right", "left"));
    EXPECT_EQ(set.targets, (std::vector<uint8_t>{0, 1, 1, 0, 0, 0}));
    EXPECT_THAT(set.box_offsets, ElementsAre(0, 1, 2, 2));
    EXPECT_THAT(set.boxes[0], ElementsAre(1, 1, 2, 4, 6));  // of 16 pixels, cut at the border, in 8
    EXPECT_THAT(set.boxes[1], ElementsAre(0, 1, 1, 2, 2));
    for (const char* said : {"1 boxes without an area", "1 crowd", "1 annotations repeat an id", "1 annotations of images"})
        EXPECT_THAT(report.notes, Contains(HasSubstr(said)));
    EXPECT_EQ(report.rows_without_file, 1);
    folder.write("boxes.json", std::string(R"({"categories": [)"));
    EXPECT_THAT(refusal(chosen), HasSubstr("is no JSON, or is cut off"));
    folder.write("boxes.json", std::string(R"({"categories": [{"id": "x", "name": "left"}]})"));
    EXPECT_THAT(refusal(chosen), HasSubstr("'id' is no whole number"));
}

}  // namespace
}  // namespace xbench
