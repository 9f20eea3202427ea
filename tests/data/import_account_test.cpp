// Every file below a source is imported, quarantined or ignored under a named rule, and the counts add up: rules one by one,
// then random trees.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <fmt/core.h>

#include "core/error.h"
#include "core/json.h"
#include "core/utf8.h"
#include "data/import/folder_walk.h"
#include "data/import/import.h"
#include "data/import/import_list.h"
#include "data/set/h5.h"
#include "import_fixture.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Account : public ImportFixture {
protected:
    Json account() const {
        const auto bytes = read_bytes(folder / "set.h5.import.json");
        return Json::parse(bytes.begin(), bytes.end());
    }
    size_t left_behind() const {  // beside src
        return static_cast<size_t>(std::distance(fs::directory_iterator(folder.string()), {})) - 1;
    }
};

// What `find` would count: everything that is no folder, links to folders followed.
int64_t entries_below(const fs::path& folder) {
    int64_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder)) count += entry.is_directory() ? entries_below(entry.path()) : 1;
    return count;
}

void expect_sum(const ImportReport& report, const fs::path& source) {
    EXPECT_EQ(report.files_met, entries_below(source));
    EXPECT_EQ(report.files_met,
              report.files_imported + report.files_quarantined + static_cast<int64_t>(report.ignored.size()));
}

TEST_F(Account, NamesTheRuleOfEachFileLeftOut) {
    add("A/1.png"), add("B/2.png");
    for (const char* name :
         {"lost+found/x.png", "@eaDir/x/thumb.png", "$RECYCLE.BIN/x.png", "System Volume Information/x.png",
          "A/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/A/1.png", "A/Thumbs.db", "#recycle/x.png"})
        add(name);
    for (const char* name : {".hidden/x.png", "A/.DS_Store", "B/._2.png"}) add(name);
    add("README.png");
    const ImportReport report = import_images(options());
    EXPECT_THAT(report.class_names, ElementsAre("A", "B"));
    std::map<std::string, int> rules;
    for (const auto& entry : report.ignored) ++rules[entry.rule];
    EXPECT_EQ(rules[rule_system], 8);
    EXPECT_EQ(rules[rule_hidden], 3);
    EXPECT_EQ(rules[rule_beside], 1);
    expect_sum(report, folder / "src");
    const Json json = account();
    EXPECT_EQ(json["files"]["met"], 14);
    EXPECT_EQ(json["files"]["imported"], 2);
    EXPECT_EQ(json["files"]["quarantined"], 0);
    EXPECT_EQ(json["files"]["ignored"], 12);
    EXPECT_EQ(json["ignored"][rule_system]["files"], 8);
}

TEST_F(Account, FollowsLinksButNotInCircles) {
    add("A/1.png", 1), add("B/2.png", 2);
    folder.write("elsewhere/3.png", gray_png(4, 4, 3));
    fs::create_directory_symlink("../../elsewhere", folder / "src/B/more");
    fs::create_symlink("../../elsewhere/3.png", folder / "src/A/linked.png");
    fs::create_directory_symlink("..", folder / "src/A/up");
    fs::create_symlink("nothing", folder / "src/A/broken.png");
    const ImportReport report = import_images(options());
    EXPECT_EQ(report.images, 4);
    EXPECT_EQ(report.links_followed, 1);
    ASSERT_EQ(report.quarantined.size(), 1u);
    EXPECT_EQ(report.quarantined[0].path, "A/broken.png");
    ASSERT_EQ(report.ignored.size(), 1u);
    EXPECT_EQ(report.ignored[0].rule, rule_loop);
    EXPECT_EQ(report.files_met, 6);
    EXPECT_EQ(report.files_imported, 4);
}

