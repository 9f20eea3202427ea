// The ways in which public sets come: tables with a column a class, NIH, RSNA, COCO, npz, CIFAR, groups by file name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zip.h>

#include <set>

#include "core/error.h"
#include "data/import/import.h"
#include "data/import/npy.h"
#include "data/set/h5.h"
#include "image_files.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Formats : public testing::Test {
protected:
    void add(const std::string& name, uint8_t value = 9) const { folder.write("src/" + name, gray_png(8, 8, value)); }
    ImportOptions options(const std::string& table = "") const {
        ImportOptions options;
        options.source = folder / "src";
        options.out = folder / "set.h5";
        options.size = 8;
        if (!table.empty()) {
            folder.write("labels.csv", table);
            options.labels = folder / "labels.csv";
        }
        return options;
    }
    SetRecords records() const { return read_h5_records(folder / "set.h5"); }
    static std::string refusal(const ImportOptions& options) {
        try {
            import_images(options);
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }
    std::string text_of(const std::string& file) const {
        const auto bytes = read_bytes(folder / file);
        return {bytes.begin(), bytes.end()};
    }
    TemporaryFolder folder;
};

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

std::vector<uint8_t> cifar(const std::vector<uint8_t>& labels, bool hundred = false) {
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i < labels.size(); ++i) {
        if (hundred) bytes.push_back(3);
        bytes.push_back(labels[i]);
        for (int plane = 0; plane < 3; ++plane) bytes.insert(bytes.end(), 1024, static_cast<uint8_t>(200 - 50 * plane));
    }
    return bytes;
}

TEST_F(Formats, CifarReadsShortBatches) {
    folder.write("src/data_batch_1.bin", cifar({6, 9, 9}));
    auto cut = cifar({3, 8});
    cut.resize(cut.size() - 100);
    folder.write("src/test_batch.bin", cut);
    folder.write("src/batches.meta.txt", std::string("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"));
    ImportOptions chosen = options();
    chosen.size = 32;
    chosen.channels = 3;
    chosen.val_share = 0;
    const ImportReport report = import_images(chosen);
    EXPECT_THAT(report.warnings, Contains(HasSubstr("test_batch.bin ends with 2973 bytes of a cut-off record")));
    const ImageSet set = read_h5(folder / "set.h5");
    EXPECT_THAT(set.records.labels, ElementsAre(6, 9, 9, 3));
    EXPECT_THAT(set.records.splits, ElementsAre(0, 0, 0, 2));
    EXPECT_EQ(set.records.ids[2], "data_batch_1.bin[2]");
    EXPECT_EQ(set.records.info.class_names[6], "g");
    EXPECT_EQ(set.pixels[0], 200);
    EXPECT_EQ(set.pixels[1024], 150);
    EXPECT_EQ(set.pixels[2048], 100);
    EXPECT_EQ(report.files_imported, 2);
}

TEST_F(Formats, CifarTellsItsKindsApart) {
    folder.write("src/train.bin", cifar({77, 99}, true));
    import_images(options());
    EXPECT_THAT(records().labels, ElementsAre(77, 99));
    folder.write("src/train.bin", cifar({10, 11, 12}));  // labels of neither
    ImportOptions chosen = options();
    chosen.format = "cifar";
    EXPECT_THAT(refusal(chosen), HasSubstr("holds no batch of CIFAR"));
}

std::string npy(const std::string& type, const std::string& shape, const std::string& data, const char* fortran = "False") {
    std::string head = "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
    head.resize((head.size() + 10 + 64) / 64 * 64 - 10, ' ');
    head.back() = '\n';
    std::string file("\x93NUMPY\x01\0", 8);
    file += static_cast<char>(head.size() & 0xFF);
    file += static_cast<char>(head.size() >> 8);
    return file + head + data;
}

class Npz : public Formats {
protected:
    void write(const std::vector<std::pair<std::string, std::string>>& arrays, bool packed = true) {
        std::filesystem::create_directories(folder / "src");
        int failure = 0;
        zip_t* zip = zip_open((folder / "src/set.npz").c_str(), ZIP_CREATE | ZIP_TRUNCATE, &failure);
        for (const auto& [name, bytes] : arrays) {
            zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
            const auto index = zip_file_add(zip, (name + ".npy").c_str(), source, ZIP_FL_OVERWRITE);
            zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), packed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
        }
        zip_close(zip);
    }
    ImportOptions of_file() const {
        ImportOptions chosen = options();
        chosen.source = folder / "src/set.npz";
        return chosen;
    }
    // Image i of {count,8,8}: all pixels 10 i.
    static std::string images(int count) {
        std::string data;
        for (int i = 0; i < count; ++i) data += std::string(64, static_cast<char>(10 * i));
        return npy("|u1", "(" + std::to_string(count) + ", 8, 8)", data);
    }
};

