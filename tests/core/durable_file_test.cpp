// Files appear whole or not at all, and nothing but a regular file is ever replaced. Device nodes are made in the test's own
// folder; the machine's are never touched.
#include "core/durable_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "core/error.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

class DurableFiles : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "xbench_durable_XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder = name;
    }
    void TearDown() override { fs::remove_all(folder); }
    static std::string text_of(const fs::path& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    size_t entries() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {})); }
    static std::string refusal(const fs::path& path) {
        std::string said;
        for (const bool tried_only : {true, false}) {
            try {
                tried_only ? try_output(path) : write_durably(path, "new");
                return "accepted";
            } catch (const Error& error) {
                EXPECT_TRUE(said.empty() || said == error.what()) << error.what();
                said = error.what();
            }
        }
        return said;
    }
    fs::path folder;
};

TEST_F(DurableFiles, ReplacesARegularFileAndKeepsItsMode) {
    write_durably(folder / "a.txt", "old");
    ::chmod((folder / "a.txt").c_str(), 0440);
    write_durably(folder / "a.txt", "new");
    EXPECT_EQ(text_of(folder / "a.txt"), "new");
    struct stat status {};
    ::stat((folder / "a.txt").c_str(), &status);
    EXPECT_EQ(status.st_mode & 0777, 0440u);
    EXPECT_EQ(entries(), 1u);
}

TEST_F(DurableFiles, LeavesTheOldFileWithoutACommit) {
    write_durably(folder / "a.txt", "old");
    {
        DurableFile file(folder / "a.txt");
        file.write("half of the ");
        EXPECT_EQ(entries(), 2u);
    }
    EXPECT_EQ(text_of(folder / "a.txt"), "old");
    EXPECT_EQ(entries(), 1u);
}

TEST_F(DurableFiles, TriesAnOutputWithoutATrace) {
    try_output(folder / "a.txt");
    EXPECT_EQ(entries(), 0u);
}

TEST_F(DurableFiles, RefusesWhatIsNotARegularFile) {
    write_durably(folder / "target.txt", "old");
    fs::create_symlink("target.txt", folder / "link");
    fs::create_symlink("nowhere", folder / "dangling");
    fs::create_symlink("loop", folder / "loop");
    fs::create_directory(folder / "sub");
    ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
    EXPECT_NE(refusal(folder / "link").find("is a link to target.txt"), std::string::npos);
    EXPECT_NE(refusal(folder / "dangling").find("is a link to nowhere"), std::string::npos);
    EXPECT_NE(refusal(folder / "loop").find("is a link"), std::string::npos);
    EXPECT_NE(refusal(folder / "sub").find("is a folder"), std::string::npos);
    EXPECT_NE(refusal(folder / "sub/").find("names a folder"), std::string::npos);
    EXPECT_NE(refusal(folder / "pipe").find("is a pipe"), std::string::npos);
    EXPECT_NE(refusal("").find("no name"), std::string::npos);
    EXPECT_NE(refusal(folder / "missing" / "a.txt").find("No such file"), std::string::npos);
    EXPECT_EQ(text_of(folder / "target.txt"), "old");
    EXPECT_TRUE(fs::is_symlink(folder / "link"));
    EXPECT_TRUE(fs::is_symlink(folder / "dangling"));
    EXPECT_EQ(entries(), 6u);
}

TEST_F(DurableFiles, RefusesADeviceNode) {
    const fs::path node = folder / "null";
    if (::mknod(node.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) GTEST_SKIP() << "this user cannot make device nodes";
    EXPECT_NE(refusal(node).find("is a device"), std::string::npos);
    fs::create_symlink("null", folder / "link");
    EXPECT_NE(refusal(folder / "link").find("is a link to null"), std::string::npos);
    struct stat status {};
    ASSERT_EQ(::lstat(node.c_str(), &status), 0);
    EXPECT_TRUE(S_ISCHR(status.st_mode));
}

TEST_F(DurableFiles, LooksAgainBeforeItReplaces) {
    DurableFile file(folder / "a.txt");
    file.write("new");
    fs::create_symlink("elsewhere", folder / "a.txt");
    EXPECT_THROW(file.commit(), UsageError);
    EXPECT_TRUE(fs::is_symlink(folder / "a.txt"));
}

TEST_F(DurableFiles, TakesNamesAsLongAsTheFileSystemDoes) {
    write_durably(folder / std::string(250, 'n'), "new");
    EXPECT_EQ(text_of(folder / std::string(250, 'n')), "new");
}

}  // namespace
}  // namespace xbench
