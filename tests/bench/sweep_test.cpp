// The sweep: expansion into points, interleaved repeats in child processes, failures, time limits, files. The children are a
// shell script that stands for `xbench train`.
#include "bench/sweep/sweep.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "parallel/comm/setups.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

Config config_of(const std::string& sweep, const std::string& scaling = "{}") {
    return parse_config(
        R"({"model": "m", "data": {"synthetic": {"count": 64}}, "sweep": )" + sweep + R"(, "scaling": )" + scaling + "}",
        "t.json");
}

Point serial_point() {
    Point point;
    point.trainer = "serial";
    point.device = "cpu";
    point.global_batch = 64;
    return point;
}

std::vector<std::string> described(const std::vector<Point>& points) {
    std::vector<std::string> lines;
    for (const Point& point : points)
        lines.push_back(point.id() + " " + name_of(point.status) + (point.reason.empty() ? "" : ": " + point.reason));
    return lines;
}

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

class ExpandPoints : public testing::Test {
protected:
    void SetUp() override {
        if (!find_setup("cpu_ddp").available) GTEST_SKIP() << "this build has no MPI";
    }
};

TEST_F(ExpandPoints, MultipliesListsOutAndKeepsRowsThatCannotRun) {
    const Config config = config_of(R"([{"trainer": "serial", "threads": [1, 2]}, {"trainer": "cpu_ddp", "ranks": [1, 2, 4]},
                                        {"trainer": "gpu_ddp", "ranks": 2}, {"trainer": "sharded", "ranks": 2, "stage": 3},
                                        {"trainer": "cpu_ddp", "ranks": [2]}])");
    EXPECT_EQ(described(expand_points(config, {.cores = 2, .gpu_reason = "no CUDA driver"})),
              (std::vector<std::string>{"serial-r1-t1 ok", "serial-r1-t2 ok", "cpu_ddp-r1-t1 ok", "cpu_ddp-r2-t1 ok",
                                        "cpu_ddp-r4-t1 not_run: needs 4 cores, this machine allows 2",
                                        "gpu_ddp-r2-t1-cuda not_run: no CUDA driver", "sharded-r2-t1-s3 ok"}));
}

TEST_F(ExpandPoints, EachRankNeedsAGpuOfItsNode) {
    const Config config = config_of(R"([{"trainer": "serial", "device": "cuda"}, {"trainer": "gpu_ddp", "ranks": [2, 4]},
                                        {"trainer": "sharded", "device": "cuda", "ranks": 4, "stage": 2}])");
    EXPECT_EQ(described(expand_points(config, {.cores = 8, .gpus = 2})),
              (std::vector<std::string>{"serial-r1-t1-cuda ok", "gpu_ddp-r2-t1-cuda ok",
                                        "gpu_ddp-r4-t1-cuda not_run: needs 4 GPUs a node, this one has 2",
                                        "sharded-r4-t1-cuda-s2 not_run: needs 4 GPUs a node, this one has 2"}));
    const auto on_two_nodes = expand_points(config, {.cores = 8, .nodes = 2, .gpus = 2});
    EXPECT_EQ(described(on_two_nodes).back(), "sharded-r4-t1-cuda-s2 ok");
    SweepOptions options;
    options.folder = "run";
    options.program = "xbench";
    EXPECT_EQ(
        shell_text(train_command(config, on_two_nodes.back(), options, "o")),
        "xbench train --config run/config.resolved.json --trainer sharded --threads 1 --out o --stage 2 --device cuda");
    EXPECT_EQ(shell_text(train_command(config, on_two_nodes[1], options, "o")),
              "xbench train --config run/config.resolved.json --trainer gpu_ddp --threads 1 --out o");
}

TEST_F(ExpandPoints, RowsOnACpuStandAsideForAPrecisionOfGpus) {
    for (const char* precision : {"fp16", "tf32"}) {
        Config config = config_of(R"([{"trainer": "serial"}, {"trainer": "gpu_ddp"}])");
        config.train.precision = precision;
        EXPECT_EQ(described(expand_points(config, {.cores = 8, .gpus = 1})),
                  (std::vector<std::string>{"serial-r1-t1 not_run: the precision " + std::string(precision) + " needs a GPU",
                                            "gpu_ddp-r1-t1-cuda ok"}));
    }
}

