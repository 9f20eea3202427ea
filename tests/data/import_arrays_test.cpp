// Sets in one file or a few: batches of CIFAR, arrays in an npz.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zip.h>

#include <cstring>

#include "data/import/npy.h"
#include "formats_fixture.h"

namespace xbench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

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
