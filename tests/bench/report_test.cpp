// Reading a run again, comparing two, and the exports' own text, on the sample run of tests/bench/sample_run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "bench/audit/audit.h"
#include "bench/export/exports.h"
#include "bench/report/compare_runs.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/bench/sample_copy.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(RunFiles, ASweepIsReadAgain) {
    const RunFiles run = read_run(sample);
    EXPECT_TRUE(run.complete);
    ASSERT_EQ(run.table.rows.size(), 6u);
    EXPECT_EQ(run.table.rows[4].repeats, 9);
    EXPECT_NEAR(*run.table.rows[1].speedup, 8.0 / (8.0 * (0.04 + 0.48) + 0.05), 0.05);
    EXPECT_EQ(run.table.rows[5].point.status, PointStatus::not_run);
    EXPECT_EQ(run.table.rows[5].point.reason, "no GPU here");
    EXPECT_THAT(run.table.machine, HasSubstr("a processor, 16 cores allowed of 16"));
    ASSERT_EQ(run.table.fits.size(), 1u);
    EXPECT_EQ(run.table.fits[0].core_counts, 5);
}

// Our own table stands our own audit.
TEST(RunFiles, TheTableAddsUp) {
    const audit::Report report = audit::audit(parse_csv(scaling_csv(read_run(sample).table), "scaling.csv"));
    EXPECT_FALSE(report.impossible()) << audit::audit_text(report);
    EXPECT_GE(report.relations, 15);  // speed-ups, efficiencies, Karp-Flatt of five rows
}

TEST(RunFiles, AnInterruptedSweepIsReadToo) {
    const Copy copy("interrupted");
    copy.change_records([](Json& json) { return json["kind"] == "rep" && json["params"]["ranks"] != 16; });
    const RunFiles run = read_run(copy.folder);
    EXPECT_FALSE(run.complete);
    ASSERT_EQ(run.table.rows.size(), 5u);
    EXPECT_EQ(run.table.rows[4].point.status, PointStatus::not_run);
    EXPECT_EQ(run.table.rows[4].point.reason, "has not run yet");
    EXPECT_THAT(scaling_markdown(run.table), HasSubstr("this table is not complete"));
    EXPECT_THROW(read_run(copy.folder / "none"), UsageError);
    fs::remove(copy.folder / "config.resolved.json");
    EXPECT_THROW(read_run(copy.folder), UsageError);
}

TEST(CompareRuns, ARunAgainstItselfHasNoChange) {
    const RunFiles run = read_run(sample);
    const RunComparison comparison = compare_runs(run, run);
    EXPECT_FALSE(comparison.regression());
    for (const RowChange& row : comparison.rows)
        EXPECT_TRUE(row.change == Change::none || row.row == "gpu_ddp-r2-t1-cuda") << row.row;
}

TEST(CompareRuns, ASlowerRowIsARegression) {
    const Copy copy("slower");
    copy.change_records([](Json& json) {
        if (json["kind"] == "rep" && json["params"]["ranks"] == 4)
            json["counters"]["step_ms"] = 1.05 * json["counters"]["step_ms"].get<double>();
        return true;
    });
    const RunFiles before = read_run(sample), after = read_run(copy.folder);
    const RunComparison comparison = compare_runs(before, after);
    ASSERT_TRUE(comparison.regression());
    for (const RowChange& row : comparison.rows)
        EXPECT_EQ(row.change == Change::regression, row.row == "cpu_ddp-r4-t1") << row.row;
    EXPECT_NEAR(comparison.rows[2].ratio.ratio, 1.05, 0.003);
    EXPECT_THAT(comparison_markdown(comparison), HasSubstr("REGRESSION"));
    EXPECT_FALSE(compare_runs(after, before).regression());  // faster
    EXPECT_EQ(compare_runs(after, before).rows[2].change, Change::improvement);
}