TEST_F(ExpandPoints, OversubscriptionMustBeAskedFor) {
    const Config config = config_of(R"([{"trainer": "cpu_ddp", "ranks": 2, "threads": 2}])", R"({"oversubscribe": true})");
    EXPECT_EQ(described(expand_points(config, {.cores = 3})),
              std::vector<std::string>{"cpu_ddp-r2-t2 oversubscribed: needs 4 cores, this machine allows 3"});
    EXPECT_EQ(described(expand_points(config, {.cores = 4})), std::vector<std::string>{"cpu_ddp-r2-t2 ok"});
}

TEST_F(ExpandPoints, WithoutALauncherOnlySerialRuns) {
    const Config config = config_of(R"([{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": [1, 2]}])");
    EXPECT_EQ(described(expand_points(config, {.cores = 8, .launcher_reason = "mpirun was not found"})),
              (std::vector<std::string>{"serial-r1-t1 ok", "cpu_ddp-r1-t1 not_run: mpirun was not found",
                                        "cpu_ddp-r2-t1 not_run: mpirun was not found"}));
    EXPECT_EQ(
        described(expand_points(config, {.cores = 8, .local = true})),
        (std::vector<std::string>{"serial-r1-t1 ok", "cpu_ddp-r1-t1 ok",
                                  "cpu_ddp-r2-t1 not_run: launcher local starts several ranks only where each has a GPU"}));
}

// Their ranks meet without MPI: with the launcher local, and with auto where there is no mpirun.
TEST_F(ExpandPoints, RanksOfGpusNeedNoLauncher) {
    const Config config = config_of(R"([{"trainer": "gpu_ddp", "ranks": [1, 2, 3]}, {"trainer": "cpu_ddp", "ranks": 1},
                                        {"trainer": "sharded", "device": "cuda", "ranks": 2, "stage": 3}])");
    for (const std::string reason : {"", "mpirun was not found"}) {
        const std::string cpu = reason.empty() ? "cpu_ddp-r1-t1 ok" : "cpu_ddp-r1-t1 not_run: " + reason;
        EXPECT_EQ(described(expand_points(config, {.cores = 8, .launcher_reason = reason, .local = true, .gpus = 2})),
                  (std::vector<std::string>{"gpu_ddp-r1-t1-cuda ok", "gpu_ddp-r2-t1-cuda ok",
                                            "gpu_ddp-r3-t1-cuda not_run: needs 3 GPUs a node, this one has 2", cpu,
                                            "sharded-r2-t1-cuda-s3 ok"}));
    }
    EXPECT_EQ(described(expand_points(config, {.cores = 8, .launcher_reason = "mpirun was not found", .gpus = 2})).front(),
              "gpu_ddp-r1-t1-cuda not_run: mpirun was not found");  // who asks for mpirun means it
}

TEST_F(ExpandPoints, WeakModeGrowsTheBatch) {
    const Config strong = config_of(R"([{"trainer": "cpu_ddp", "ranks": [1, 4]}])");
    const Config weak = config_of(R"([{"trainer": "cpu_ddp", "ranks": [1, 4]}])", R"({"mode": "weak"})");
    EXPECT_EQ(expand_points(strong, {.cores = 4})[1].global_batch, 64);
    EXPECT_EQ(expand_points(weak, {.cores = 4})[1].global_batch, 256);
    SweepOptions options;
    options.folder = "run";
    options.program = "/x/xbench";
    EXPECT_EQ(shell_text(train_command(strong, expand_points(strong, {.cores = 4})[1], options, "o")),
              "/x/xbench train --config run/config.resolved.json --trainer cpu_ddp --threads 1 --out o");
    EXPECT_EQ(shell_text(train_command(weak, expand_points(weak, {.cores = 4})[1], options, "o")),
              "/x/xbench train --config run/config.resolved.json --trainer cpu_ddp --threads 1 --out o --set "
              "train.batch_size=256");
}

