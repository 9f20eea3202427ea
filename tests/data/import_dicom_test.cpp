// Importing DICOM: frames, patients, objects that are no images, and what the set says about its pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/import/decoders.h"
#include "data/import/import.h"
#include "data/set/h5.h"
#include "dicom_files.h"
#include "image_files.h"

namespace xbench {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

class ImportDicom : public testing::Test {
protected:
    void SetUp() override {
        if (!reads_dicom()) GTEST_SKIP() << "DICOM is off in this build";
    }
    void add(const std::string& path, const std::string& patient, int value, int frames = 1) {
        const GrayDicom image{.rows = 4,
                              .columns = 4,
                              .bits = 12,
                              .frames = frames,
                              .patient = patient,
                              .center = "2048",
                              .width = "4096",
                              .function = "LINEAR_EXACT"};
        std::vector<int> pixels;
        for (int f = 0; f < frames; ++f) pixels.insert(pixels.end(), 16, value + f);
        folder_.write("src/" + path, image.bytes(pixels));
    }
    ImportReport import(ImportOptions options = {}) {
        options.source = folder_ / "src";
        options.out = folder_ / "set.h5";
        options.size = 4;
        return import_images(options);
    }
    TemporaryFolder folder_;
};

TEST_F(ImportDicom, MakesDeepSetsGroupedByPatientWithoutTheirIds) {
    add("a/1.dcm", "MRN-17", 1024);
    add("a/2", "MRN-18", 2048);  // no extension
    add("b/3.dcm", "MRN-17", 4095);
    folder_.write("src/b/4.png", gray_png(4, 4, 200));
    folder_.write("src/b/report.dcm", DicomFile().add(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.33").bytes());
    const ImportReport report = import();
    EXPECT_EQ(report.images, 4);
    EXPECT_EQ(report.bytes_per_pixel, 2);
    EXPECT_EQ(report.files_met, 5);
    EXPECT_EQ(report.files_imported, 4);
    ASSERT_EQ(report.ignored.size(), 1u);
    EXPECT_EQ(report.ignored[0].rule, "a DICOM structured report");
    const ImageSet set = read_h5(folder_ / "set.h5");
    EXPECT_EQ(set.records.groups[0], set.records.groups[2]);
    EXPECT_NE(set.records.groups[0], set.records.groups[1]);
    EXPECT_EQ(set.records.groups[3], "");
    EXPECT_THAT(set.records.meta.at("rendering"), ElementsAre("LINEAR_EXACT 2048/4096; as stored; 12 bits stored",
                                                              "LINEAR_EXACT 2048/4096; as stored; 12 bits stored",
                                                              "LINEAR_EXACT 2048/4096; as stored; 12 bits stored", ""));
    uint16_t first;
    std::memcpy(&first, set.pixels.data(), 2);
    EXPECT_EQ(first, 16384);  // a quarter of 65535
    for (const char* file : {"set.h5", "set.h5.import.json"}) {
        const auto bytes = read_bytes(folder_ / file);
        const std::string text(bytes.begin(), bytes.end());
        for (const char* secret : {"MRN-17", "SECRET"}) EXPECT_EQ(text.find(secret), std::string::npos) << file << secret;
    }
    const auto account = read_bytes(folder_ / "set.h5.import.json");
    EXPECT_THAT(std::string(account.begin(), account.end()), HasSubstr("LINEAR_EXACT 2048/4096; as stored; 12 bits stored"));
}

TEST_F(ImportDicom, HashesPatientsByTheKey) {
    add("a/1.dcm", "MRN-17", 1024);
    add("b/2.dcm", "MRN-18", 2048);
    const auto groups = [&](const std::string& key, bool keep) {
        ImportOptions options;
        options.patient_key = key;
        options.keep_ids = keep;
        import(options);
        return read_h5_records(folder_ / "set.h5").groups;
    };
    const auto own = groups("", false), again = groups("", false), keyed = groups("a secret key", false);
    EXPECT_EQ(own, again);
    EXPECT_NE(own, keyed);
    EXPECT_THAT(groups("", true), ElementsAre("MRN-17", "MRN-18"));
    add("a/3.dcm", "MRN-19", 5);  // another key of its own files, the same where it is given
    EXPECT_NE(groups("", false)[0], own[0]);
    EXPECT_EQ(groups("a secret key", false)[0], keyed[0]);
}

TEST_F(ImportDicom, TakesEveryFrameInOrder) {
    add("a/1.dcm", "P", 100);
    add("a/2.dcm", "", 1000, 70);
    add("a/3.dcm", "P", 200);
    add("b/4.dcm", "Q", 300);
    for (const int threads : {1, 3}) {
        ImportOptions options;
        options.threads = threads;
        const ImportReport report = import(options);
        EXPECT_EQ(report.images, 73);
        EXPECT_EQ(report.files_imported, 4);
        EXPECT_EQ(report.duplicates, 0);
        const ImageSet set = read_h5(folder_ / "set.h5");
        EXPECT_EQ(set.records.ids[1], "a/2.dcm");
        EXPECT_EQ(set.records.ids[70], "a/2.dcm[69]");
        EXPECT_EQ(set.records.ids[71], "a/3.dcm");
        uint16_t last_frame;
        std::memcpy(&last_frame, set.pixels.data() + 70 * set.image_bytes(), 2);
        EXPECT_EQ(last_frame, 17104);  // 1069 of 4096 parts of 65535
        EXPECT_THAT(std::vector(set.records.groups.begin() + 1, set.records.groups.begin() + 71), Each("a/2.dcm"));
        EXPECT_THAT(std::vector(set.records.splits.begin() + 1, set.records.splits.begin() + 71),
                    Each(set.records.splits[1]));
    }
}

TEST_F(ImportDicom, QuarantinesWithTheReason) {
    add("a/1.dcm", "P", 100);
    add("b/2.dcm", "Q", 100);
    GrayDicom flat{.rows = 4, .columns = 4};
    flat.slope = flat.intercept = "0";
    folder_.write("src/a/flat.dcm", flat.bytes(std::vector<int>(16, 1)));
    const ImportReport report = import();
    ASSERT_EQ(report.quarantined.size(), 1u);
    EXPECT_THAT(report.quarantined[0].reason, HasSubstr("rescale slope of 0"));
}

}  // namespace
}  // namespace xbench