TEST(CompareRuns, OtherMachinesAndConfigurationsAreNotCompared) {
    const Copy copy("machine");
    std::string env = *file_text(copy.folder / "env.json");
    env.replace(env.find("a processor"), 11, "another one");
    std::ofstream(copy.folder / "env.json") << env;
    const RunComparison comparison = compare_runs(read_run(sample), read_run(copy.folder));
    EXPECT_THAT(comparison_markdown(comparison), HasSubstr("different machines"));
    EXPECT_FALSE(comparison.regression());
    std::string config = *file_text(copy.folder / "config.resolved.json");
    config.replace(config.find("\"seed\": 1"), 9, "\"seed\": 2");
    std::ofstream(copy.folder / "config.resolved.json") << config;
    EXPECT_THROW(compare_runs(read_run(sample), read_run(copy.folder)), UsageError);
}

// Rows of one run only are named, and a run whose cores were shared is not held against one whose were not.
TEST(CompareRuns, RowsThatCannotBeComparedSayWhy) {
    const Copy copy("conditions");
    copy.change_records([](Json& json) {
        if (json["kind"] == "rep" && json["params"]["ranks"] == 8) json["counters"]["cores_shared"] = true;
        return json["params"]["ranks"] != 16;
    });
    const RunComparison comparison = compare_runs(read_run(sample), read_run(copy.folder));
    EXPECT_EQ(comparison.rows[3].change, Change::other_conditions);
    EXPECT_EQ(comparison.rows[4].change, Change::missing);
    const RunComparison back = compare_runs(read_run(copy.folder), read_run(sample));
    EXPECT_EQ(back.rows.back().row, "cpu_ddp-r16-t1");
    EXPECT_EQ(back.rows.back().change, Change::missing);
    EXPECT_THAT(comparison_markdown(back), HasSubstr("not in both"));
}

// p = .024 and an interval beyond zero in one row of five: by Holm over the rows that is no regression.
TEST(CompareRuns, AnIntervalBeyondZeroAloneIsNoRegression) {
    const auto times = [](const Copy& copy, double shift) {
        copy.change_records([&](Json& json) {
            if (json["kind"] == "rep" && json["params"]["ranks"] == 2)
                json["counters"]["step_ms"] = 100 + shift + json["rep"].get<double>();
            return true;
        });
    };
    const Copy before("holm_before"), after("holm_after");
    times(before, 0);
    times(after, 3.5);  // 15 of the 81 pairs go the other way
    const RunComparison comparison = compare_runs(read_run(before.folder), read_run(after.folder));
    const RowChange& row = comparison.rows[1];
    EXPECT_GT(row.ratio.low, 1);
    EXPECT_LT(row.ratio.p, 0.05);
    EXPECT_GT(row.p_together, 0.05);
    EXPECT_EQ(row.change, Change::none);
    EXPECT_FALSE(comparison.regression());
    EXPECT_THAT(comparison_markdown(comparison), HasSubstr("Power: with 9 repeats at"));
}

// The data may lie elsewhere; what counts is their digest.
TEST(CompareRuns, WhatDiffersIsNamed) {
    const Copy copy("named");
    std::string config = *file_text(copy.folder / "config.resolved.json");
    config.replace(config.find("\"seed\": 1"), 9, "\"seed\": 2");
    std::ofstream(copy.folder / "config.resolved.json") << config;
    EXPECT_EQ(configuration_differences(read_run(sample), read_run(copy.folder)),
              "their configurations differ in /train/seed");
}

// A run that has no record yet does not know the digest of its data, which is no other configuration.
TEST(CompareRuns, ARunWithoutRecordsIsOfTheSameConfiguration) {
    const Copy copy("no_records");
    copy.change_records([](Json&) { return false; });
    const RunFiles before = read_run(sample), after = read_run(copy.folder);
    EXPECT_TRUE(same_configuration(before, after)) << configuration_differences(before, after);
    EXPECT_TRUE(same_configuration(after, before)) << configuration_differences(after, before);
    for (const RowChange& row : compare_runs(before, after).rows) EXPECT_EQ(row.change, Change::missing) << row.row;
}

