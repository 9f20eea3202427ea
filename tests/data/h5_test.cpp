// The HDF5 set: what is written is read; what is broken, foreign or hostile is refused with file, place and remedy.
#include "data/set/h5.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/error.h"
#include "data/load/loader.h"
#include "data/set/memory_dataset.h"
#include "image_files.h"

namespace xbench {
namespace {

ImageSet small_set(int bytes_per_pixel = 1, bool multilabel = false) {
    ImageSet set;
    SetRecords& records = set.records;
    records.info = {"somewhere", 5, 2, 3, 4, bytes_per_pixel, {"äpfel", "pears"}, multilabel};
    if (multilabel)
        records.targets = {0, 0, 1, 0, 0, 1, 1, 1, 0, 0};
    else
        records.labels = {0, 1, 1, 0, 1};
    records.splits = {0, 0, 1, 2, 0};
    records.ids = {"a.png", "a longer name.png", "", "ü", "e"};
    records.groups = {"p1", "p1", "p2", "p3", "p4"};
    records.boxes = {{1, 2, 3, 4, 5}, {1, 0, 0, 1.5f, 2}};
    records.box_offsets = {0, 1, 1, 2, 2, 2};
    records.created_by = "h5_test";
    for (size_t i = 0; i < 5 * set.image_bytes(); ++i) set.pixels.push_back(static_cast<uint8_t>(i * 7));
    return set;
}

std::string refusal(const std::string& path) {
    try {
        open_h5(path);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

TEST(H5, ReadsWhatItWrote) {
    const TemporaryFolder folder;
    for (const bool multilabel : {false, true}) {
        for (const int bytes : {1, 2}) {
            ImageSet set = small_set(bytes, multilabel);
            write_h5(folder / "set.h5", set);
            const ImageSet back = read_h5(folder / "set.h5");
            EXPECT_EQ(back.pixels, set.pixels);
            EXPECT_EQ(back.records.labels, set.records.labels);
            EXPECT_EQ(back.records.targets, set.records.targets);
            EXPECT_EQ(back.records.splits, set.records.splits);
            EXPECT_EQ(back.records.ids, set.records.ids);
            EXPECT_EQ(back.records.groups, set.records.groups);
            EXPECT_EQ(back.records.boxes, set.records.boxes);
            EXPECT_EQ(back.records.box_offsets, set.records.box_offsets);
            EXPECT_EQ(back.records.created_by, "h5_test");
            EXPECT_EQ(back.records.info.class_names, set.records.info.class_names);
            EXPECT_EQ(back.records.info.bytes_per_pixel, bytes);
            EXPECT_EQ(back.records.info.multilabel, multilabel);
            EXPECT_EQ(back.records.pixel_mean, set.records.pixel_mean);
        }
    }
}

// The library compares them when it reads: odd sizes, sums that run over, nothing but zeros.
TEST(H5, ChecksumsAreTheLibrarys) {
    const TemporaryFolder folder;
    for (const int64_t side : {1, 3, 19, 27, 64, 1000}) {
        for (const int bytes : {1, 2}) {
            for (const int value : {0, 255, -1}) {
                ImageSet set;
                set.records.info = {"somewhere", 2, 1, side, side, bytes, {"a", "b"}, false};
                set.records.labels = {0, 1};
                set.records.splits = {0, 0};
                set.records.ids = {"a", "b"};
                for (size_t i = 0; i < 2 * set.image_bytes(); ++i)
                    set.pixels.push_back(static_cast<uint8_t>(value < 0 ? i * i * 31 + i / 7 : static_cast<size_t>(value)));
                write_h5(folder / "set.h5", set);
                EXPECT_EQ(read_h5(folder / "set.h5").pixels, set.pixels) << side << ' ' << bytes << ' ' << value;
            }
        }
    }
}

TEST(H5, CountsPixelStatisticsOverTheTrainingImages) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    std::fill(set.pixels.begin(), set.pixels.end(), uint8_t{255});
    const size_t plane = 12;
    std::fill_n(set.pixels.begin(), plane, uint8_t{0});               // channel 0 of image 0, which is in train
    std::fill_n(set.pixels.begin() + 2 * 2 * 12, plane, uint8_t{0});  // channel 0 of image 2, which is not
    write_h5(folder / "set.h5", set);
    const SetRecords records = read_h5_records(folder / "set.h5");
    EXPECT_NEAR(records.pixel_mean.at(0), 2.0 / 3, 1e-12);
    EXPECT_NEAR(records.pixel_std.at(0), std::sqrt(2.0) / 3, 1e-12);
    EXPECT_NEAR(records.pixel_mean.at(1), 1, 1e-12);
    EXPECT_NEAR(records.pixel_std.at(1), 0, 1e-7);
}

TEST(H5, GivesTheSameFromFileAsFromMemory) {
    const TemporaryFolder folder;
    ImageSet set = small_set(2);
    write_h5(folder / "set.h5", set);
    const auto in_memory = open_h5(folder / "set.h5"), in_file = open_h5(folder / "set.h5", 0);
    EXPECT_EQ(in_memory->digest(), in_file->digest());
    EXPECT_EQ(in_memory->digest(), MemoryDataset(set).digest());
    const std::vector<int64_t> wanted{4, 0, 2};
    std::vector<float> a(3 * 24), b(3 * 24);
    in_memory->read(wanted, a.data());
    in_file->read(wanted, b.data());
    EXPECT_EQ(a, b);
    uint16_t first;
    std::memcpy(&first, set.pixels.data() + 4 * set.image_bytes(), 2);
    EXPECT_EQ(a[0], static_cast<float>(first) / 65535.0f);
}

TEST(H5, WritesTheSameBytesTwice) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    write_h5(folder / "a.h5", set);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // times are stored in seconds, if at all
    write_h5(folder / "b.h5", set);
    EXPECT_EQ(read_bytes(folder / "a.h5"), read_bytes(folder / "b.h5"));
}

TEST(H5, LeavesNothingBehindWhenItIsNotFinished) {
    const TemporaryFolder folder;
    {
        const ImageSet set = small_set();
        H5Writer writer(folder / "set.h5", set.records.info);
        writer.append(set.pixels);
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder.string()));
    EXPECT_THROW(H5Writer("/no/such/folder/set.h5", small_set().records.info), Error);
}

TEST(H5, ShrinksToWhatWasAppended) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    set.records.info.count = 100;
    write_h5(folder / "set.h5", set);
    EXPECT_EQ(open_h5(folder / "set.h5")->info().count, 5);
}

