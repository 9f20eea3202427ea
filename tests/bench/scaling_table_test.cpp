// The arithmetic of the scaling table and its two files, against a golden file (XB_UPDATE_GOLDEN=1 rewrites it).
#include "bench/sweep/scaling_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "bench/base/text_table.h"
#include "bench/runs/train_report.h"
#include "bench/sweep/scaling_model.h"

namespace xbench {
namespace {

Config config_of(const std::string& more = "") {
    return parse_config(
        R"({"name": "golden", "model": "pneumonia_cnn", "data": {"path": "d.h5"}, "train": {"epochs": 3})" + more + "}",
        "t");
}

Point point(const std::string& trainer, int ranks, int threads, PointStatus status = PointStatus::ok,
            const std::string& reason = "") {
    Point p;
    p.trainer = trainer;
    p.device = "cpu";
    p.ranks = ranks;
    p.threads = threads;
    p.global_batch = 64;
    p.status = status;
    p.reason = reason;
    return p;
}

Record rep(const Point& p, int number, double rate, int64_t images = 12000,
           const std::string& hash = "00112233445566778899aabbccddeeff") {
    Record record;
    record.rep = number;
    record.value = rate;
    record.params = Json{{"point", p.id()}, {"isa", "avx2"}};
    record.weights_hash = hash;
    record.counters = Json{{"step_ms", 64e3 / rate},
                           {"exposed_comm_ms", p.ranks > 1 ? 1.25 : 0.0},
                           {"rank_skew_ms", p.ranks > 1 ? 0.5 : 0.0},
                           {"images_trained", images},
                           {"train_seconds", static_cast<double>(images) / rate},
                           {"test_accuracy", 0.912345},
                           {"test_balanced_accuracy", 0.887},
                           {"test_loss", 0.25},
                           {"test_majority_baseline", 0.741}};
    return record;
}

std::vector<Record> reps(const Point& p, double rate, int count = 3) {
    std::vector<Record> records;
    for (int i = 0; i < count; ++i) records.push_back(rep(p, i + 1, rate * (1 + 0.01 * (i - count / 2))));
    return records;
}

void append(std::vector<Record>& to, const std::vector<Record>& from) { to.insert(to.end(), from.begin(), from.end()); }

TEST(ScalingTable, Golden) {
    const std::vector<Point> points{
        point("serial", 1, 1),
        point("cpu_ddp", 1, 1),
        point("cpu_ddp", 2, 1),
        point("cpu_ddp", 4, 1),
        point("cpu_ddp", 8, 1, PointStatus::oversubscribed, "needs 8 cores, this machine allows 4"),
        point("gpu_ddp", 2, 1, PointStatus::not_run, "this version has no CUDA kernels yet"),
        point("cpu_ddp", 2, 2, PointStatus::failed,
              "exit code 1: xbench train, rank 1: a | bar, a \"quote\" and a text that is too long for the table")};
    std::vector<Record> records;
    for (const auto& [index, rate] : {std::pair{0, 1000.0}, {1, 950.0}, {2, 1800.0}, {3, 3100.0}, {4, 2900.0}})
        append(records, reps(points[static_cast<size_t>(index)], rate));
    ScalingTable table = make_scaling_table(config_of(), points, records);
    table.machine = "a machine";
    const std::string text = scaling_markdown(table) + "\n---\n" + scaling_csv(table);
    const std::string path = std::string(XB_SOURCE_DIR) + "/tests/bench/scaling.golden";
    if (std::getenv("XB_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
    std::stringstream golden;
    golden << std::ifstream(path).rdbuf();
    EXPECT_EQ(text, golden.str());
}

TEST(ScalingTable, SpeedUpsAreAgainstTheFastestSerialRow) {
    const std::vector<Point> points{point("serial", 1, 1), point("serial", 1, 2), point("cpu_ddp", 2, 1)};
    std::vector<Record> records = reps(points[0], 1000);
    append(records, reps(points[1], 1500));
    append(records, reps(points[2], 1800));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    EXPECT_EQ(table.baseline, 1);
    EXPECT_NEAR(*table.rows[2].speedup, 1.2, 1e-12);
    EXPECT_NEAR(*table.rows[0].speedup, 1 / 1.5, 1e-12);
    EXPECT_TRUE(table.fits.empty());
}

// What stands above the table, of rows {trainer, ranks, threads, images/s}.
TEST(ScalingTable, TheVerdictSaysAgainstWhatAndWhy) {
    struct Row {
        Point point;
        double rate;
        int64_t images = 12000;
    };
    const auto verdict = [](const std::vector<Row>& rows) {
        std::vector<Point> points;
        std::vector<Record> records;
        for (const Row& row : rows) {
            points.push_back(row.point);
            if (row.rate == 0) continue;
            std::vector<Record> repeats = reps(row.point, row.rate, 9);
            for (Record& record : repeats) record.counters["images_trained"] = row.images;
            append(records, repeats);
        }
        return verdict_of(make_scaling_table(config_of(), points, records));
    };
    using testing::HasSubstr;
    using testing::Not;
    const Row one{point("serial", 1, 1), 1000}, two{point("serial", 1, 2), 1900}, ranks{point("cpu_ddp", 2, 1), 2090};
    EXPECT_THAT(verdict({one, ranks}),
                HasSubstr("cpu_ddp on 2 x 1 cores trains 2.09 times as fast as the serial program ("));
    EXPECT_THAT(
        verdict({two, {point("cpu_ddp", 4, 1), 3800}}),
        HasSubstr("cpu_ddp on 4 x 1 cores trains 2.00 times as fast as the fastest serial row, serial on 1 x 2 cores ("));
    std::string text = verdict({one, two, ranks});
    for (const char* part : {"No row has more cores than the baseline, serial on 1 x 2 cores (1900 images/s)",
                             "cpu_ddp on 2 x 1 cores trains 1.10 times as fast as serial on 1 x 2 cores (1.0",
                             "and 2.09 times as fast as serial on 1 x 1 cores (", "at an efficiency of 1.0"})
        EXPECT_THAT(text, HasSubstr(part));
    EXPECT_THAT(text, Not(HasSubstr("within the noise")));
    EXPECT_THAT(verdict({one, two, {ranks.point, 1905}}), HasSubstr(", within the noise)"));
    EXPECT_THAT(verdict({two, {point("cpu_ddp", 1, 1), 950}}),
                HasSubstr("cpu_ddp on 1 x 1 cores trains 0.50 times as fast as serial on 1 x 2 cores ("));
    EXPECT_THAT(verdict({one, {ranks.point, 2000, 6000}}),
                HasSubstr("No row has a speed-up over the baseline, serial on 1 x 1 cores (1000 images/s): cpu_ddp-r2-t1 "
                          "trained on 6000 images and the baseline on 12000."));
    EXPECT_THAT(verdict({one, {ranks.point, 0}}),
                HasSubstr("No row has a speed-up over the baseline, serial on 1 x 1 cores (1000 images/s). "));
    EXPECT_THAT(verdict({ranks}), HasSubstr("No serial row ran, so there is no speed-up"));
    EXPECT_THAT(verdict({{one.point, 0}, {ranks.point, 0}}), HasSubstr("No serial row has a result"));
}

// What ran on an emulated GPU has a score and weights of its own, and no times, speed-ups or fits.
TEST(ScalingTable, AnEmulatedGpuHasResultsAndNoTimes) {
    std::vector<Point> points{point("serial", 1, 1), point("serial", 1, 1), point("gpu_ddp", 2, 1)};
    points[1].device = points[2].device = "cuda";
    std::vector<Record> records = reps(points[0], 1000);
    for (const size_t row : {1, 2})
        for (int number = 1; number <= 3; ++number) {
            records.push_back(rep(points[row], number, 77777, 12000, "ffeeddccbbaa99887766554433221100"));
            records.back().params["emulated"] = true;
        }
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    EXPECT_EQ(table.baseline, 0);
    for (const size_t row : {1, 2}) {
        EXPECT_TRUE(table.rows[row].emulated);
        EXPECT_FALSE(table.rows[row].speedup);
        EXPECT_TRUE(table.rows[row].test_accuracy);
    }
    for (const std::string& text : {scaling_markdown(table), scaling_csv(table)}) {
        EXPECT_THAT(text, testing::Not(testing::HasSubstr("77777")));
        EXPECT_THAT(text, testing::HasSubstr("emulated"));
        EXPECT_THAT(text, testing::HasSubstr("ffeeddcc"));
    }
    EXPECT_THAT(scaling_markdown(table), testing::Not(testing::HasSubstr("DIFFER")));
    for (const Record& summary : summary_records(table))
        EXPECT_EQ(summary.value > 0, summary.params.value("device", "") == "cpu") << summary.params;
}

// A GPU is compared with a GPU: its cores are not counted against those of the CPU.
TEST(ScalingTable, SpeedUpsOnGpusAreAgainstOneGpu) {
    std::vector<Point> points{point("serial", 1, 1), point("serial", 1, 1), point("gpu_ddp", 2, 1)};
    points[1].device = points[2].device = "cuda";
    std::vector<Record> records = reps(points[0], 1000);
    append(records, reps(points[1], 20000));
    append(records, reps(points[2], 36000));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    EXPECT_EQ(table.baseline, 0);
    EXPECT_NEAR(*table.rows[2].speedup, 1.8, 1e-12);
    EXPECT_NEAR(*table.rows[2].efficiency, 0.9, 1e-12);
}

// Two serial threads as the baseline: its efficiency is 1, and N counts in multiples of two cores.
TEST(ScalingTable, CoresCountInMultiplesOfTheBaselines) {
    const std::vector<Point> points{point("serial", 1, 2), point("cpu_ddp", 1, 2), point("cpu_ddp", 2, 1),
                                    point("cpu_ddp", 1, 1), point("cpu_ddp", 4, 1)};
    std::vector<Record> records;
    for (const auto& [index, rate] : {std::pair{0, 2000.0}, {1, 1900.0}, {2, 1800.0}, {3, 1000.0}, {4, 3200.0}})
        append(records, reps(points[static_cast<size_t>(index)], rate));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    const std::vector<double> efficiencies{1, 0.95, 0.9, 1, 0.8};
    for (size_t i = 0; i < points.size(); ++i) EXPECT_NEAR(*table.rows[i].efficiency, efficiencies[i], 1e-12) << i;
    for (size_t i = 0; i < 4; ++i) EXPECT_FALSE(table.rows[i].karp_flatt) << i;
    EXPECT_NEAR(*table.rows[4].karp_flatt, (1 / 1.6 - 0.5) / 0.5, 1e-12);
    const std::string text = scaling_markdown(table);
    EXPECT_THAT(text, testing::HasSubstr("count cores in multiples of 2"));
    // One number of cores is no curve.
    EXPECT_THAT(text, testing::HasSubstr("Karp-Flatt is 0.250 at 4 cores; one number of cores shows no trend"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("If it held")));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("more than linear")));
}

TEST(ScalingTable, RowsOfOneNumberOfCoresAreAlternatives) {
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 1, 2), point("cpu_ddp", 2, 1)};
    std::vector<Record> records = reps(points[0], 1000);
    append(records, reps(points[1], 390));  // Karp-Flatt 4.1, beside 0.11 at the same two cores
    append(records, reps(points[2], 1800));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    ASSERT_EQ(table.fits.size(), 1u);
    ASSERT_EQ(table.fits[0].curve.size(), 1u);
    EXPECT_NEAR(table.fits[0].curve[0].speedup, 1.8, 1e-12);
    EXPECT_EQ(table.fits[0].trend, Trend::none);
    EXPECT_THAT(scaling_markdown(table), testing::Not(testing::HasSubstr("rising")));
}