// A row that could not run in the first place is none that fails now.
TEST(CompareRuns, ARowThatFailsNowIsARegression) {
    const RunFiles before = read_run(sample);
    RunFiles after = read_run(sample);
    for (ScalingRow& row : after.table.rows) {
        if (row.point.ranks != 4 && row.timed()) continue;
        row.has_result = false;
        row.point.status = PointStatus::failed;
    }
    const RunComparison comparison = compare_runs(before, after);
    EXPECT_TRUE(comparison.regression());
    for (const RowChange& row : comparison.rows)
        EXPECT_EQ(row.change == Change::failed, row.row == "cpu_ddp-r4-t1") << row.row;
    EXPECT_THAT(comparison_markdown(comparison), HasSubstr("FAILS NOW"));
    EXPECT_FALSE(compare_runs(after, after).regression());
}

TEST(CompareRuns, ThreeRepeatsAreTooFew) {
    const Copy copy("few");
    copy.change_records([](Json& json) { return json["rep"] <= 3; });
    EXPECT_EQ(compare_runs(read_run(sample), read_run(copy.folder)).rows[0].change, Change::too_few);
}

TEST(Exports, EveryFormatHoldsTheRun) {
    const RunFiles run = read_run(sample);
    for (const std::string& format : export_formats()) {
        const std::vector<ExportedFile> files = export_run(run, format);
        ASSERT_FALSE(files.empty()) << format;
        for (const ExportedFile& file : files)
            EXPECT_EQ(file.text, export_run(run, format)[static_cast<size_t>(&file - files.data())].text);
    }
    EXPECT_EQ(export_run(run, "talp").size(), 5u);
    EXPECT_THAT(open_metrics(run), testing::EndsWith("# EOF\n"));
    EXPECT_THAT(extrap_text(run), HasSubstr("POINTS (1) (2) (4) (8) (16)\nMETRIC time\nREGION train->cpu_ddp\nDATA 0.00"));
    EXPECT_THAT(google_benchmark_json(run), HasSubstr("\"time_unit\": \"us\""));
    EXPECT_THAT(mllog_lines(run), HasSubstr(":::MLLOG {\"namespace\":\"xbench\",\"time_ms\":1796004002000,"));
    EXPECT_THROW(export_run(run, "excel"), UsageError);
}

// Of a run whose record has a clock, the ends are the clock's, and nothing lies outside or goes back.
TEST(Exports, MllogFollowsTheClockOfTheRun) {
    const Copy copy("clock");
    const int64_t start = 1'800'000'000'000, stop = start + 90'000;
    copy.change_records([=](Json& json) {
        json["counters"]["wall_start_ms"] = start;
        json["counters"]["wall_stop_ms"] = stop;
        json["counters"]["test_seconds"] = 2;
        return true;
    });
    std::stringstream lines(mllog_lines(read_run(copy.folder)));
    int64_t last = start;
    std::map<std::string, int64_t> times;
    std::map<std::string, std::string> dated;
    for (std::string line; std::getline(lines, line);) {
        const Json json = *parse_json(line.substr(line.find('{')));
        const auto now = json["time_ms"].get<int64_t>();
        EXPECT_GE(now, last) << line;
        last = now;
        times[json["key"]] = now;
        dated[json["key"]] = json["metadata"]["dated"];
    }
    EXPECT_EQ(times["submission_org"], start);
    EXPECT_EQ(times["run_start"], start);
    EXPECT_EQ(times["eval_start"], stop - 2000);
    EXPECT_EQ(times["run_stop"], stop);
    EXPECT_EQ(dated["run_start"], "by the clock");
    EXPECT_EQ(dated["epoch_stop"], "by measured lengths of time");
    EXPECT_EQ(dated["run_stop"], "by the clock");
}

TEST(Exports, EmulatedTimesDoNotLeave) {
    const Copy copy("emulated");
    copy.change_records([](Json& json) {
        json["params"]["emulated"] = true;
        return true;
    });
    EXPECT_THROW(export_run(read_run(copy.folder), "csv"), UsageError);
}

}  // namespace
}  // namespace xbench
