// Positions of keys and values in JSON text, and edit distances.
#include "core/json_position.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/nearest.h"

namespace xbench {
namespace {

TEST(JsonPosition, FindsEveryKeyAndValue) {
    const std::string text = "\xEF\xBB\xBF { \"a\" : [1, {\"b\\u0041/c~\": \"x,]\"}],\n\t\"e\":-1.5e3 }";
    const JsonPositions found = find_positions(text);
    const auto at = [&](const std::string& pointer) {
        const JsonPosition& position = found.at.at(pointer);
        return std::pair(text.substr(position.key, 3), text.substr(position.value, 3));
    };
    EXPECT_EQ(at(""), std::pair(std::string("{ \""), std::string("{ \"")));
    EXPECT_EQ(at("/a"), std::pair(std::string("\"a\""), std::string("[1,")));
    EXPECT_EQ(at("/a/0"), std::pair(std::string("1, "), std::string("1, ")));
    EXPECT_EQ(at("/a/1/bA~1c~0"), std::pair(std::string("\"b\\"), std::string("\"x,")));
    EXPECT_EQ(at("/e"), std::pair(std::string("\"e\""), std::string("-1.")));
    EXPECT_EQ(found.at.size(), 6u);
    EXPECT_TRUE(found.duplicates.empty());
}

TEST(JsonPosition, EmptyContainersAndScalars) {
    EXPECT_EQ(find_positions("{}").at.size(), 1u);
    EXPECT_EQ(find_positions(" [ ] ").at.size(), 1u);
    EXPECT_EQ(find_positions("[[],{},\"\"]").at.size(), 4u);
    EXPECT_EQ(find_positions("true").at.at("").value, 0u);
}

TEST(JsonPosition, Duplicates) {
    const JsonPositions found = find_positions(R"({"a": {"x": 1, "x": 2}, "b": 0, "\u0061": 3})");
    ASSERT_EQ(found.duplicates.size(), 2u);
    EXPECT_EQ(found.duplicates[0].pointer, "/a/x");
    EXPECT_EQ(found.duplicates[0].first, 7u);
    EXPECT_EQ(found.duplicates[0].second, 15u);
    EXPECT_EQ(found.duplicates[1].pointer, "/a");
}

TEST(JsonPosition, DeepNestingIsRefused) {
    EXPECT_THROW(find_positions(std::string(200, '[') + std::string(200, ']')), Error);
}

TEST(JsonPosition, LineAndColumnCountCharacters) {
    const std::string text = "ab\n\xC3\xA4\xE2\x82\xAC x";
    EXPECT_EQ(line_column(text, 0).column, 1u);
    EXPECT_EQ(line_column(text, 1).column, 2u);
    EXPECT_EQ(line_column(text, 3).line, 2u);
    EXPECT_EQ(line_column(text, text.size() - 1).column, 4u);
    EXPECT_EQ(line_column(text, 10000).line, 2u);
}

TEST(Nearest, Distances) {
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
    EXPECT_EQ(edit_distance("abcd", "abdc"), 1u);  // a swap of neighbours
    EXPECT_EQ(edit_distance("same", "same"), 0u);
}

TEST(Nearest, OnlyLikenessesAreProposed) {
    const std::vector<std::string> known{"epochs", "seed", "batch_size", "learning_rate"};
    EXPECT_EQ(nearest("epoch", known), "epochs");
    EXPECT_EQ(nearest("bach_size", known), "batch_size");
    EXPECT_EQ(nearest("lr", known), "");
    EXPECT_EQ(nearest("xyz", known), "");
    EXPECT_EQ(nearest("", known), "");
}

}  // namespace
}  // namespace xbench