TEST(ScalingTable, NoLineIsWiderThan120Columns) {
    std::vector<Point> points{point("serial", 1, 1)};
    std::vector<Record> records = reps(points[0], 123456);
    for (const int ranks : {2, 4, 16, 128}) {
        points.push_back(point("sharded", ranks, 16, PointStatus::oversubscribed, std::string(70, 'r') + " and why not"));
        points.back().stage = 3;
        append(records, reps(points.back(), 123456.0 * ranks, 9));
    }
    std::stringstream text(scaling_markdown(make_scaling_table(config_of(), points, records)));
    for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 120u) << line;
}

TEST(ScalingTable, OtherWorkGetsNoSpeedUp) {
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1)};
    std::vector<Record> records = reps(points[0], 1000);
    records.push_back(rep(points[1], 1, 1800, 6000));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    EXPECT_FALSE(table.rows[1].speedup);
    EXPECT_THAT(scaling_markdown(table),
                testing::HasSubstr("cpu_ddp-r2-t1 trained on 6000 images and the baseline on 12000: other work"));
    EXPECT_THAT(scaling_markdown(table), testing::HasSubstr("no record carries a history"));
}

// A repeat that did other work is not hidden by the median of the others, in a row or in the baseline.
TEST(ScalingTable, ARepeatOfOtherWorkTakesTheSpeedUpAway) {
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1)};
    for (const size_t changed : {4u, 1u}) {
        std::vector<Record> records = reps(points[0], 1000);
        append(records, reps(points[1], 1800));
        EXPECT_TRUE(make_scaling_table(config_of(), points, records).rows[1].speedup);
        records[changed].counters["images_trained"] = 11999;
        const ScalingTable table = make_scaling_table(config_of(), points, records);
        EXPECT_FALSE(table.rows[1].speedup) << changed;
        EXPECT_THAT(table.rows[1].no_speedup, testing::HasSubstr("other work from repeat to repeat"));
    }
}

