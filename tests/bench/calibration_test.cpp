// The calibration loop, what the system says beside it, and what a sweep's calibrations tell.
#include "bench/base/calibration.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "bench/sweep/machine_drift.h"
#include "core/rng.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

TEST(Calibration, MeasuresAndLeavesTheAffinityAsItWas) {
    cpu_set_t before, after;
    ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    Calibrator calibrator;
    const MachineCalibration c = calibrator.measure();
    ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
    EXPECT_GT(c.arithmetic_ms, 0);
    EXPECT_GT(c.memory_ms, 0);
    const auto again = calibration_from(to_json(c));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->arithmetic_ms, c.arithmetic_ms);
    EXPECT_EQ(again->mhz, c.mhz);
}

TEST(Calibration, WhatIsNoCalibrationIsNone) {
    for (const char* text : {"null", "3", "{}", R"({"arithmetic_ms": 1})", R"({"arithmetic_ms": 0, "memory_ms": 1})",
                             R"({"arithmetic_ms": "1", "memory_ms": 1})"})
        EXPECT_FALSE(calibration_from(Json::parse(text))) << text;
    const auto bare = calibration_from(Json::parse(R"({"arithmetic_ms": 1, "memory_ms": 2, "mhz": null})"));
    ASSERT_TRUE(bare);
    EXPECT_FALSE(bare->mhz);
}

TEST(Calibration, FrequencyAndLoadAsTheSystemShowsThem) {
    const fs::path root = fs::path(testing::TempDir()) / fmt::format("xb_calibration_{}", getpid());
    EXPECT_FALSE(load_average_under(root));
    EXPECT_FALSE(core_mhz_under(root, 0));
    write(root / "proc/loadavg", "1.75 0.5 0.2 1/100 4242\n");
    write(root / "proc/cpuinfo",
          "processor\t: 0\nmodel name\t: A\ncpu MHz\t\t: 2400.5\n\nprocessor\t: 1\nmodel name\t: A\n\nprocessor\t: 2\ncpu "
          "MHz\t\t: 3000.0\n");
    EXPECT_EQ(load_average_under(root), 1.75);
    EXPECT_EQ(core_mhz_under(root, 0), 2400.5);
    EXPECT_FALSE(core_mhz_under(root, 1));  // its own line is missing, and the next processor's is not its own
    EXPECT_EQ(core_mhz_under(root, 2), 3000);
    write(root / "sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq", "3200000\n");
    EXPECT_EQ(core_mhz_under(root, 2), 3200);
    fs::remove_all(root);
}

Record record_of(const std::string& point, int64_t rep, int64_t order, double before, double after, double memory = 20) {
    Record record;
    record.rep = rep;
    record.params = Json{{"point", point}, {"order", order}};
    record.counters = Json{{"calibration_before", to_json(MachineCalibration{before, memory, {}, {}})},
                           {"calibration_after", to_json(MachineCalibration{after, memory, {}, {}})}};
    return record;
}

// 1% noise, seeded.
std::vector<Record> steady_records(int count, Random& random, double drift = 0) {
    std::vector<Record> records;
    for (int i = 0; i < count; ++i) {
        const double scale = 10 * (1 + drift * i / count);
        records.push_back(record_of("serial-r1-t1", i + 1, i + 1, scale * std::exp(0.01 * random.normal()),
                                    scale * std::exp(0.01 * random.normal())));
    }
    return records;
}

TEST(MachineDrift, NoiseAloneIsNoChange) {
    int said = 0;
    for (uint32_t seed = 0; seed < 100; ++seed) {
        Random random(seed, RandomUse::test_data);
        const MachineDrift drift = machine_drift(steady_records(27, random));
        EXPECT_EQ(drift.calibrations, 54u);
        EXPECT_NEAR(drift.noise, 0.01, 0.006);
        said += drift.changes.empty() ? 0 : 1;
        EXPECT_TRUE(drift.disturbed.empty()) << seed;
    }
    EXPECT_LE(said, 5);
}

TEST(MachineDrift, ADriftOfTenPercentIsAlwaysSeen) {
    for (uint32_t seed = 0; seed < 20; ++seed) {
        Random random(seed, RandomUse::test_data);
        const MachineDrift drift = machine_drift(steady_records(27, random, 0.1));
        ASSERT_EQ(drift.changes.size(), 1u) << seed;
        EXPECT_THAT(drift.changes[0], testing::StartsWith("the arithmetic of the calibration loop took +"));
    }
}

// In the order of the runs, not of the file; the second copy of a probe is the same run.
TEST(MachineDrift, NamesTheRunThatWasDisturbed) {
    Random random(3, RandomUse::test_data);
    std::vector<Record> records = steady_records(12, random);
    records.push_back(record_of("cpu_ddp-r2-t1", 4, 13, 10, 13));
    Record probe = record_of("", 2, 14, 10, 10, 26);
    probe.kind = "probe";
    probe.params["probe"] = "quiet";
    records.push_back(probe);
    records.push_back(probe);
    const MachineDrift drift = machine_drift(records);
    ASSERT_EQ(drift.disturbed.size(), 2u);
    EXPECT_EQ(drift.disturbed[0].run, "cpu_ddp-r2-t1");
    EXPECT_EQ(drift.disturbed[0].rep, 4);
    EXPECT_NEAR(drift.disturbed[0].slower, 0.3, 0.01);
    EXPECT_EQ(drift.disturbed[1].run, "probe quiet");
    EXPECT_NEAR(drift.disturbed[1].slower, 0.3, 0.01);
}

TEST(MachineDrift, RecordsOfOlderVersionsSayNothing) {
    std::vector<Record> records(5);
    const MachineDrift drift = machine_drift(records);
    EXPECT_EQ(drift.calibrations, 0u);
    EXPECT_TRUE(drift.changes.empty());
}

}  // namespace
}  // namespace xbench
