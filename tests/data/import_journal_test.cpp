// An import that is killed goes on where it was, and ends with the bytes of one that was not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "core/error.h"
#include "data/import/import.h"
#include "data/import/journal.h"
#include "image_files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Killed : std::runtime_error {
    Killed() : std::runtime_error("killed") {}
};

class Journal : public testing::Test {
protected:
    void add_images(int count) const {
        for (int i = 0; i < count; ++i) {
            const std::string name = std::string(i % 2 == 0 ? "a/" : "b/") + std::to_string(1000 + i) + ".png";
            folder.write("src/" + name, gray_png(8 + i % 3, 8, static_cast<uint8_t>(i)));
        }
        folder.write("src/a/broken.png", std::string("no image"));
    }
    ImportOptions options(int64_t journal_from = 1) const {
        ImportOptions options;
        options.source = folder / "src";
        options.out = folder / "set.h5";
        options.size = 8;
        options.threads = 1;  // windows of 64 files
        options.journal_from = journal_from;
        return options;
    }
    std::vector<uint8_t> bytes(const std::string& file) const { return read_bytes(folder / file); }
    // Ends the import as a kill would, before it has told of more than `files`.
    void kill_after(const ImportOptions& wanted, int64_t files) const {
        fs::remove(folder / "set.h5");
        EXPECT_THROW(import_images(wanted,
                                   [&](const ImportProgress& progress) {
                                       if (progress.done >= files) throw Killed();
                                   }),
                     Killed);
        EXPECT_FALSE(fs::exists(folder / "set.h5"));
    }
    TemporaryFolder folder;
};

TEST_F(Journal, GoesOnWithTheSameBytes) {
    add_images(400);
    import_images(options(1'000'000));
    const auto whole = bytes("set.h5"), account = bytes("set.h5.import.json");
    EXPECT_FALSE(fs::exists(folder / "set.h5.import-journal"));
    fs::remove(folder / "set.h5");
    kill_after(options(), 128);
    ASSERT_TRUE(fs::exists(folder / "set.h5.import-journal"));
    ImportOptions other = options();
    other.threads = 3;  // other windows
    const ImportReport report = import_images(other);
    EXPECT_GE(report.resumed, 128);
    EXPECT_LT(report.resumed, 401);
    EXPECT_EQ(bytes("set.h5"), whole);
    EXPECT_EQ(bytes("set.h5.import.json"), account);
    EXPECT_FALSE(fs::exists(folder / "set.h5.import-journal"));
}

TEST_F(Journal, BelievesNothingThatChanged) {
    add_images(300);
    kill_after(options(), 128);
    folder.write("src/a/1002.png", gray_png(8, 8, 200));  // among the first: what comes behind it is decoded again
    const ImportReport report = import_images(options());
    EXPECT_LE(report.resumed, 2);
    kill_after(options(), 128);
    folder.write("src/a/0001.png", gray_png(8, 8, 9));  // another list
    EXPECT_EQ(import_images(options()).resumed, 0);
    kill_after(options(), 128);
    ImportOptions larger = options();
    larger.size = 16;
    EXPECT_EQ(import_images(larger).resumed, 0);
}

TEST_F(Journal, BelievesNoDamagedRecord) {
    add_images(300);
    import_images(options(1'000'000));
    const auto whole = bytes("set.h5");
    fs::remove(folder / "set.h5");
    kill_after(options(), 128);
    const auto good = bytes("set.h5.import-journal");
    for (const size_t place : {good.size() / 2, good.size() - 1, size_t{40}, size_t{3}}) {
        auto changed = good;
        changed[place] ^= 1;
        folder.write("set.h5.import-journal", changed);
        EXPECT_LT(import_images(options()).resumed, 192);
        EXPECT_EQ(bytes("set.h5"), whole) << place;
        fs::remove(folder / "set.h5");
    }
    for (const size_t keep : {size_t{0}, size_t{10}, size_t{50}, good.size() - 5}) {
        folder.write("set.h5.import-journal", std::vector<uint8_t>(good.begin(), good.begin() + static_cast<long>(keep)));
        import_images(options());
        EXPECT_EQ(bytes("set.h5"), whole) << keep;
        fs::remove(folder / "set.h5");
    }
}

TEST_F(Journal, RemovesWhatKilledImportsLeft) {
    add_images(10);
    const std::string living = "set.h5.tmp." + std::to_string(::getppid());
    const std::vector<std::string> kept{living, "set.h5.tmp.mine", "other.h5.tmp.999999999", "set.h5.tmp.", "set.h5.tmp.-5"};
    folder.write("set.h5.tmp.999999999", std::string("half a set"));
    for (const std::string& name : kept) folder.write(name, std::string("not ours"));
    import_images(options());
    EXPECT_FALSE(fs::exists(folder / "set.h5.tmp.999999999"));
    for (const std::string& name : kept) EXPECT_TRUE(fs::exists(folder / name)) << name;
}

TEST_F(Journal, SixteenBitsBeginAnew) {
    add_images(200);
    folder.write("src/b/9999.png", encode_png({8, 8, 16}, std::vector<uint8_t>(128, 77)));
    import_images(options(1'000'000));
    const auto whole = bytes("set.h5");
    fs::remove(folder / "set.h5");
    kill_after(options(), 64);
    import_images(options());
    EXPECT_EQ(bytes("set.h5"), whole);
}

TEST_F(Journal, IsOfOneImportAtATime) {
    add_images(10);
    const ImportOptions wanted = options();
    const ImportJournal other(wanted, list_images(wanted));
    std::string said = "accepted";
    try {
        import_images(wanted);
    } catch (const Error& error) {
        said = error.what();
    }
    EXPECT_THAT(said, HasSubstr("another import is writing this set"));
}

}  // namespace
}  // namespace xbench