TEST(ScalingTable, OversubscribedRowsStayOutOfFits) {
    std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1),
                              point("cpu_ddp", 4, 1, PointStatus::oversubscribed)};
    std::vector<Record> records = reps(points[0], 1000);
    append(records, reps(points[1], 1800));
    append(records, reps(points[2], 1700));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    ASSERT_EQ(table.fits.size(), 1u);
    EXPECT_EQ(table.fits[0].core_counts, 2);  // the baseline's and one more
    EXPECT_TRUE(table.fits[0].laws.empty());
    EXPECT_FALSE(table.rows[2].speedup);
    EXPECT_THAT(scaling_markdown(table), testing::HasSubstr("no law is fitted: that takes 4 core counts, and with the"));
    const std::vector<std::string> items = curve_items(table);
    ASSERT_EQ(items.size(), 2u);
    EXPECT_THAT(items[0],
                testing::HasSubstr("there are 2; 2 more are missing. cpu_ddp-r4-t1 shared cores and does not count."));
    EXPECT_THAT(items[1], testing::HasSubstr("Karp-Flatt is 0.111 at 2 cores; one number of cores shows no trend."));
}

// Rows that all shared cores give no curve at all: it is said of each family, and no law is.
TEST(ScalingTable, AFamilyWithoutAPointSaysWhatIsMissing) {
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1, PointStatus::oversubscribed),
                                    point("cpu_ddp", 4, 1, PointStatus::oversubscribed),
                                    point("cpu_ddp", 8, 1, PointStatus::oversubscribed),
                                    point("cpu_ddp", 16, 1, PointStatus::oversubscribed)};
    std::vector<Record> records;
    for (const Point& one : points) append(records, reps(one, 1000, 5));
    const std::vector<std::string> items = curve_items(make_scaling_table(config_of(), points, records));
    ASSERT_EQ(items.size(), 1u);
    EXPECT_THAT(items[0],
                testing::HasSubstr("cpu_ddp: no law is fitted: that takes 4 core counts, and with the baseline's there "
                                   "is 1; 3 more are missing. cpu_ddp-r2-t1, cpu_ddp-r4-t1, cpu_ddp-r8-t1, cpu_ddp-r16-t1 "
                                   "shared cores and do not count."));
}