// A folder of its own with a fake mpirun on PATH.
class SweepRun : public testing::Test {
protected:
    void SetUp() override {
        if (!find_setup("cpu_ddp").available) GTEST_SKIP() << "this build has no MPI";
        root_ = testing::TempDir() + "/xb_sweep_" + std::to_string(getpid()) + "_" +
                testing::UnitTest::GetInstance()->current_test_info()->name();
        fs::remove_all(root_);
        fs::create_directories(root_ / "bin");
        fs::copy_file(std::string(XB_SOURCE_DIR) + "/tests/bench/fake_mpirun.sh", root_ / "bin/mpirun");
        path_ = std::getenv("PATH");
        setenv("PATH", ((root_ / "bin").string() + ":" + path_).c_str(), 1);
        setenv("FAKE_CALLS", (root_ / "calls").c_str(), 1);
        unsetenv("SLURM_JOB_ID");
        options_.folder = root_ / "run";
        options_.program = std::string(XB_SOURCE_DIR) + "/tests/bench/fake_xbench.sh";
        options_.limits = SweepLimits{.cores = 2};
        options_.command_line = {"xbench", "--config", "t.json"};
        options_.calibrate = [] { return MachineCalibration{10, 20, 0.5, std::nullopt}; };
        options_.progress = [this](const SweepProgress& progress) {
            if (!progress.finished.empty()) finished_.push_back(progress.finished);
            EXPECT_LE(progress.done, progress.total);
        };
    }
    void TearDown() override {
        if (!path_.empty()) setenv("PATH", path_.c_str(), 1);
        for (const char* name : {"FAKE_CALLS", "FAKE_FAIL", "FAKE_HANG", "FAKE_SILENT", "FAKE_SHARED", "FAKE_HASH"})
            unsetenv(name);
        fs::remove_all(root_);
    }
    std::vector<Record> records(const std::string& kind) const {
        std::vector<Record> found;
        for (Record& record : read_records(options_.folder / "records.jsonl"))
            if (record.kind == kind) found.push_back(std::move(record));
        return found;
    }
    const Record& summary_of(const std::vector<Record>& summaries, const std::string& point) const {
        for (const Record& record : summaries)
            if (record.params["point"] == point) return record;
        throw Error("no summary of " + point);
    }

    fs::path root_;
    std::string path_;
    SweepOptions options_;
    std::vector<std::string> finished_;
};

const char* const rows = R"([{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": [1, 2, 4]}])";

TEST_F(SweepRun, LeavesRecordsAndTables) {
    const std::string markdown = run_sweep(config_of(rows), options_).markdown;
    EXPECT_EQ(markdown, text_of(options_.folder / "scaling.md"));
    EXPECT_EQ(parse_config(text_of(options_.folder / "config.resolved.json"), "resolved").train.batch_size, 64);
    const Json environment = Json::parse(text_of(options_.folder / "env.json"));
    EXPECT_EQ(environment["cpusets"]["cpu_ddp-r2-t1"][0]["cpuset"], "0");
    EXPECT_EQ(text_of(options_.folder / "points/cpu_ddp-r2-t1/command.txt").substr(0, 27), "mpirun -n 2 --bind-to none ");

    const std::vector<Record> reps = records("rep"), summaries = records("summary");
    ASSERT_EQ(reps.size(), 9u);
    EXPECT_EQ(reps[0].run_id, "run");
    EXPECT_EQ(reps[0].env_id, environment["env_id"].get<std::string>());
    ASSERT_EQ(summaries.size(), 4u);
    const Record& two = summary_of(summaries, "cpu_ddp-r2-t1");
    EXPECT_EQ(two.value, 1802);
    EXPECT_NEAR(two.counters["speedup"].get<double>(), 1802.0 / 1002, 1e-12);
    EXPECT_NEAR(two.counters["efficiency"].get<double>(), 901.0 / 1002, 1e-12);
    EXPECT_EQ(summary_of(summaries, "cpu_ddp-r4-t1").counters["reason"], "needs 4 cores, this machine allows 2");
    EXPECT_THAT(markdown, testing::HasSubstr("the same, bit for bit, in all 9 runs of 3 rows (invariant reduction)"));
    EXPECT_THAT(markdown, testing::Not(testing::HasSubstr("still running")));
}

