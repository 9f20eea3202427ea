// The nine factors: the chain telescopes, a planted loss lands in its factor, which runs a row needs, and what is shown.
#include "bench/efficiency/factors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <sstream>

#include "bench/efficiency/chain.h"
#include "bench/efficiency/levels.h"
#include "bench/export/exports.h"
#include "bench/sweep/probes.h"
#include "bench/sweep/scaling_table.h"
#include "core/error.h"
#include "core/rng.h"
#include "tests/bench/factor_records.h"

namespace xbench {
namespace {

using namespace test;

Config config_of(const std::string& scaling = "{}", const std::string& train = "{}") {
    return parse_config(R"({"name": "factors", "model": "pneumonia_cnn", "data": {"path": "d.h5"}, "scaling": )" + scaling +
                            R"(, "train": )" + train + "}",
                        "t");
}

double product_of(const RowEfficiency& row) {
    double product = 1;
    for (const Factor& factor : row.factors) product *= factor.value;
    return product;
}

double value_of(const RowEfficiency& row, const std::string& name) {
    for (const Factor& factor : row.factors)
        if (factor.name == name) return factor.value;
    throw Error("no factor " + name);
}

TEST(Factors, TheirProductIsTheEfficiencyWhateverTheTimes) {
    for (uint32_t trial = 0; trial < 300; ++trial) {
        SCOPED_TRACE("trial " + std::to_string(trial));
        Random random(11, RandomUse::test_data, trial);
        std::vector<Levels> repetitions(1 + random.below(12));
        for (Levels& levels : repetitions)
            for (double& level : levels) level = std::exp(6 * static_cast<double>(random.uniform()) - 3);
        const RowEfficiency row = split_efficiency(repetitions);
        ASSERT_EQ(row.factors.size(), 9u);
        EXPECT_NEAR(product_of(row) / row.efficiency, 1, 1e-12);
        double added = 0;
        for (const Factor& factor : row.factors) {
            added += factor.ms;
            EXPECT_EQ(factor.ms > 0, factor.value < 1) << factor.name;
            EXPECT_EQ(factor.low.has_value(), repetitions.size() > 1);
            EXPECT_LE(factor.low.value_or(0), factor.high.value_or(0));
        }
        EXPECT_NEAR(added, row.step_ms - row.ideal_ms, 1e-9 * (row.step_ms + row.ideal_ms));
        std::map<std::string, double> pop;
        for (const PopMetric& metric : row.pop) pop[metric.name] = metric.value;
        EXPECT_NEAR(pop["PE"], pop["LB"] * pop["CommE"], 1e-12 * pop["PE"]);
        EXPECT_NEAR(pop["CommE"], pop["SerE"] * pop["TrfE"], 1e-12 * pop["CommE"]);
        EXPECT_NEAR(pop["GE"], pop["PE"] * pop["CompS"], 1e-12 * pop["GE"]);
        EXPECT_NEAR(pop["GE"], row.efficiency, 1e-12 * row.efficiency);
        EXPECT_NEAR(pop["LB"], value_of(row, "load_balance"), 1e-12 * pop["LB"]);
    }
}

// No loss at all: factors of 1, and no milliseconds, though log(1) is 0.
TEST(Factors, NoLossIsNoMilliseconds) {
    Levels even;
    even.fill(7.5);
    const std::vector<Levels> repetitions(3, even);
    const RowEfficiency row = split_efficiency(repetitions);
    EXPECT_EQ(row.efficiency, 1);
    for (const Factor& factor : row.factors) {
        EXPECT_EQ(factor.value, 1);
        EXPECT_EQ(factor.ms, 0);
        EXPECT_EQ(*factor.low, 1);
    }
}

// What slows all runs of a repetition alike is no uncertainty of a ratio; what slows one of its runs is.
TEST(Factors, RepetitionsArePaired) {
    std::vector<Levels> together(9), apart(9);
    for (uint32_t i = 0; i < 9; ++i) {
        Random random(5, RandomUse::test_data, i);
        const double machine = 1 + static_cast<double>(random.uniform());
        for (size_t level = 0; level < level_count; ++level) {
            together[i][level] = machine * static_cast<double>(10 + level);
            apart[i][level] = (1 + static_cast<double>(random.uniform())) * static_cast<double>(10 + level);
        }
    }
    const RowEfficiency paired = split_efficiency(together), loose = split_efficiency(apart);
    for (size_t f = 0; f < paired.factors.size(); ++f) {
        EXPECT_NEAR(*paired.factors[f].low, *paired.factors[f].high, 1e-12);
        EXPECT_GT(*loose.factors[f].high - *loose.factors[f].low, 0.05);
    }
    EXPECT_NEAR(*paired.low, *paired.high, 1e-12);
    const RowEfficiency again = split_efficiency(apart);
    EXPECT_EQ(*again.factors[3].low, *loose.factors[3].low);  // the same draws
}

std::vector<std::string> described(const std::vector<Probe>& probes) {
    std::vector<std::string> lines;
    for (const Probe& probe : probes) {
        lines.push_back(probe.id + " " + probe.point.id() + " b" + std::to_string(probe.point.global_batch) + " x" +
                        std::to_string(probe.copies) + (probe.row.empty() ? "" : " of " + probe.row));
        for (const std::string& setting : probe.settings)
            if (setting.starts_with("train.probe")) lines.back() += " " + setting.substr(12);
    }
    return lines;
}

TEST(Probes, RowsShareWhatIsTheSame) {
    const std::vector<Point> rows{point("serial", 1, 1),  point("serial", 1, 2),  point("cpu_ddp", 1, 1),
                                  point("cpu_ddp", 2, 1), point("sharded", 2, 1), point("cpu_ddp", 2, 2)};
    EXPECT_EQ(described(probes_for(config_of(), rows)),
              (std::vector<std::string>{
                  "serial-r1-t2-preloaded serial-r1-t2 b64 x1 of serial-r1-t2 preloaded",
                  "cpu_ddp-r1-t1-preloaded cpu_ddp-r1-t1 b64 x1 of cpu_ddp-r1-t1 preloaded",
                  "serial-t1-b32-v4 serial-r1-t1 b32 x1 steps", "serial-t1-b32-v4-x2 serial-r1-t1 b32 x2 steps",
                  "cpu_ddp-r2-t1-arrivals cpu_ddp-r2-t1 b64 x1 of cpu_ddp-r2-t1 arrivals",
                  "cpu_ddp-r2-t1-preloaded cpu_ddp-r2-t1 b64 x1 of cpu_ddp-r2-t1 preloaded",
                  "sharded-r2-t1-s2-arrivals sharded-r2-t1-s2 b64 x1 of sharded-r2-t1-s2 arrivals",
                  "sharded-r2-t1-s2-preloaded sharded-r2-t1-s2 b64 x1 of sharded-r2-t1-s2 preloaded",
                  "serial-t2-b32-v4 serial-r1-t2 b32 x1 steps", "serial-t2-b32-v4-x2 serial-r1-t2 b32 x2 steps",
                  "cpu_ddp-r2-t2-arrivals cpu_ddp-r2-t2 b64 x1 of cpu_ddp-r2-t2 arrivals",
                  "cpu_ddp-r2-t2-preloaded cpu_ddp-r2-t2 b64 x1 of cpu_ddp-r2-t2 preloaded"}));
    EXPECT_TRUE(probes_for(config_of(R"({"factors": false})"), rows).empty());
    EXPECT_TRUE(probes_for(config_of(), rows, 2).empty());
}

// The batch of a rank is the base's, so the base is its serial program; and a base that is no row is a probe.
TEST(Probes, UnderWeakScalingARankHasTheBatchOfTheBase) {
    const Config weak = config_of(R"({"mode": "weak"})");
    const std::vector<Point> rows{point("serial", 1, 1), point("cpu_ddp", 4, 1, 256)};
    EXPECT_EQ(described(probes_for(weak, rows)),
              (std::vector<std::string>{"serial-t1-b64-v8-x4 serial-r1-t1 b64 x4 steps",
                                        "cpu_ddp-r4-t1-arrivals cpu_ddp-r4-t1 b256 x1 of cpu_ddp-r4-t1 arrivals",
                                        "cpu_ddp-r4-t1-preloaded cpu_ddp-r4-t1 b256 x1 of cpu_ddp-r4-t1 preloaded"}));
    const std::vector<Point> alone{point("cpu_ddp", 3, 1)};
    const std::vector<std::string> probes = described(probes_for(config_of(), alone));
    EXPECT_THAT(probes, testing::Contains("serial-t1-b64-v8 serial-r1-t1 b64 x1 steps"));
    EXPECT_THAT(probes, testing::Contains("serial-t1-b21-v3 serial-r1-t1 b21 x1 steps"));
}

// The serial program of a share makes as many steps as the row, not P times as many.
TEST(Probes, TrainAsManyStepsAsTheRow) {
    const std::vector<Point> rows{point("serial", 1, 1), point("cpu_ddp", 4, 1)};
    const std::vector<Probe> probes = probes_for(config_of("{}", R"({"epochs": 6})"), rows);
    EXPECT_EQ(probes[0].id, "serial-t1-b16-v2-e2");
    EXPECT_THAT(probes[0].settings, testing::Contains("train.epochs=2"));
    EXPECT_EQ(probes[1].id, "serial-t1-b16-v2-e2-x4");
    EXPECT_EQ(probes.size(), 4u);
}

// Leaves of a small share are at most its images, passes at most its leaves.
TEST(Probes, SettingsFitTheShare) {
    const Config config = config_of("{}", R"({"batch_size": 8, "virtual_ranks": 8, "accumulate": 4, "batchnorm": "local"})");
    const std::vector<Point> rows{point("cpu_ddp", 8, 1, 8)};
    const std::vector<Probe> probes = probes_for(config, rows);
    for (const Probe& probe : probes) {
        if (probe.id != "serial-t1-b1-v1") continue;
        EXPECT_THAT(probe.settings, testing::IsSupersetOf({"train.virtual_ranks=1", "train.accumulate=1", "sweep=[]"}));
    }
    EXPECT_EQ(described(probes)[1], "serial-t1-b1-v1 serial-r1-t1 b1 x1 steps");
}

RowEfficiency row_of(const std::vector<Record>& records, const std::vector<Point>& points = two_rows) {
    return efficiency_of(config_of(), points, records).back();
}

struct Plant {
    const char* factor;
    double expected;
    std::function<void(Truth&)> plant;
};

TEST(Factors, EachPlantedLossLandsInItsFactor) {
    const auto all_from_useful = [](Truth& t, double by) {
        for (double& ms : t.useful) ms *= by;
        for (double* ms : {&t.slowest, &t.arrivals, &t.preloaded, &t.job}) *ms *= by;
    };
    const std::vector<Plant> plants{{"granularity", 66 / 68.0,  // 2 ms of every step, whatever its batch
                                     [](Truth& t) {
                                         t = {66, 34, 34, {34, 34}, 34, 34, 34, 34};
                                     }},
                                    {"contention", 1 / 1.2, [&](Truth& t) { t.together *= 1.2, all_from_useful(t, 1.2); }},
                                    {"code", 1 / 1.1, [&](Truth& t) { all_from_useful(t, 1.1); }},
                                    {"load_balance", 32 / 33.6,  // 10% more on one rank, less on the other
                                     [](Truth& t) {
                                         t = {64, 32, 32, {30.4, 33.6}, 33.6, 33.6, 33.6, 33.6};
                                     }},
                                    {"jitter", 32 / 33.6,  // the same, but each rank in turn
                                     [](Truth& t) {
                                         t = {64, 32, 32, {32, 32}, 33.6, 33.6, 33.6, 33.6};
                                     }},
                                    {"serialisation", 32 / 35.0, [](Truth& t) { t.arrivals = t.preloaded = t.job = 35; }},
                                    {"transfer", 32 / 40.0, [](Truth& t) { t.preloaded = t.job = 40; }},
                                    {"loader", 32 / 48.0, [](Truth& t) { t.job = 48; }},
                                    {"loader", 32 / 30.0, [](Truth& t) { t.job = 30; }},  // above 1 as it is
                                    {"contention", 1 / 0.9, [&](Truth& t) { t.together *= 0.9, all_from_useful(t, 0.9); }}};
    for (const Plant& plant : plants) {
        SCOPED_TRACE(plant.factor);
        Truth truth;
        plant.plant(truth);
        const RowEfficiency row = row_of(records_of(truth));
        ASSERT_EQ(row.why_not, "");
        for (const Factor& factor : row.factors)
            EXPECT_NEAR(factor.value, factor.name == std::string(plant.factor) ? plant.expected : 1, 1e-12) << factor.name;
        EXPECT_NEAR(row.efficiency, plant.expected, 1e-12);
        EXPECT_NEAR(product_of(row), row.efficiency, 1e-12);
    }
}

// Two threads that are worth one and a half.
TEST(Factors, ThreadsAreAFactorOfTheirOwn) {
    const std::vector<Point> points{point("serial", 1, 1), point("serial", 1, 2)};
    std::vector<Record> records;
    for (int rep = 1; rep <= 3; ++rep) {
        records.push_back(record_of("rep", "serial-r1-t1", rep, 64, 60));
        Record job = record_of("rep", "serial-r1-t2", rep, 64, 40);
        job.counters["useful_ms"] = Json::array({38.0});
        job.counters["useful_slowest_ms"] = 38.0;
        records.push_back(job);
        records.push_back(record_of("probe", "serial-r1-t2-preloaded", rep, 64, 39));
    }
    const RowEfficiency row = row_of(records, points);
    EXPECT_NEAR(value_of(row, "threads"), 0.75, 1e-12);
    EXPECT_NEAR(value_of(row, "granularity"), 1, 1e-12);
    EXPECT_NEAR(value_of(row, "loader"), 39 / 40.0, 1e-12);
    EXPECT_NEAR(product_of(row), 0.75, 1e-12);
}

// The work of a weak row is four times the base's: the base's time is, too.
TEST(Factors, WeakRowsAreComparedWithTheBaseTimesTheirRanks) {
    const Config weak = config_of(R"({"mode": "weak"})");
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 4, 1, 256)};
    std::vector<Record> records;
    for (int rep = 1; rep <= 3; ++rep) {
        records.push_back(record_of("rep", "serial-r1-t1", rep, 64, 50));
        for (int copy = 0; copy < 4; ++copy) records.push_back(record_of("probe", "serial-t1-b64-v8-x4", rep, 64, 60));
        records.push_back(record_of("probe", "cpu_ddp-r4-t1-arrivals", rep, 256, 66));
        records.push_back(record_of("probe", "cpu_ddp-r4-t1-preloaded", rep, 256, 77));
        Record job = record_of("rep", "cpu_ddp-r4-t1", rep, 256, 80);
        job.counters["useful_ms"] = Json::array({60.0, 60.0, 60.0, 60.0});
        job.counters["useful_slowest_ms"] = 60.0;
        records.push_back(job);
    }
    const RowEfficiency row = efficiency_of(weak, points, records).back();
    EXPECT_NEAR(row.ideal_ms, 50, 1e-12);
    EXPECT_NEAR(row.efficiency, 50 / 80.0, 1e-12);
    EXPECT_NEAR(value_of(row, "granularity"), 1, 1e-12);
    EXPECT_NEAR(value_of(row, "contention"), 50 / 60.0, 1e-12);
    EXPECT_NEAR(value_of(row, "transfer"), 66 / 77.0, 1e-12);
}