// Under weak scaling Karp-Flatt falls by its nature and Amdahl's law does not apply.
TEST(ScalingTable, WeakRowsGetNeitherAmdahlNorKarpFlatt) {
    std::vector<Point> points{point("serial", 1, 1)};
    std::vector<Record> records = reps(points[0], 1000, 5);
    for (const int ranks : {2, 4, 8, 16}) {
        points.push_back(point("cpu_ddp", ranks, 1));
        points.back().global_batch *= ranks;
        append(records, reps(points.back(), 1000.0 * ranks * 0.95, 5));
    }
    const ScalingTable table = make_scaling_table(config_of(R"(, "scaling": {"mode": "weak"})"), points, records);
    for (const ScalingRow& row : table.rows) EXPECT_FALSE(row.karp_flatt);
    ASSERT_EQ(table.fits.size(), 1u);
    EXPECT_EQ(table.fits[0].trend, Trend::none);
    for (const LawFit& law : table.fits[0].laws) EXPECT_EQ(law.law, Law::gustafson);
    std::string all;
    for (const std::string& item : curve_items(table)) all += item + "\n";
    EXPECT_THAT(all, testing::HasSubstr("cpu_ddp: Gustafson"));
    EXPECT_THAT(all, testing::Not(testing::HasSubstr("Karp-Flatt is")));
    EXPECT_THAT(all, testing::Not(testing::HasSubstr("Amdahl:")));
}