TEST_F(SweepRun, RunsTheScheduleInItsOrder) {
    std::vector<std::string> said;
    options_.said = [&](const std::string& text) { said.push_back(text); };
    const Config config = config_of(rows);
    run_sweep(config, options_);
    std::vector<std::string> order, planned;
    for (const Record& record : records("rep")) {
        order.push_back(record.params["point"].get<std::string>() + "/" + std::to_string(record.rep));
        EXPECT_EQ(record.params["order"], static_cast<int>(order.size()));
    }
    const std::vector<Point> points = expand_points(config, *options_.limits);
    for (const ScheduledRun& run : schedule_runs(points, 3, config.scaling.seed))
        if (points[run.point].ranks < 4) planned.push_back(points[run.point].id() + "/" + std::to_string(run.repeat));
    EXPECT_EQ(order, planned);
    ASSERT_EQ(finished_.size(), 9u);
    EXPECT_THAT(finished_[8], testing::StartsWith("  9/9  "));
    EXPECT_THAT(finished_[8], testing::HasSubstr(", repeat 3 of 3 "));
    ASSERT_FALSE(said.empty());
    EXPECT_EQ(said[0], "9 runs: 3 blocks of 3 (order by seed 1)");
}

// Two copies at once, and a probe with a setting of its own: records of kind probe, which no row counts.
TEST_F(SweepRun, ProbesRunWithinTheBlocksAndAreNoRows) {
    Probe twice{"serial-x2", "cpu_ddp-r2-t1", {}, 2, {}}, quiet{"quiet", "", {}, 1, {"train.epochs=1"}};
    for (Probe* probe : {&twice, &quiet}) probe->point = serial_point();
    const SweepResult without = run_sweep(config_of(rows), options_);
    options_.folder = root_ / "probed";
    options_.probes = {twice, quiet};
    const SweepResult with = run_sweep(config_of(rows), options_);
    EXPECT_EQ(with.ran, without.ran + 6);
    EXPECT_EQ(records("rep").size(), 9u);
    EXPECT_EQ(records("summary").size(), 4u);
    const std::vector<Record> probes = records("probe");
    ASSERT_EQ(probes.size(), 9u);
    std::multiset<std::string> seen;
    for (const Record& record : probes)
        seen.insert(fmt::format("{} of {} {}/{} rep {}", record.params["probe"].get<std::string>(),
                                record.params["point"].get<std::string>(), record.params["copy"].get<int>(),
                                record.params["copies"].get<int>(), record.rep));
    std::multiset<std::string> expected;
    for (int rep = 1; rep <= 3; ++rep) {
        for (int copy = 0; copy < 2; ++copy)
            expected.insert(fmt::format("serial-x2 of cpu_ddp-r2-t1 {}/2 rep {}", copy, rep));
        expected.insert(fmt::format("quiet of  0/1 rep {}", rep));
    }
    EXPECT_EQ(seen, expected);
    EXPECT_THAT(text_of(root_ / "calls"), testing::HasSubstr("probes/quiet/rep2 --set train.epochs=1"));
    EXPECT_THAT(text_of(root_ / "copies"), testing::AllOf(testing::HasSubstr("0/2"), testing::HasSubstr("1/2")));
    // The tables are those of the sweep without probes.
    EXPECT_EQ(text_of(options_.folder / "scaling.csv"), text_of(root_ / "run/scaling.csv"));
    options_.use = FolderUse::resume;
    EXPECT_EQ(run_sweep(config_of(rows), options_).ran, 0);
}

TEST_F(SweepRun, AProbeThatFailsFailsNoRow) {
    setenv("FAKE_FAIL", "*quiet/rep2", 1);
    Probe quiet{"quiet", "", serial_point(), 1, {}};
    options_.probes = {quiet};
    const SweepResult result = run_sweep(config_of(rows), options_);
    EXPECT_EQ(result.failed, 0);
    EXPECT_EQ(records("rep").size(), 9u);
    EXPECT_EQ(records("probe").size(), 1u);
}

// From the fifth run on the machine is 20% slower.
TEST_F(SweepRun, AMachineThatChangesIsSaid) {
    int calls = 0;
    options_.calibrate = [&] {
        const double jitter = 1 + 0.001 * (calls % 3);
        return MachineCalibration{++calls > 8 ? 12 * jitter : 10 * jitter, 20, 0.5, 2500.0};
    };
    const std::string markdown = run_sweep(config_of(rows), options_).markdown;
    const Record record = records("rep").back();
    EXPECT_NEAR(record.counters["calibration_before"]["arithmetic_ms"].get<double>(), 12, 0.1);
    EXPECT_EQ(record.counters["calibration_after"]["mhz"], 2500);
    EXPECT_EQ(record.counters["calibration_after"]["load_average"], 0.5);
    EXPECT_GT(record.counters["process_seconds"].get<double>(), 0);
    EXPECT_THAT(markdown, testing::HasSubstr("**The machine changed: the arithmetic of the calibration loop took +"));
}

