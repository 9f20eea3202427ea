// Speed-up, efficiency, Karp-Flatt and the fits, on published figures and on curves whose parameters are known.
#include "bench/sweep/scaling_model.h"

#include <gtest/gtest.h>

namespace xbench {
namespace {

// RSNA pneumonia, 5530 s serial: 2 CPUs 3273 s, 4 CPUs 3056 s; 2 GPUs 2848 s; FSDP on 3 GPUs 3308 s.
TEST(ScalingModel, PublishedTimes) {
    EXPECT_NEAR(speedup(5530, 3273), 1.69, 0.005);
    EXPECT_NEAR(efficiency(speedup(5530, 3273), 2), 0.84, 0.006);
    EXPECT_NEAR(speedup(5530, 3056), 1.81, 0.005);
    EXPECT_NEAR(efficiency(speedup(5530, 3056), 4), 0.45, 0.005);
    EXPECT_NEAR(speedup(5530, 2848), 1.94, 0.005);
    EXPECT_NEAR(efficiency(speedup(5530, 2848), 2), 0.97, 0.005);
    EXPECT_NEAR(speedup(5530, 3308), 1.67, 0.005);
    EXPECT_NEAR(efficiency(speedup(5530, 3308), 3), 0.56, 0.005);
}

TEST(ScalingModel, KarpFlattOfPublishedTimesRises) {
    EXPECT_NEAR(*karp_flatt(speedup(5530, 3273), 2), 0.184, 0.0005);
    EXPECT_NEAR(*karp_flatt(speedup(5530, 3056), 4), 0.403, 0.001);
    // CIFAR-10: one slot 3399 s, two slots 2915 s.
    EXPECT_NEAR(speedup(3399, 2915), 1.166, 0.0005);
    EXPECT_NEAR(efficiency(speedup(3399, 2915), 2), 0.583, 0.0005);
    EXPECT_NEAR(*karp_flatt(speedup(3399, 2915), 2), 0.715, 0.0005);
    EXPECT_FALSE(karp_flatt(1, 1));
}

TEST(ScalingModel, AmdahlOfTheTwoCpuPointPredictsMoreThanWasMeasured) {
    const auto fit = fit_amdahl({{2, speedup(5530, 3273)}});
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->serial_fraction, 0.184, 0.0005);  // of one point it is Karp-Flatt
    EXPECT_NEAR(amdahl_speedup(fit->serial_fraction, 4), 2.58, 0.005);
    EXPECT_EQ(fit->points, 1);
}

TEST(ScalingModel, FitsFindTheParametersOfExactCurves) {
    std::vector<ScalingPoint> amdahl, gustafson, usl;
    for (const double n : {1, 2, 4, 8, 16}) {
        amdahl.push_back({n, amdahl_speedup(0.07, n)});
        gustafson.push_back({n, gustafson_speedup(0.12, n)});
        usl.push_back({n, usl_speedup(0.03, 0.002, n)});
    }
    EXPECT_NEAR(fit_amdahl(amdahl)->serial_fraction, 0.07, 1e-12);
    EXPECT_NEAR(fit_amdahl(amdahl)->worst_relative_error, 0, 1e-12);
    EXPECT_EQ(fit_amdahl(amdahl)->points, 4);
    EXPECT_NEAR(fit_gustafson(gustafson)->serial_fraction, 0.12, 1e-12);
    EXPECT_NEAR(fit_usl(usl)->serial_fraction, 0.03, 1e-10);
    EXPECT_NEAR(fit_usl(usl)->coherency, 0.002, 1e-10);
    EXPECT_GT(fit_amdahl(usl)->worst_relative_error, 0.01);  // Amdahl cannot follow a curve that bends down
}

TEST(ScalingModel, FitsStayInTheirRange) {
    EXPECT_EQ(fit_amdahl({{2, 2.2}, {4, 4.4}})->serial_fraction, 0);  // superlinear
    EXPECT_EQ(fit_amdahl({{2, 0.5}, {4, 0.5}})->serial_fraction, 1);  // slower than serial
    const auto usl = fit_usl({{2, 2.1}, {4, 4.1}, {8, 5.0}});
    EXPECT_GE(usl->serial_fraction, 0);
    EXPECT_GE(usl->coherency, 0);
    EXPECT_FALSE(fit_amdahl({{1, 1}}));
    EXPECT_FALSE(fit_usl({{2, 1.9}, {4, 3.5}}));
    EXPECT_FALSE(fit_usl({{2, 1.9}, {2, 1.8}, {2, 1.85}}));  // one N
}

}  // namespace
}  // namespace xbench