TEST(Factors, AreThoseOfTheTable) {
    std::vector<Record> records;
    for (int rep = 1; rep <= 6; ++rep) {  // an even number: medians lie between two values
        Random random(3, RandomUse::test_data, static_cast<uint32_t>(rep));
        Truth truth;
        truth.job = 40 + static_cast<double>(random.uniform());
        truth.serial = 64 + static_cast<double>(random.uniform());
        append_repetition(records, truth, rep);
    }
    const ScalingTable table = make_scaling_table(config_of(), two_rows, records);
    ASSERT_EQ(table.efficiency.size(), 2u);
    EXPECT_EQ(table.efficiency[0].why_not, "it is the base");
    EXPECT_NEAR(table.efficiency[1].efficiency, *table.rows[1].efficiency, 1e-12);
    EXPECT_NEAR(product_of(table.efficiency[1]), *table.rows[1].efficiency, 1e-12);
    EXPECT_EQ(table.rows[1].repeats, 6);  // probes are no repeats
}

TEST(Factors, RowsWithoutFactorsSayWhy) {
    const std::vector<Record> records = records_of({});
    const auto why = [](const std::vector<Record>& of, Point row = point("cpu_ddp", 2, 1)) {
        return row_of(of, {point("serial", 1, 1), row}).why_not;
    };
    EXPECT_EQ(why(records), "");
    Point gpu = point("gpu_ddp", 2, 1), crowded = point("cpu_ddp", 2, 1), absent = point("cpu_ddp", 2, 1);
    gpu.device = "cuda";
    crowded.status = PointStatus::oversubscribed;
    absent.status = PointStatus::not_run;
    absent.reason = "mpirun was not found";
    EXPECT_THAT(why(records, gpu), testing::HasSubstr("GPU"));
    EXPECT_THAT(why(records, crowded), testing::HasSubstr("oversubscribed"));
    EXPECT_EQ(why(records, absent), "mpirun was not found");
    EXPECT_EQ(why(records, point("cpu_ddp", 2, 2)), "it has no result yet");

    const auto without = [&](const std::string& probe) {
        std::vector<Record> some;
        for (const Record& record : records)
            if (record.params.value("probe", "") != probe) some.push_back(record);
        return some;
    };
    EXPECT_EQ(why(without("cpu_ddp-r2-t1-arrivals")), "its probe cpu_ddp-r2-t1-arrivals has no result");
    std::vector<Record> one_copy = without("serial-t1-b32-v4-x2"), elsewhere = records, silent = records;
    one_copy.push_back(record_of("probe", "serial-t1-b32-v4-x2", 1, 32, 32));
    EXPECT_THAT(why(one_copy), testing::HasSubstr("no repetition has all"));
    for (Record& record : elsewhere)
        if (record.per_rank.size() == 2) record.per_rank[1]["host"] = "b";
    EXPECT_THAT(why(elsewhere), testing::HasSubstr("several nodes"));
    for (Record& record : silent) record.counters.erase("useful_ms");
    EXPECT_THAT(why(silent), testing::HasSubstr("no repetition has all"));
    std::vector<Record> reps;
    for (const Record& record : records)
        if (record.kind == "rep") reps.push_back(record);
    EXPECT_TRUE(efficiency_of(config_of(), two_rows, reps).empty()) << "a sweep without probes";
}

