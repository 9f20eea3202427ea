// Splits by group: nothing leaks, shares and classes come out right, the seed decides.
#include "data/set/splits.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "core/error.h"
#include "core/rng.h"

namespace xbench {
namespace {

std::map<int32_t, std::array<int, 3>> count(const std::vector<int32_t>& classes, const std::vector<uint8_t>& splits) {
    std::map<int32_t, std::array<int, 3>> counts;
    for (size_t i = 0; i < classes.size(); ++i) ++counts[classes[i]][splits[i]];
    return counts;
}

TEST(Splits, AreStratified) {
    std::vector<int32_t> classes(1000, 0);
    for (size_t i = 0; i < 300; ++i) classes[3 * i] = 1;
    const auto counts = count(classes, assign_splits(classes, {}, {}, 1));
    EXPECT_EQ(counts.at(0), (std::array<int, 3>{490, 105, 105}));
    EXPECT_EQ(counts.at(1), (std::array<int, 3>{210, 45, 45}));
}

TEST(Splits, FollowFromTheSeed) {
    const std::vector<int32_t> classes(200, 0);
    EXPECT_EQ(assign_splits(classes, {}, {}, 5), assign_splits(classes, {}, {}, 5));
    EXPECT_NE(assign_splits(classes, {}, {}, 5), assign_splits(classes, {}, {}, 6));
}

TEST(Splits, NeverCutAGroup) {
    Random random(3, RandomUse::test_data);
    std::vector<int32_t> classes;
    std::vector<std::string> groups;
    for (int i = 0; i < 2000; ++i) {
        const uint32_t patient = random.below(300);
        groups.push_back("p" + std::to_string(patient * patient / 300));  // groups of very different sizes
        classes.push_back(random.uniform() < 0.25f ? 0 : 1);
    }
    const auto splits = assign_splits(classes, groups, {0.6, 0.2, 0.2}, 9);
    std::map<std::string, std::set<uint8_t>> seen;
    for (size_t i = 0; i < groups.size(); ++i) seen[groups[i]].insert(splits[i]);
    for (const auto& [group, in] : seen) EXPECT_EQ(in.size(), 1u) << group;
    for (const auto& [k, c] : count(classes, splits)) {
        const double all = c[0] + c[1] + c[2];
        EXPECT_NEAR(c[0] / all, 0.6, 0.03);
        EXPECT_NEAR(c[1] / all, 0.2, 0.03);
    }
}

TEST(Splits, LeaveASplitOfNothingEmpty) {
    const std::vector<int32_t> classes(50, 0);
    for (const uint8_t split : assign_splits(classes, {}, parse_shares("80,20,0"), 1)) EXPECT_NE(split, 2);
}

TEST(Splits, ParseShares) {
    const SplitShares shares = parse_shares("70, 15, 15");
    EXPECT_DOUBLE_EQ(shares.train, 0.70);
    EXPECT_DOUBLE_EQ(shares.test, 0.15);
    for (const char* text : {"", "70", "70,15", "70,15,15,1", "a,b,c", "-1,1,1", "0,50,50", "70;15;15"}) {
        EXPECT_THROW(parse_shares(text), UsageError) << text;
    }
}

TEST(SplitNames, AreThoseOfFoldersAndTables) {
    EXPECT_EQ(split_from("valid"), Split::val);
    EXPECT_EQ(split_from("Validation"), Split::val);
    EXPECT_EQ(split_from("TEST"), Split::test);
    EXPECT_THROW(split_from("tests"), UsageError);
}

}  // namespace
}  // namespace xbench
