// Files and folders by the standard library, and JSON by nlohmann's: what they refuse comes out as xbench::Error or as
// nothing.
#include "core/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "core/error.h"
#include "core/failure.h"
#include "core/json.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "/xb_files_XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        root_ = name;
        fs::create_directories(root_ / "folder" / "below");
        std::ofstream(root_ / "file") << "12345";
        fs::create_symlink("nowhere", root_ / "dangling");
        fs::create_symlink("loop", root_ / "loop");
    }
    void TearDown() override { fs::remove_all(root_); }
    fs::path root_;
};

// The words of an Error, "" where there is none.
template <class F>
std::string said_by(F&& call) {
    try {
        call();
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

TEST_F(Files, QuestionsHaveAnswers) {
    EXPECT_TRUE(path_exists(root_ / "file"));
    EXPECT_TRUE(path_exists(root_ / "folder"));
    EXPECT_FALSE(path_exists(root_ / "nothing"));
    EXPECT_FALSE(path_exists(root_ / "file" / "below a file"));
    EXPECT_FALSE(path_exists(root_ / "dangling"));
    EXPECT_FALSE(path_exists(root_ / "loop"));
    EXPECT_TRUE(is_folder(root_ / "folder"));
    EXPECT_FALSE(is_folder(root_ / "file"));
    EXPECT_FALSE(is_folder(root_ / "nothing"));
    EXPECT_EQ(file_bytes(root_ / "file"), 5u);
    EXPECT_EQ(list_folder(root_).size(), 4u);
    EXPECT_EQ(list_folder(root_).front(), root_ / "dangling");
}

TEST_F(Files, WhatFailsNamesPathReasonAndRemedy) {
    const std::string root = root_.string();
    EXPECT_EQ(said_by([&] { make_folders(root_ / "file" / "x"); }),
              root + "/file/x: cannot be made: Not a directory; name a folder that can be written");
    EXPECT_EQ(said_by([&] { remove_file(root_ / "folder"); }),
              root + "/folder: cannot be removed: Directory not empty; check the path and its permissions");
    EXPECT_EQ(said_by([&] { file_bytes(root_ / "nothing"); }),
              root + "/nothing: its size cannot be read: No such file or directory; check the path and its permissions");
    EXPECT_EQ(said_by([&] { list_folder(root_ / "nothing"); }),
              root + "/nothing: cannot be listed: No such file or directory; check the path and its permissions");
    EXPECT_EQ(said_by([&] { path_exists(root_ / std::string(300, 'n')); }).substr(root.size() + 301),
              ": cannot be looked at: File name too long; check the path and its permissions");
    EXPECT_NO_THROW(make_folders(root_ / "folder" / "below"));
    EXPECT_NO_THROW(remove_file(root_ / "nothing"));
    EXPECT_NO_THROW(remove_tree(root_ / "nothing"));
    remove_tree(root_ / "folder");
    EXPECT_FALSE(path_exists(root_ / "folder"));
}

TEST_F(Files, AFolderThatMayNotBeEnteredGivesNoAnswer) {
    fs::create_directories(root_ / "closed");
    chmod((root_ / "closed").c_str(), 0);
    if (access((root_ / "closed" / "x").c_str(), F_OK) == 0 || errno != EACCES)
        GTEST_SKIP() << "this user may enter every folder";
    EXPECT_THAT(said_by([&] { path_exists(root_ / "closed" / "x"); }), testing::HasSubstr("Permission denied"));
    EXPECT_THAT(said_by([&] { list_folder(root_ / "closed"); }), testing::HasSubstr("Permission denied"));
}

TEST_F(Files, AWorkingFolderThatWasDeleted) {
    const fs::path before = fs::current_path();
    fs::create_directories(root_ / "gone");
    fs::current_path(root_ / "gone");
    fs::remove(root_ / "gone");
    const std::string said = said_by([] { absolute_path("x"); });
    fs::current_path(before);
    EXPECT_EQ(said,
              "x: the working folder cannot be told: No such file or directory; start xbench in a folder that is there");
    EXPECT_EQ(absolute_path("a/../b"), before / "b");
}

TEST(JsonText, NothingThrows) {
    EXPECT_EQ(json_text(Json{{"name", "L\xE9sion"}}), "{\"name\":\"L\xEF\xBF\xBDsion\"}");
    EXPECT_EQ(parse_json("{\"a\": [1, 2]}")->at("a").size(), 2u);
    const std::string deep(100000, '[');
    struct Case {
        std::string text;
        size_t offset;
        const char* what;
    };
    for (const Case& c :
         {Case{"", 0, "unexpected end of input"}, Case{"{\"a\": }", 6, "unexpected '}'"},
          Case{"[1e999]", 1, "number overflow parsing '1e999'"}, Case{deep, 100, "nested more than 100 deep"},
          Case{"{\"a\": \"L\xE9sion\"}", 8, "ill-formed UTF-8"}}) {
        JsonMistake mistake;
        EXPECT_FALSE(parse_json(c.text, &mistake).has_value()) << c.what;
        EXPECT_THAT(mistake.what, testing::HasSubstr(c.what));
        EXPECT_THAT(mistake.what, testing::Not(testing::HasSubstr("json.exception")));
        EXPECT_NEAR(static_cast<double>(mistake.offset), static_cast<double>(c.offset), 2) << c.what;
    }
    EXPECT_TRUE(parse_json("[\"[[[\\\"[[\"]").has_value()) << "brackets in a text are no nesting";
}

// The last resort: one line with a reason and a remedy, and no name of a library's function in it.
TEST(Failure, EachKindOfExceptionHasItsLine) {
    EXPECT_EQ(failure_of(UsageError("wrong", "here", "do that")).code, ExitCode::usage);
    EXPECT_EQ(failure_of(UsageError("wrong", "here", "do that")).line, "here: wrong; do that");
    EXPECT_THAT(failure_of(std::bad_alloc()).line, testing::StartsWith("xbench: not enough memory; give fewer"));
    EXPECT_THAT(failure_of(std::length_error("vector::reserve")).line, testing::StartsWith("xbench: not enough memory"));
    const auto thrown_by = [](auto&& call) {
        try {
            call();
        } catch (const std::exception& error) {
            return failure_of(error).line;
        }
        return std::string("nothing was thrown");
    };
    EXPECT_THAT(thrown_by([] { (void)fs::file_size("/nothing/there"); }),
                testing::StartsWith("/nothing/there: No such file or directory; check"));
    EXPECT_THAT(thrown_by([] { (void)Json(1).get<std::string>(); }),
                testing::StartsWith("xbench: a file of JSON is not as xbench writes it: type must be string"));
    EXPECT_THAT(thrown_by([] { throw std::system_error(EAGAIN, std::generic_category()); }),
                testing::HasSubstr("ulimit -u"));
    EXPECT_THAT(thrown_by([] { throw std::logic_error("x"); }), testing::HasSubstr("please report it"));
}

}  // namespace
}  // namespace xbench