// Without repeats nothing is tested: the law is listed as such, and its one parameter has no bounds.
TEST(ScalingTable, UntestedLawsSaySo) {
    std::vector<Point> points{point("serial", 1, 1)};
    std::vector<Record> records{rep(points[0], 1, 1000)};
    for (const int ranks : {2, 4, 8}) {
        points.push_back(point("cpu_ddp", ranks, 1));
        records.push_back(rep(points.back(), 1, 1000 / (0.05 + 0.95 / ranks)));
    }
    const std::vector<std::string> items = curve_items(make_scaling_table(config_of(), points, records));
    EXPECT_THAT(items[0], testing::HasSubstr("not tested, as there are no repeats, and so not drawn."));
    EXPECT_THAT(items[0], testing::Not(testing::HasSubstr(" to ")));
}

// Each condition of equal work alone keeps a speed-up out, and the row says which.
TEST(ScalingTable, EveryDifferenceOfWorkIsNamed) {
    struct Case {
        const char* reason;
        void (*change)(Record&);
    };
    const std::vector<Case> cases{
        {"", [](Record&) {}},
        {"trained on another data set than the baseline", [](Record& r) { r.data_sha = "other"; }},
        {"scored 99 test images and the baseline 624", [](Record& r) { r.counters["test_images"] = 99; }},
        {"took 200 steps and the baseline 188", [](Record& r) { r.counters["steps"] = 200; }},
        {"ended in other weights than the baseline", [](Record& r) { r.weights_hash = "ff"; }},
        {"trained on 6000 images and the baseline on 12000", [](Record& r) { r.counters["images_trained"] = 6000; }}};
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1)};
    for (const Case& c : cases) {
        std::vector<Record> records{rep(points[0], 1, 1000), rep(points[1], 1, 1800)};
        for (Record& record : records) record.counters.update(Json{{"steps", 188}, {"test_images", 624}});
        c.change(records[1]);
        const ScalingTable table = make_scaling_table(config_of(), points, records);
        EXPECT_EQ(table.rows[1].no_speedup, c.reason);
        EXPECT_EQ(table.rows[1].speedup.has_value(), *c.reason == '\0') << c.reason;
        EXPECT_THAT(scaling_csv(table), testing::HasSubstr(c.reason));
    }
    std::vector<Point> other_batch = points;
    other_batch[1].global_batch = 128;
    const std::vector<Record> records{rep(points[0], 1, 1000), rep(points[1], 1, 1800)};
    EXPECT_EQ(make_scaling_table(config_of(), other_batch, records).rows[1].no_speedup,
              "has a global batch of 128 and the baseline of 64");
    const Config weak = config_of(R"(, "scaling": {"mode": "weak"})");
    const ScalingTable growing = make_scaling_table(weak, other_batch, records);  // declared so
    EXPECT_TRUE(growing.rows[1].speedup);
    EXPECT_FALSE(growing.rows[1].karp_flatt);
    std::vector<Record> fast = records;
    fast[1].weights_hash = "ff";
    Config config = config_of();
    config.train.reduction = "fast";
    EXPECT_TRUE(make_scaling_table(config, points, fast).rows[1].speedup);
}