// A row that did other work has no speed-up, and so no factors.
TEST(Factors, OtherWorkHasNone) {
    std::vector<Record> records = records_of({});
    for (Record& record : records)
        if (record.params.value("point", "") == "cpu_ddp-r2-t1") record.weights_hash = "01";
    const ScalingTable table = make_scaling_table(config_of(), two_rows, records);
    EXPECT_FALSE(table.rows[1].no_speedup.empty());
    EXPECT_TRUE(table.efficiency[1].factors.empty());
    EXPECT_EQ(table.efficiency[1].why_not, table.rows[1].no_speedup);
}

// Numbers of other versions, or of none, are no times.
TEST(Factors, SurviveStrangeRecords) {
    for (uint32_t trial = 0; trial < 200; ++trial) {
        SCOPED_TRACE("trial " + std::to_string(trial));
        Random random(17, RandomUse::test_data, trial);
        std::vector<Record> records = records_of({}, 2);
        Record& record = records[random.below(static_cast<uint32_t>(records.size()))];
        switch (random.below(6)) {
            case 0: record.value = 0; break;
            case 1: record.value = std::nan(""); break;
            case 2: record.counters["useful_ms"] = "fast"; break;
            case 3: record.counters["useful_ms"] = Json::array({nullptr, 1}); break;
            case 4: record.counters["step_ms"] = -1; break;
            default: record.params["probe"] = 7;
        }
        const RowEfficiency row = row_of(records);
        for (const Factor& factor : row.factors) EXPECT_TRUE(std::isfinite(factor.value) && factor.value > 0);
        EXPECT_EQ(row.factors.empty(), !row.why_not.empty());
    }
}