TEST_F(Npz, ReadsMedMnist) {
    for (const bool packed : {true, false}) {
        write({{"train_images", images(3)},
               {"train_labels", npy("|u1", "(3, 1)", std::string("\x01\x00\x02", 3))},
               {"val_images", images(1)},
               {"val_labels", npy("<i8", "(1,)", std::string("\x02\0\0\0\0\0\0\0", 8))},
               {"test_images", images(2)},
               {"test_labels", npy(">i2", "(2, 1)", std::string("\0\x01\0\0", 4))}},
              packed);
        const ImportReport report = import_images(of_file());
        const ImageSet set = read_h5(folder / "set.h5");
        EXPECT_THAT(set.records.labels, ElementsAre(1, 0, 2, 2, 1, 0));
        EXPECT_THAT(set.records.splits, ElementsAre(0, 0, 0, 1, 2, 2));
        EXPECT_EQ(set.pixels[64], 10);
        EXPECT_EQ(set.pixels[5 * 64], 10);
        EXPECT_EQ(report.files_met, 1);
        EXPECT_EQ(report.files_imported, 1);
    }
}

TEST_F(Npz, ReadsSeveralLabelsAndColor) {
    std::string rgb;
    for (int i = 0; i < 2 * 64; ++i) rgb += std::string("\x0a\x14\x1e", 3);
    write({{"train_images", npy("|u1", "(2, 8, 8, 3)", rgb)},
           {"train_labels", npy("|u1", "(2, 3)", std::string("\x01\x00\x01\x00\x00\x00", 6))}});
    ImportOptions chosen = of_file();
    chosen.channels = 3;
    chosen.class_names = {"x", "y", "z"};
    chosen.val_share = 0;
    import_images(chosen);
    const ImageSet set = read_h5(folder / "set.h5");
    EXPECT_EQ(set.records.targets, (std::vector<uint8_t>{1, 0, 1, 0, 0, 0}));
    EXPECT_THAT(set.records.info.class_names, ElementsAre("x", "y", "z"));
    EXPECT_EQ(set.pixels[0], 10);
    EXPECT_EQ(set.pixels[64], 20);
    EXPECT_EQ(set.pixels[128], 30);
}

TEST_F(Npz, BecomesSixteenBits) {
    std::string wide;
    for (int i = 0; i < 64; ++i) wide += std::string("\x12\x34", 2);
    write({{"images", npy(">u2", "(1, 8, 8)", wide)}, {"labels", npy("|u1", "(1,)", std::string(1, '\x01'))}});
    import_images(of_file());
    const ImageSet set = read_h5(folder / "set.h5");
    uint16_t first;
    std::memcpy(&first, set.pixels.data(), 2);
    EXPECT_EQ(first, 0x1234);
}

TEST_F(Npz, RefusesWhatItMustNotRead) {
    const auto said = [&](const std::string& array) {
        write({{"images", array}, {"labels", npy("|u1", "(1,)", std::string(1, '\0'))}});
        return refusal(of_file());
    };
    EXPECT_THAT(said(npy("|O", "(1, 8, 8)", std::string(64, 'x'))), HasSubstr("pickle"));
    EXPECT_THAT(said(npy("<f4", "(1, 8, 8)", std::string(256, 'x'))), HasSubstr("no uint8 or uint16"));
    EXPECT_THAT(said(npy("|u1", "(1, 8, 9)", std::string(64, 'x'))), HasSubstr("does not fit its bytes"));
    EXPECT_THAT(said(npy("|u1", "(1, 8, 8)", std::string(64, 'x'), "True")), HasSubstr("Fortran"));
    EXPECT_THAT(said(npy("|u1", "(2, 8, 4)", std::string(64, 'x'))), HasSubstr("labels do not fit 2 images"));
    EXPECT_THAT(said(npy("|u1", "(99999999999999, 9999999999, 99)", "")), HasSubstr("absurd shape"));
    EXPECT_THAT(said("\x93NUMPY"), HasSubstr("not an npy array"));
    write({{"other", images(1)}});
    EXPECT_THAT(refusal(of_file()), HasSubstr("no pair of arrays"));
}

TEST_F(Npz, RefusesDamagedFiles) {
    write({{"images", images(8)}, {"labels", npy("|u1", "(8,)", std::string(8, '\0'))}}, false);
    const auto good = read_bytes(folder / "src/set.npz");
    auto changed = good;
    changed[300] ^= 1;  // a pixel: the checksum tells
    folder.write("src/set.npz", changed);
    EXPECT_THAT(refusal(of_file()), HasSubstr("checksum"));
    for (const size_t keep : {10u, 100u, 500u}) {
        folder.write("src/set.npz", std::vector<uint8_t>(good.begin(), good.begin() + static_cast<long>(keep)));
        EXPECT_THAT(refusal(of_file()), HasSubstr("no readable zip file"));
    }
}

TEST(Npy, ReadsNumbersOfEveryType) {
    const auto number = [](const std::string& type, const std::string& data) {
        return npy_number(parse_npy(npy(type, "(1,)", data)), reinterpret_cast<const uint8_t*>(data.data()), 0);
    };
    EXPECT_EQ(number("|i1", "\xff"), -1);
    EXPECT_EQ(number("<u2", std::string("\x02\x01", 2)), 258);
    EXPECT_EQ(number(">i4", std::string("\xff\xff\xff\xfe", 4)), -2);
    EXPECT_EQ(number("<f4", std::string("\0\0\x80\x3f", 4)), 1);
    EXPECT_EQ(number("<f8", std::string("\0\0\0\0\0\0\0\xc0", 8)), -2);
}

}  // namespace
}  // namespace xbench