// Steps of 64 / p ms of computing and the communication of a ring; ranks come 0.3 ms apart. The records alone give the law
// its latency and its transfer, in seconds an image as all laws have them.
TEST(ScalingTable, TheStepLawComesFromTheRecords) {
    constexpr double latency_ms = 0.05, transfer_ms = 1.5, images = 64;
    std::vector<Point> points{point("serial", 1, 1)};
    std::vector<Record> records = reps(points[0], 1000, 5);
    for (const int p : {2, 4, 8, 16}) {
        points.push_back(point("cpu_ddp", p, 1));
        const double communication = 2 * (p - 1) * latency_ms + 2.0 * (p - 1) / p * transfer_ms;
        std::vector<Record> own = reps(points.back(), images * 1e3 / (64.0 / p + communication), 5);
        for (Record& record : own) {
            const double slower = record.counters["step_ms"].get<double>() / (64.0 / p + communication);
            record.counters["exposed_comm_ms"] = communication * slower + 0.3;
            record.counters["rank_skew_ms"] = 0.3;
        }
        append(records, own);
    }
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    ASSERT_EQ(table.fits.size(), 1u);
    const LawFit* step = nullptr;
    for (const LawFit& law : table.fits[0].laws)
        if (law.law == Law::step) step = &law;
    ASSERT_TRUE(step);
    EXPECT_FALSE(step->rejected);
    EXPECT_NEAR(step->parameters[0].value, latency_ms * 1e-3 / images, 1e-3 * latency_ms * 1e-3 / images);
    EXPECT_NEAR(step->parameters[1].value, transfer_ms * 1e-3 / images, 1e-3 * transfer_ms * 1e-3 / images);
    EXPECT_FALSE(step->predicts());
    const std::string text = scaling_markdown(table);
    EXPECT_THAT(text, testing::HasSubstr("cpu_ddp: step law: latency"));
    // A row whose waits are not known gives no law.
    for (Record& record : records) record.counters["exposed_comm_ms"] = 0;
    const ScalingTable without_waits = make_scaling_table(config_of(), points, records);
    for (const LawFit& law : without_waits.fits.at(0).laws) EXPECT_NE(law.law, Law::step);
}

// Five core counts of an exact Amdahl curve with a percent of noise: the law is kept, with its bounds and one prediction.
TEST(ScalingTable, LawsThatAreNotRejectedAreListed) {
    std::vector<Point> points{point("serial", 1, 1)};
    std::vector<Record> records = reps(points[0], 1000, 5);
    for (const int ranks : {2, 4, 8, 16}) {
        points.push_back(point("cpu_ddp", ranks, 1));
        append(records, reps(points.back(), 1000 / (0.05 + 0.95 / ranks), 5));
    }
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    ASSERT_EQ(table.fits.size(), 1u);
    ASSERT_EQ(table.fits[0].laws.size(), 4u);  // the step law too, as the records say what ranks waited
    EXPECT_FALSE(table.fits[0].laws[0].rejected);
    EXPECT_NEAR(table.fits[0].laws[0].parameters[1].value, 0.05, 1e-6);
    const std::string text = scaling_markdown(table);
    EXPECT_THAT(text, testing::HasSubstr("cpu_ddp: Amdahl: T1"));
    EXPECT_THAT(text, testing::HasSubstr("If it held, 32 cores would"));
    EXPECT_THAT(text, testing::HasSubstr("Power: with 5 repeats at 1.6% noise a 5% change is found"));
}

TEST(ScalingTable, NineRepeatsHaveAConfidenceInterval) {
    const std::vector<Point> points{point("serial", 1, 1)};
    const ScalingTable table = make_scaling_table(config_of(), points, reps(points[0], 1000, 9));
    EXPECT_STREQ(table.rows[0].images_per_second.kind, "95%");
    EXPECT_NEAR(table.rows[0].images_per_second.low, 970, 1e-9);  // the second of nine
    EXPECT_THAT(scaling_csv(table), testing::HasSubstr(",95%,"));
}

TEST(ScalingTable, CommunicationThreadsAndInjectedLinksAreSaid) {
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1)};
    std::vector<Record> records = reps(points[0], 1000);
    append(records, reps(points[1], 1800));
    const auto said = [&](const std::string& text) {
        const std::vector<std::string> notes = make_scaling_table(config_of(), points, records).notes;
        return std::any_of(notes.begin(), notes.end(),
                           [&](const std::string& n) { return n.find(text) != std::string::npos; });
    };
    EXPECT_FALSE(said("communication thread") || said("Injected"));
    records.back().params["communication_threads"] = 2;
    EXPECT_TRUE(said("cpu_ddp-r2-t1: one communication thread"));
    records.back().params["slow_link_mb_per_s"] = 50.0;
    EXPECT_TRUE(said("Injected: a slow link (50 MB/s and 0 us)"));
}