TEST(H5, SaysWhatIsWrong) {
    const TemporaryFolder folder;
    EXPECT_THAT(refusal(folder / "none.h5"), testing::HasSubstr("no such file"));
    folder.write("text.h5", std::string("this is not HDF5"));
    EXPECT_THAT(refusal(folder / "text.h5"),
                testing::AllOf(testing::HasSubstr("text.h5"), testing::HasSubstr("not a readable HDF5 file")));
    EXPECT_THAT(refusal(folder.string()), testing::HasSubstr("not a file"));
    ImageSet set = small_set();
    set.records.labels[3] = 7;
    write_h5(folder / "labels.h5", set);
    EXPECT_THAT(refusal(folder / "labels.h5"), testing::HasSubstr("labels.h5:/labels: have 8 classes, class_names has 2"));
    set = small_set();
    set.records.splits[1] = 3;
    write_h5(folder / "split.h5", set);
    EXPECT_THAT(refusal(folder / "split.h5"), testing::HasSubstr("/split"));
    set = small_set();
    set.records.box_offsets = {0, 2, 1, 2, 2, 2};
    write_h5(folder / "boxes.h5", set);
    EXPECT_THAT(refusal(folder / "boxes.h5"), testing::HasSubstr("/box_offsets"));
}

// A changed pixel is found by its checksum; a file that was cut off anywhere is refused or read, and never crashes.
TEST(H5, FindsDamage) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    write_h5(folder / "set.h5", set);
    const auto good = read_bytes(folder / "set.h5");
    auto damaged = good;
    const auto at = std::search(damaged.begin(), damaged.end(), set.pixels.begin(), set.pixels.begin() + 24);
    ASSERT_NE(at, damaged.end());
    *at ^= 1;
    folder.write("damaged.h5", damaged);
    EXPECT_THAT(refusal(folder / "damaged.h5"), testing::HasSubstr("/images"));
    for (size_t part = 0; part < 16; ++part) {
        folder.write("cut.h5",
                     std::vector<uint8_t>(good.begin(), good.begin() + static_cast<long>(good.size() * part / 16)));
        EXPECT_NE(refusal(folder / "cut.h5"), "accepted");
    }
}

