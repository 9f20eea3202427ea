// Speed-up, efficiency, Karp-Flatt and the fits, on published figures and on curves whose parameters are known.
#include "bench/laws/laws.h"

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
    EXPECT_NEAR(amdahl_speedup(*karp_flatt(speedup(5530, 3273), 2), 4), 2.58, 0.005);
}

TEST(ScalingModel, LawsAtPointsThatFollowByHand) {
    EXPECT_NEAR(gustafson_speedup(0.1, 10), 9.1, 1e-12);
    EXPECT_NEAR(usl_speedup(0.02, 0.001, 10), 10 / (1 + 0.18 + 0.09), 1e-12);
    const Link link{1e-6, 1e-9, 1e-10};
    EXPECT_NEAR(ring_seconds(link, 1e6, 4), 6e-6 + 1.5e-3 + 0.75e-4, 1e-12);
    EXPECT_NEAR(recursive_doubling_seconds(link, 1e6, 4), 2 * (1e-6 + 1.1e-3), 1e-12);
    EXPECT_NEAR(rabenseifner_seconds(link, 1e6, 4), 4e-6 + 1.5e-3 + 0.75e-4, 1e-12);
    EXPECT_NEAR(step_seconds(10, 6, 5, 0.5, 1), 10 + 2 + 1, 1e-12);
    EXPECT_NEAR(step_seconds(10, 6, 2, 0.5), 10, 1e-12);  // all of it hidden
}

}  // namespace
}  // namespace xbench