TEST_F(Account, GoesOnBehindAFolderThatCannotBeListed) {
    for (const char* name : {"A/1.png", "B/closed/x.png", "B/2.png", "C/3.png", "lost+found/x"}) add(name);
    ::chmod((folder / "src/B/closed").c_str(), 0);
    ::chmod((folder / "src/lost+found").c_str(), 0);
    ::chmod(folder.string().c_str(), 0755);
    const bool root = ::geteuid() == 0;  // who may read everything: the walk runs as somebody else
    if (root && ::seteuid(65534) != 0) {
        ::chmod((folder / "src/B/closed").c_str(), 0755);
        ::chmod((folder / "src/lost+found").c_str(), 0755);
        GTEST_SKIP() << "this root can read everything and become nobody else";
    }
    const FolderWalk walk = walk_folder(folder / "src");
    ASSERT_EQ(root ? ::seteuid(0) : 0, 0);
    ::chmod((folder / "src/B/closed").c_str(), 0755);
    ::chmod((folder / "src/lost+found").c_str(), 0755);
    EXPECT_THAT(walk.files, ElementsAre("A/1.png", "B/2.png", "C/3.png"));
    ASSERT_EQ(walk.unreadable.size(), 2u);
    EXPECT_EQ(walk.unreadable[0].path, "B/closed");
    EXPECT_THAT(walk.unreadable[0].reason, HasSubstr("Permission denied"));
    EXPECT_EQ(walk.unreadable[1].path, "lost+found");
}

TEST_F(Account, TakesNamesThatAreNotUtf8) {
    add("L\xe9sion/i\xe9.png", 1), add("normal/2.png", 2), add("normal/a\\b.png", 3);
    const ImportReport report = import_images(options());
    EXPECT_THAT(report.class_names, ElementsAre("L\\xE9sion", "normal"));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("not UTF-8")));
    const SetRecords records = read_h5_records(folder / "set.h5");
    ASSERT_EQ(records.ids.size(), 3u);
    EXPECT_EQ(unescape_bytes(records.ids[0]), "L\xe9sion/i\xe9.png");
    EXPECT_EQ(records.ids[2], "normal/a\\\\b.png");
    EXPECT_EQ(account()["classes"][0]["name"], "L\\xE9sion");
    ImportOptions chosen = options();
    chosen.out = folder / "s\xe9t.h5";
    EXPECT_THAT(refusal(chosen), HasSubstr("s\\xE9t.h5: the name is not UTF-8"));
}

TEST_F(Account, NotesWhatAUserShouldKnowOfThePixels) {
    std::vector<uint8_t> twelve_bits;
    for (int i = 0; i < 16; ++i) twelve_bits.insert(twelve_bits.end(), {0x0F, 0xFF});
    folder.write("src/A/deep.png", encode_png({4, 4, 16}, twelve_bits));
    auto turned = gray_jpeg(16, 16, 9);
    const std::string exif(
        "\xff\xe1\x00\x22"
        "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
        36);
    turned.insert(turned.begin() + 2, exif.begin(), exif.end());
    folder.write("src/B/turned.jpg", turned);
    auto junk = gray_jpeg(16, 16, 9);
    junk.insert(junk.begin() + 20, {0, 1, 2, 3});  // behind the JFIF segment
    folder.write("src/B/junk.jpg", junk);
    const ImportReport report = import_images(options());
    EXPECT_EQ(report.images, 3);
    EXPECT_EQ(report.rotated, 1);
    EXPECT_EQ(report.decoder_warnings, 1);
    EXPECT_THAT(report.notes, Contains(HasSubstr("1 file with an EXIF orientation")));
    EXPECT_THAT(report.notes, Contains(HasSubstr("1 JPEG file read in full")));
    EXPECT_THAT(report.notes, Contains(HasSubstr("12 bits only (largest value 4095)")));
}

TEST_F(Account, WarnsOfAValSplitTooSmallAndDrawsItAnew) {
    for (int i = 0; i < 100; ++i) add(fmt::format("train/{}/{}.png", i % 2 ? "a" : "b", i), i);
    for (int i = 0; i < 4; ++i)
        add(fmt::format("val/{}/{}.png", i % 2 ? "a" : "b", i), 100 + i),
            add(fmt::format("test/{}/{}.png", i % 2 ? "a" : "b", i), 200 + i);
    EXPECT_THAT(import_images(options()).warnings, Contains(HasSubstr("4 images in val are too few")));
    ImportOptions chosen = options();
    chosen.val_share = 0.25;
    EXPECT_THAT(import_images(chosen).split_counts, ElementsAre(78, 26, 4));
    chosen.val_share.reset();
    chosen.shares = SplitShares{0.5, 0.25, 0.25};
    EXPECT_THAT(import_images(chosen).split_counts, ElementsAre(54, 28, 26));
}