// Whatever bit of a set is turned over: it is refused, or nothing that is read from it changes.
TEST(H5, NoticesEveryBitThatMatters) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    write_h5(folder / "set.h5", set);
    const auto good = read_bytes(folder / "set.h5");
    const ImageSet before = read_h5(folder / "set.h5");
    uint32_t state = 1;
    int refused = 0;
    for (int round = 0; round < 250; ++round) {
        auto damaged = good;
        state = state * 1664525 + 1013904223;
        const size_t at = (state >> 4) % damaged.size();
        damaged[at] ^= static_cast<uint8_t>(1 << (round % 8));
        folder.write("set.h5", damaged);
        try {
            const ImageSet after = read_h5(folder / "set.h5");
            EXPECT_EQ(after.pixels, before.pixels) << at;
            EXPECT_EQ(after.records.labels, before.records.labels) << at;
            EXPECT_EQ(after.records.splits, before.records.splits) << at;
            EXPECT_EQ(after.records.ids, before.records.ids) << at;
            EXPECT_EQ(after.records.groups, before.records.groups) << at;
            EXPECT_EQ(after.records.boxes, before.records.boxes) << at;
            EXPECT_EQ(after.records.info.class_names, before.records.info.class_names) << at;
            EXPECT_EQ(after.records.pixel_mean, before.records.pixel_mean) << at;
        } catch (const Error& error) {
            ++refused;
            const std::string words = error.what();
            for (const char* word : {"H5", "errno", "B-tree", "object header"})
                EXPECT_EQ(words.substr(words.find("set.h5") + 6).find(word), std::string::npos) << words;
        }
    }
    EXPECT_GT(refused, 20);
}

TEST(H5, TakesAnyNumberOfLongClassNames) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    std::vector<std::string>& names = set.records.info.class_names;
    names.clear();
    for (int k = 0; k < 2000; ++k) names.push_back("class " + std::to_string(k) + std::string(k == 7 ? 4000 : 60, 'x'));
    write_h5(folder / "set.h5", set);
    EXPECT_EQ(open_h5(folder / "set.h5")->info().class_names, names);
}

TEST(H5, RefusesClassesThatCannotBeToldApart) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    set.records.info.class_names = {"a", "a"};
    EXPECT_THROW(write_h5(folder / "set.h5", set), Error);
    set.records.info.class_names = {"a", ""};
    EXPECT_THROW(write_h5(folder / "set.h5", set), Error);
    EXPECT_TRUE(std::filesystem::is_empty(folder.string()));
}

TEST(H5, SaysThatAnotherProcessIsWriting) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    write_h5(folder / "set.h5", set);
    const int file = ::open((folder / "set.h5").c_str(), O_RDONLY);
    ASSERT_EQ(::flock(file, LOCK_EX | LOCK_NB), 0);  // as HDF5 does it
    EXPECT_THAT(refusal(folder / "set.h5"), testing::HasSubstr("is open for writing in another process"));
    ::close(file);
    EXPECT_EQ(refusal(folder / "set.h5"), "accepted");
}

TEST(H5, GivesBoxesToTheLoader) {
    ImageSet set = small_set();
    const MemoryDataset dataset(set);
    LoaderOptions options;
    options.batch_size = 3;
    options.virtual_ranks = 1;
    options.shuffle = false;
    Loader loader(dataset, options);
    loader.start_epoch(0);
    const Batch* batch = loader.next();
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->sample_ids, (std::vector<int64_t>{0, 1, 4}));
    EXPECT_EQ(batch->box_offsets, (std::vector<int64_t>{0, 1, 1, 1}));
    EXPECT_EQ(batch->boxes, (std::vector<Box>{{1, 2, 3, 4, 5}}));
}

TEST(H5, SurvivesRandomDamage) {
    const TemporaryFolder folder;
    ImageSet set = small_set();
    write_h5(folder / "set.h5", set);
    const auto good = read_bytes(folder / "set.h5");
    uint32_t state = 1;
    for (int round = 0; round < 60; ++round) {
        auto damaged = good;
        for (int change = 0; change < 4; ++change) {
            state = state * 1664525 + 1013904223;
            damaged[(state >> 8) % damaged.size()] = static_cast<uint8_t>(state >> 24);
        }
        folder.write("fuzzed.h5", damaged);
        refusal(folder / "fuzzed.h5");
    }
}

}  // namespace
}  // namespace xbench