TEST(Factors, CountersSplitContention) {
    std::vector<Record> records = records_of({}, 3);
    EXPECT_FALSE(row_of(records).ipc);
    for (Record& record : records)
        if (record.kind == "probe") {
            const bool together = record.params.value("probe", "") == "serial-t1-b32-v4-x2";
            record.counters.update(
                Json{{"instructions", 1e9}, {"cycles", together ? 8e8 : 5e8}, {"processor_seconds", together ? 0.4 : 0.2}});
        }
    const RowEfficiency row = row_of(records);
    EXPECT_NEAR(*row.ipc, 5 / 8.0, 1e-12);
    EXPECT_NEAR(*row.frequency, (8e8 / 0.4) / (5e8 / 0.2), 1e-12);
    EXPECT_EQ(row.why_no_counters, "");
    for (Record& record : records) record.counters["cycles"] = nullptr;
    for (Record& record : records) record.counters["processor_counters_why"] = "this user may not";
    EXPECT_FALSE(row_of(records).ipc);
    EXPECT_EQ(row_of(records).why_no_counters, "this user may not");
}

TEST(Factors, TheirFilesAndTables) {
    Truth truth;
    truth.job = 40;
    const ScalingTable table = make_scaling_table(config_of(), two_rows, records_of(truth));
    const std::string csv = efficiency_csv(table.efficiency), markdown = scaling_markdown(table);
    std::stringstream lines(csv);
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "row,factor,value,low,high,ms");
    double product = 1;
    size_t count = 0;
    for (; std::getline(lines, line); ++count) {
        EXPECT_TRUE(line.starts_with(std::string("cpu_ddp-r2-t1,") + factor_names[count] + ",")) << line;
        product *= std::stod(line.substr(line.find(',', 14) + 1));
    }
    EXPECT_EQ(count, 9u);
    EXPECT_NEAR(product, *table.rows[1].efficiency, 1e-12) << "with all its digits";
    EXPECT_THAT(markdown, testing::HasSubstr("## Where the efficiency went"));
    EXPECT_THAT(markdown, testing::HasSubstr("loader +"));
    std::stringstream text(markdown.substr(markdown.find("## Where the efficiency went")));
    while (std::getline(text, line)) {
        EXPECT_LE(line.size(), 120u) << line;
        EXPECT_LE(line.starts_with('|') ? line.size() : 0, 80u) << line;
        if (line == "## What the curve says") break;
    }
    const Record summary = summary_records(table)[1];
    EXPECT_NEAR(summary.counters["factors"]["loader"].get<double>(), 0.8, 1e-12);
    EXPECT_NEAR(summary.counters["pop"]["GE"].get<double>(), *table.rows[1].efficiency, 1e-12);
}