TEST(ScalingTable, RepeatsWithOtherWeightsAreFound) {
    const std::vector<Point> points{point("serial", 1, 1)};
    const std::vector<Record> records{rep(points[0], 1, 1000), rep(points[0], 2, 1000, 12000, "ff")};
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    EXPECT_EQ(table.rows[0].weights_hash, "differs");
    EXPECT_THAT(scaling_markdown(table), testing::HasSubstr("DIFFER"));
    const ScalingTable fast =
        make_scaling_table(config_of(R"(, "scaling": {"mode": "strong"})"), points, std::span(records).first(1));
    EXPECT_THAT(scaling_markdown(fast), testing::Not(testing::HasSubstr("DIFFER")));
}

TEST(TextTable, AlignsCharactersAndEscapesBars) {
    EXPECT_EQ(markdown_table({{"name", false}, {"n"}}, {{"a|b", "1"}, {"\xC3\xA4", "1000"}}),
              "| name |    n |\n"
              "| ---- | ---: |\n"
              "| a\\|b |    1 |\n"
              "| \xC3\xA4    | 1000 |\n");
}

TEST(TextTable, CsvQuotes) { EXPECT_EQ(csv_line({"a", "b,c", "d\"e", ""}), "a,\"b,c\",\"d\"\"e\",\n"); }

TEST(Ranks, SharedCoresAreFoundPerMachine) {
    const auto rank = [](const char* machine, const char* cpuset, bool bound = true, bool oversubscribed = false) {
        return Json{{"machine", machine}, {"cpuset", cpuset}, {"bound", bound}, {"oversubscribed", oversubscribed}};
    };
    EXPECT_FALSE(cores_are_shared(Json::array({rank("m", "0"), rank("m", "1-2")})));
    EXPECT_TRUE(cores_are_shared(Json::array({rank("m", "0-3"), rank("m", "2")})));
    EXPECT_FALSE(cores_are_shared(Json::array({rank("m", "0"), rank("other", "0")})));
    EXPECT_TRUE(cores_are_shared(Json::array({rank("m", "0-1", false, true)})));
    EXPECT_FALSE(
        cores_are_shared(Json::array({rank("m", "0-1", false), rank("m", "0-1", false)})));  // unbound, and enough for both
    const Json unbound = Json::array({rank("m", "0-3", false), rank("m", "0-3", false)});
    EXPECT_FALSE(cores_are_shared(unbound, 2));
    EXPECT_TRUE(cores_are_shared(unbound, 3));
    EXPECT_FALSE(cores_are_shared(Json::array({rank("m", "0-3", false), rank("other", "0-3", false)}), 3));
    EXPECT_FALSE(cores_are_shared(Json::array({rank("m", "0-1"), rank("m", "2-3")}), 2));
    EXPECT_TRUE(cores_are_shared(Json::array({rank("m", "0-1"), rank("m", "2")}), 2));  // two threads on one core
    EXPECT_FALSE(cores_are_shared(Json::array({rank("m", "", false)}), 4));             // nobody knows
}

// Nothing that a reader could take for scaling: no speed-up, no fit, and the first line says so.
TEST(ScalingTable, RowsWithoutCoresOfTheirOwnHaveNoSpeedUp) {
    const std::vector<Point> points{point("serial", 1, 1), point("cpu_ddp", 2, 1),
                                    point("cpu_ddp", 4, 1, PointStatus::oversubscribed, "its ranks share cores")};
    std::vector<Record> records = reps(points[0], 1000);
    append(records, reps(points[1], 1900));
    append(records, reps(points[2], 3900));
    const ScalingTable table = make_scaling_table(config_of(), points, records);
    EXPECT_TRUE(table.rows[1].speedup);
    EXPECT_FALSE(table.rows[2].speedup || table.rows[2].efficiency || table.rows[2].karp_flatt);
    EXPECT_EQ(table.rows[2].no_speedup, "had fewer cores than threads");
    EXPECT_TRUE(scaling_markdown(table).starts_with("**Not to be published: cpu_ddp-r4-t1 had more threads than cores"));
    ScalingTable fine = make_scaling_table(config_of(), std::span(points).first(2), records);
    EXPECT_EQ(fine.unpublishable, "");
    EXPECT_TRUE(scaling_markdown(fine).starts_with("# "));
}

TEST(Ranks, WarmUpIsLeftOut) {
    EXPECT_EQ(warmup_steps(0), 0u);
    EXPECT_EQ(warmup_steps(19), 1u);
    EXPECT_EQ(warmup_steps(1000), 5u);
}

}  // namespace
}  // namespace xbench
