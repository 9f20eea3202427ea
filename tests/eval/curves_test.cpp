// Areas against scikit-learn's, and curves small enough to work out by hand.
#include "eval/curves.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/eval/expected.h"

namespace xbench {
namespace {

TEST(Curves, AreasAreScikitLearns) {
    int compared = 0, undefined = 0;
    const Json cases = expected_cases();
    for (const auto& [name, expected] : cases.items()) {
        SCOPED_TRACE(name);
        for (const Curve& curve : make_curves(predictions_of(expected), class_names_of(expected))) {
            SCOPED_TRACE(curve.name);
            const Json& theirs = expected.at("areas").at(curve.name);
            for (const auto& [ours, key] :
                 {std::pair{curve.roc_auc, "roc_auc"}, {curve.average_precision, "average_precision"}}) {
                if (theirs.at(key).is_null()) {
                    EXPECT_TRUE(std::isnan(ours)) << key;
                    ++undefined;
                } else {
                    EXPECT_NEAR(ours, theirs.at(key).get<double>(), 1e-12) << key;
                    ++compared;
                }
            }
        }
    }
    EXPECT_GE(compared, 16);
    EXPECT_GE(undefined, 2);  // classes that never occur are among the cases
}

TEST(Curves, EqualScoresAreDecidedTogether) {
    const Curve curve = make_curve("x", std::vector<float>{0.9f, 0.5f, 0.5f, 0.1f}, std::vector<uint8_t>{1, 1, 0, 0});
    ASSERT_EQ(curve.points.size(), 3u);
    EXPECT_DOUBLE_EQ(curve.points[1].true_positive_rate, 1);
    EXPECT_DOUBLE_EQ(curve.points[1].false_positive_rate, 0.5);
    EXPECT_DOUBLE_EQ(curve.points[1].precision, 2.0 / 3);
    EXPECT_DOUBLE_EQ(curve.roc_auc, 0.875);
    EXPECT_NEAR(curve.average_precision, 0.5 + 0.5 * 2 / 3, 1e-15);
}

TEST(Curves, CsvFiles) {
    const std::vector<Curve> curves{make_curve("a,b", std::vector<float>{0.75f, 0.25f}, std::vector<uint8_t>{1, 0})};
    EXPECT_EQ(
        roc_csv(curves),
        "class,threshold,false_positive_rate,true_positive_rate\n\"a,b\",inf,0,0\n\"a,b\",0.75,0,1\n\"a,b\",0.25,1,1\n");
    EXPECT_EQ(pr_csv(curves), "class,threshold,recall,precision\n\"a,b\",0.75,1,1\n\"a,b\",0.25,1,0.5\n");
    EXPECT_EQ(to_json(curves).dump(), R"({"a,b":{"roc_auc":1.0,"average_precision":1.0}})");
}

}  // namespace
}  // namespace xbench