// What TALP's reader finds is POP's, from the same records.
TEST(Factors, TalpHasPopsEfficiencies) {
    Truth truth;
    truth.useful = {28, 34};
    truth.job = 41;
    RunFiles run;
    run.records = records_of(truth);
    run.table = make_scaling_table(config_of(), two_rows, run.records);
    const Json talp = Json::parse(talp_json(run, run.table.rows[1]))["Application"]["Global"];
    std::map<std::string, double> pop;
    for (const PopMetric& metric : run.table.efficiency[1].pop) pop[metric.name] = metric.value;
    EXPECT_NEAR(talp["parallelEfficiency"].get<double>(), pop["PE"], 1e-12);
    EXPECT_NEAR(talp["mpiLoadBalance"].get<double>(), pop["LB"], 1e-12);
    EXPECT_NEAR(talp["mpiCommunicationEfficiency"].get<double>(), pop["CommE"], 1e-12);
    // The ratio of both rows' times, over the cores. What lies outside of steady steps is no part of it.
    run.table.rows[1].train_seconds *= 3;
    const auto elapsed = [&](size_t row) {
        return Json::parse(talp_json(run, run.table.rows[row]))["Application"]["Global"]["elapsedTime"].get<double>();
    };
    ASSERT_GT(elapsed(1), 0);
    EXPECT_NEAR(elapsed(0) / elapsed(1) / run.table.rows[1].point.processors(), pop["GE"], 1e-6 * pop["GE"]);
}

}  // namespace
}  // namespace xbench