TEST_F(SweepRun, AQuietMachineIsNotMentioned) {
    const std::string markdown = run_sweep(config_of(rows), options_).markdown;
    EXPECT_THAT(markdown, testing::Not(testing::HasSubstr("machine changed")));
    EXPECT_THAT(markdown, testing::Not(testing::HasSubstr("Disturbed")));
}

// A block takes less than 6 s, so that a budget of a tenth of a minute allows more than one; none less than one.
TEST_F(SweepRun, ABudgetChoosesWholeBlocks) {
    std::vector<std::string> said;
    options_.said = [&](const std::string& text) { said.push_back(text); };
    const SweepResult one = run_sweep(config_of(rows, R"({"budget_minutes": 1e-6})"), options_);
    EXPECT_EQ(one.ran, 3);
    EXPECT_EQ(records("rep").size(), 3u);
    ASSERT_EQ(said.size(), 2u);
    EXPECT_THAT(said[1], testing::MatchesRegex(
                             "the budget of 1e-06 minutes allows 1 block of .*, FEWER than the 3 repeats asked for"));
    EXPECT_THAT(one.markdown, testing::HasSubstr("The budget of 1e-06 minutes allowed 1 of the 3 repeats asked for."));
}

TEST_F(SweepRun, AFailedPointDoesNotEndTheRest) {
    setenv("FAKE_FAIL", "*cpu_ddp-r1-t1/rep2", 1);
    const std::string markdown = run_sweep(config_of(rows), options_).markdown;
    const std::vector<Record> summaries = records("summary");
    EXPECT_EQ(summary_of(summaries, "cpu_ddp-r1-t1").counters["status"], "failed");
    EXPECT_EQ(summary_of(summaries, "cpu_ddp-r1-t1").counters["reason"],
              "exit code 3: xbench train, rank 0: the disk is full");
    EXPECT_EQ(summary_of(summaries, "cpu_ddp-r2-t1").counters["status"], "ok");
    EXPECT_EQ(records("rep").size(), 7u);  // what was measured before stays
    EXPECT_THAT(markdown, testing::HasSubstr("| failed"));
    EXPECT_THAT(text_of(options_.folder / "scaling.csv"),
                testing::HasSubstr(",failed,\"exit code 3: xbench train, rank 0: the disk is full\","));
}

TEST_F(SweepRun, AStuckPointIsStopped) {
    setenv("FAKE_HANG", "*cpu_ddp-r2-t1/rep1", 1);
    run_sweep(config_of(rows, R"({"timeout_seconds": 1, "repeats": 1})"), options_);
    EXPECT_EQ(summary_of(records("summary"), "cpu_ddp-r2-t1").counters["reason"], "stopped after 1 s");
    EXPECT_EQ(summary_of(records("summary"), "serial-r1-t1").counters["status"], "ok");
}

TEST_F(SweepRun, AChildWithoutARecordHasFailed) {
    setenv("FAKE_SILENT", "*serial*", 1);
    const std::string markdown = run_sweep(config_of(rows, R"({"repeats": 1})"), options_).markdown;
    EXPECT_THAT(summary_of(records("summary"), "serial-r1-t1").counters["reason"].get<std::string>(),
                testing::StartsWith("no usable record: "));
    EXPECT_THAT(markdown, testing::HasSubstr("No serial row has a result, so there is no speed-up: serial-r1-t1 failed"));
    EXPECT_TRUE(summary_of(records("summary"), "cpu_ddp-r2-t1").counters["speedup"].is_null());
}

TEST_F(SweepRun, RanksThatShareCoresAreMarked) {
    setenv("FAKE_SHARED", "*cpu_ddp-r2*", 1);
    run_sweep(config_of(rows, R"({"repeats": 1})"), options_);
    EXPECT_EQ(summary_of(records("summary"), "cpu_ddp-r2-t1").counters["status"], "oversubscribed");
    EXPECT_EQ(summary_of(records("summary"), "cpu_ddp-r2-t1").counters["reason"], "its ranks share cores");
}