TEST_F(Account, TriesItsOutputsFirstAndLeavesNothing) {
    for (int i = 0; i < 200; ++i) add((i % 2 ? "a/" : "b/") + std::to_string(i) + ".png", i);
    ImportOptions chosen = options();
    chosen.threads = 1;
    const auto stop = [](const ImportProgress&) { throw Error("stopped"); };
    EXPECT_THROW(import_images(chosen, stop), Error);
    EXPECT_EQ(left_behind(), 0u);
    bool decoded = false;
    const auto watch = [&](const ImportProgress&) { decoded = true; };
    for (const std::string& out : {folder.string() + "/", folder / "src", folder / "no/set.h5", std::string()}) {
        chosen.out = out;
        EXPECT_THROW(import_images(chosen, watch), Error) << out;
    }
    fs::create_symlink("somewhere", folder / "link.h5");
    chosen.out = folder / "link.h5";
    EXPECT_THROW(import_images(chosen, watch), UsageError);
    if (::mknod((folder / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) {
        chosen.out = folder / "null";
        EXPECT_THROW(import_images(chosen, watch), UsageError);
        EXPECT_TRUE(fs::is_character_file(folder / "null"));
        fs::remove(folder / "null");
    }
    // A side file that cannot be written is as bad as the set itself.
    fs::create_directory(folder / "set.h5.import.json");
    EXPECT_THROW(import_images(options(), watch), UsageError);
    EXPECT_FALSE(decoded);
    EXPECT_EQ(left_behind(), 2u);  // the link and the folder
}

TEST_F(Account, CarriesBoxesIntoTheSet) {
    folder.write("src/wide.png", gray_png(16, 4, 1));
    add("plain.png");
    ImportList list;
    list.has_boxes = true;
    list.class_names = {"none", "mass"};
    list.items = {{"plain.png", 0, {0}, Split::test, "", {}}, {"wide.png", 0, {1}, Split::train, "", {{1, 8, 1, 4, 2}}}};
    list.files = 2;
    import_list(options(), list);
    const auto set = open_h5(folder / "set.h5");
    ASSERT_TRUE(set->has_boxes());
    EXPECT_TRUE(set->boxes(0).empty());
    ASSERT_EQ(set->boxes(1).size(), 1u);
    EXPECT_EQ(set->boxes(1)[0], (Box{1, 4, 2, 2, 4}));  // 16x4 became 8x8
    list.items[1].frame = 3;
    EXPECT_THAT(import_list(options(), list).quarantined.at(0).reason, HasSubstr("holds one image"));
}

TEST_F(Account, TakesOneFileWithoutLabelsByItsName) {
    add("one image.png", 7);
    ImportOptions chosen = options();
    chosen.source = folder / "src/one image.png";
    chosen.side_files = false;
    EXPECT_EQ(import_unlabelled(chosen).images, 1);
    EXPECT_THAT(read_h5_records(folder / "set.h5").ids, ElementsAre("one image.png"));
    EXPECT_EQ(left_behind(), 1u);
}

// A tree of everything that can lie on a disk. The walk and the import must account for each entry, or refuse the tree by
// naming a folder of it.
class RandomTree {
public:
    RandomTree(const fs::path& root, uint64_t seed) : random_(seed) {
        const size_t classes = 2 + pick(3);
        for (size_t k = 0; k < classes; ++k) {
            const fs::path place = root / (name() + std::to_string(k));
            fs::create_directories(place);
            file(place / "sure.png", 0);
            fill(place, 3);
        }
        if (pick(2)) file(root / "notes.txt", 2);
        if (pick(2)) fill(root / special(), 2);
    }

private:
    size_t pick(size_t below) { return random_() % below; }
    std::string name() {
        static const std::vector<std::string> names{"a b", "ä",          "L\xe9",       "x.y",       "新", "-",
                                                    "'q'", "semi;colon", "back\\slash", "new\nline", "%20"};
        return names[pick(names.size())] + std::to_string(pick(1000));
    }
    std::string special() {
        static const std::vector<std::string> names{"@eaDir", "lost+found", ".git", "__MACOSX", "System Volume Information"};
        return names[pick(names.size())];
    }
    void file(const fs::path& path, size_t kind) {
        if (fs::exists(fs::symlink_status(path))) return;
        const auto put = [&](const std::vector<uint8_t>& bytes) {
            std::ofstream(path, std::ios::binary)
                .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        };
        if (kind == 0) put(gray_png(2, 2, static_cast<uint8_t>(pick(256))));
        if (kind == 1) put(gray_jpeg(8, 8, static_cast<uint8_t>(pick(256))));
        if (kind == 2) put({'t', 'e', 'x', 't'});
        if (kind == 3) put({});
        if (kind == 4) fs::create_symlink("sure.png", path);
        if (kind == 5) fs::create_symlink("nothing at all", path);
        if (kind == 6) ::mkfifo(path.c_str(), 0600);
        if (kind == 7) fs::create_directory_symlink(pick(2) ? ".." : ".", path);
    }
    void fill(const fs::path& place, int depth) {
        fs::create_directories(place);
        for (size_t n = pick(6); n > 0; --n) {
            if (depth > 0 && pick(4) == 0)
                fill(place / (pick(4) == 0 ? special() : name()), depth - 1);
            else
                file(place / ((pick(8) == 0 ? "." : "") + name() + (pick(2) ? ".png" : "")), pick(8));
        }
    }
    std::mt19937_64 random_;
};

// Everything that is no folder, without following links.
std::set<std::string> names_below(const fs::path& root) {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (!fs::is_directory(entry.symlink_status())) names.insert(entry.path().lexically_relative(root).string());
    }
    return names;
}

TEST_F(Account, AddsUpForRandomTrees) {
    const char* given = std::getenv("XB_SEED");
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
    RecordProperty("seed", std::to_string(seed));
    for (uint64_t round = 0; round < 40; ++round) {
        SCOPED_TRACE(fmt::format("XB_SEED={}", seed + round));
        const TemporaryFolder tree;
        RandomTree(tree / "src", seed + round);
        ImportOptions chosen;
        chosen.source = tree / "src";
        chosen.out = tree / "set.h5";
        chosen.size = 4;
        chosen.split_folders = false;
        const ImportReport report = import_images(chosen);
        std::multiset<std::string> accounted;
        const SetRecords records = read_h5_records(chosen.out);
        for (const std::string& id : records.ids) accounted.insert(unescape_bytes(id));
        for (const auto& entry : report.quarantined) accounted.insert(unescape_bytes(entry.path));
        for (const auto& entry : report.ignored) accounted.insert(unescape_bytes(entry.path));
        const auto names = names_below(chosen.source);
        EXPECT_EQ(std::vector<std::string>(accounted.begin(), accounted.end()),
                  std::vector<std::string>(names.begin(), names.end()));
        EXPECT_EQ(report.files_met, static_cast<int64_t>(names.size()));
        const auto bytes = read_bytes(tree / "set.h5.import.json");
        const Json files = Json::parse(bytes.begin(), bytes.end())["files"];
        EXPECT_EQ(files["met"].get<size_t>(), names.size());
        EXPECT_EQ(files["imported"].get<size_t>() + files["quarantined"].get<size_t>() + files["ignored"].get<size_t>(),
                  names.size());
        // The same tree without labels, as predict reads it.
        chosen.out = tree / "images.h5";
        chosen.side_files = false;
        const ImportReport unlabelled = import_unlabelled(chosen);
        EXPECT_EQ(unlabelled.files_met, unlabelled.files_imported + unlabelled.files_quarantined +
                                            static_cast<int64_t>(unlabelled.ignored.size()));
        EXPECT_EQ(unlabelled.files_met, report.files_met);
    }
}

}  // namespace
}  // namespace xbench