TEST_F(SweepRun, DifferingWeightsAreShouted) {
    setenv("FAKE_HASH", "out", 1);
    EXPECT_THAT(run_sweep(config_of(rows, R"({"repeats": 1})"), options_).markdown,
                testing::HasSubstr("**Weights: they DIFFER"));
}

TEST_F(SweepRun, AFolderThatHoldsARunIsRefused) {
    run_sweep(config_of(rows, R"({"repeats": 1})"), options_);
    EXPECT_THROW(run_sweep(config_of(rows), options_), UsageError);
    EXPECT_THROW(run_sweep(config_of("[]"), options_), UsageError);
}

// Stopped after two of six repeats; then only the other four are run, and the table is that of a sweep that went through.
TEST_F(SweepRun, ResumingRunsWhatIsMissing) {
    int runs = 0;
    options_.stop = [&] { return runs == 2; };
    options_.progress = [&](const SweepProgress& progress) { runs += progress.finished.empty() ? 0 : 1; };
    const SweepResult first = run_sweep(config_of(rows), options_);
    EXPECT_TRUE(first.interrupted);
    EXPECT_EQ(records("rep").size(), 2u);
    EXPECT_THAT(text_of(options_.folder / "scaling.md"), testing::HasSubstr("this table is not complete"));
    options_.stop = nullptr;
    EXPECT_THROW(run_sweep(config_of(rows), options_), UsageError);
    options_.use = FolderUse::resume;
    Config other = config_of(rows);
    other.train.seed = 7;
    EXPECT_THROW(run_sweep(other, options_), UsageError);
    const SweepResult rest = run_sweep(config_of(rows), options_);
    EXPECT_FALSE(rest.interrupted);
    const size_t all = records("rep").size(), summaries = records("summary").size();
    EXPECT_EQ(static_cast<size_t>(rest.ran), all - 2);
    EXPECT_THAT(rest.markdown, testing::Not(testing::HasSubstr("not complete")));
    const SweepResult again = run_sweep(config_of(rows), options_);
    EXPECT_EQ(again.ran, 0);
    EXPECT_EQ(again.markdown, rest.markdown);
    EXPECT_EQ(records("rep").size(), all);
    EXPECT_EQ(records("summary").size(), summaries);
    options_.folder = root_ / "nothing";
    EXPECT_THROW(run_sweep(config_of(rows), options_), UsageError);
}

TEST_F(SweepRun, AFailedSerialRowIsNotAskedFor) {
    setenv("FAKE_FAIL", "*serial*", 1);
    const SweepResult result = run_sweep(config_of(rows, R"({"repeats": 1})"), options_);
    EXPECT_GE(result.failed, 1);
    EXPECT_THAT(result.markdown, testing::Not(testing::HasSubstr("add `{")));
    EXPECT_THAT(result.markdown, testing::HasSubstr("serial-r1-t1 failed: "));
}

TEST_F(SweepRun, AResumedSweepGoesOnInTheSameOrder) {
    const auto order = [&] {
        std::vector<std::string> ids;
        for (const Record& record : records("rep")) ids.push_back(record.params["point"].get<std::string>());
        return ids;
    };
    const Config config = config_of(rows, R"({"seed": 5})");
    run_sweep(config, options_);
    const std::vector<std::string> whole = order();
    options_.folder = root_ / "halves";
    int runs = 0;
    options_.stop = [&] { return runs == 4; };
    options_.progress = [&](const SweepProgress& progress) { runs += progress.finished.empty() ? 0 : 1; };
    EXPECT_TRUE(run_sweep(config, options_).interrupted);
    options_.stop = nullptr;
    options_.use = FolderUse::resume;
    run_sweep(config, options_);
    EXPECT_EQ(order(), whole);
    EXPECT_THROW(run_sweep(config_of(rows, R"({"seed": 6})"), options_), UsageError);
}

// What a kill leaves: records of whole repeats, and a table that says that it is not complete.
TEST_F(SweepRun, WhatWasMeasuredSurvivesAStop) {
    options_.progress = [](const SweepProgress& progress) {
        if (progress.finished.starts_with("  5/")) throw Error("stopped by the test");
    };
    EXPECT_THROW(run_sweep(config_of(rows), options_), Error);
    EXPECT_EQ(records("rep").size(), 5u);
    EXPECT_THAT(text_of(options_.folder / "scaling.md"), testing::HasSubstr("this table is not complete"));
}

}  // namespace
}  // namespace xbench
