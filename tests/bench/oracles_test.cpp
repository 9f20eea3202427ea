// Series and cases for oracles_test.sh, each with our answer beside it: written where XBENCH_ORACLES names a folder, else
// skipped.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/audit/audit.h"
#include "bench/base/change_points.h"
#include "core/config.h"
#include "core/rng.h"
#include "tests/bench/factor_records.h"

namespace xbench {
namespace {

std::string folder() {
    const char* given = std::getenv("XBENCH_ORACLES");
    return given == nullptr ? "" : given;
}

TEST(Oracles, SeriesForRuptures) {
    if (folder().empty()) GTEST_SKIP() << "XBENCH_ORACLES names no folder (tests/bench/oracles_test.sh does)";
    std::ofstream series(folder() + "/series.txt"), ours(folder() + "/series.ours");
    for (uint32_t trial = 0; trial < 40; ++trial) {
        Random random(3, RandomUse::test_data, trial);
        std::vector<double> values(200);
        double level = 0;
        for (double& value : values) {
            if (random.below(40) == 0) level = 5 * static_cast<double>(random.uniform());
            value = level + static_cast<double>(random.normal());
        }
        const size_t least = 2 + random.below(10);
        const double penalty = 5 + 10 * static_cast<double>(random.uniform());
        series << fmt::format("{:.17g} {} {:.17g}\n", penalty, least, fmt::join(values, " "));
        ours << fmt::format("{}\n", fmt::join(pelt(values, penalty, least), " "));
    }
}

std::string rounded(double value) { return fmt::format("{:.3f}", std::floor(1000 * value + 0.5) / 1000); }

// A two-class report of one class' recall (sensitivity) and F1, and the accuracy; every other one with a score changed.
TEST(Oracles, CasesForMlscorecheck) {
    if (folder().empty()) GTEST_SKIP() << "XBENCH_ORACLES names no folder (tests/bench/oracles_test.sh does)";
    std::ofstream cases(folder() + "/cases.txt"), ours(folder() + "/cases.ours");
    for (uint32_t trial = 0; trial < 60; ++trial) {
        Random random(5, RandomUse::test_data, trial);
        const double p = 40 + random.below(300), n = 40 + random.below(300), tp = 1 + random.below(static_cast<uint32_t>(p)),
                     tn = random.below(static_cast<uint32_t>(n));
        const double f1 = 2 * tp / (2 * tp + (n - tn) + (p - tp));
        std::string accuracy = rounded((tp + tn) / (p + n));
        if (trial % 2 == 1)
            accuracy = rounded(std::min(1.0, (tp + tn) / (p + n) + 0.004 + 0.03 * static_cast<double>(random.uniform())));
        cases << fmt::format("{} {} 0.0005 {} {} {}\n", p, n, accuracy, rounded(tp / p), rounded(f1));
        const std::string csv = fmt::format("class,recall,f1,support\nyes,{},{},{}\nno,,,{}\naccuracy,,{},{}\n",
                                            rounded(tp / p), rounded(f1), p, n, accuracy, p + n);
        bool impossible = false;
        for (const audit::Finding& finding : audit::audit(parse_csv(csv, "case.csv")).findings)
            impossible =
                impossible || finding.level == audit::Level::impossible || finding.level == audit::Level::if_truncated;
        ours << (impossible ? 1 : 0) << "\n";
    }
}

// A sweep with probes, of which talp-pages reads the export.
TEST(Oracles, RunWithFactorsForTalp) {
    if (folder().empty()) GTEST_SKIP() << "XBENCH_ORACLES names no folder (tests/bench/oracles_test.sh does)";
    const std::filesystem::path run = std::filesystem::path(folder()) / "factors";
    std::filesystem::create_directories(run);
    const Config config = parse_config(
        R"({"name": "factors", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 4096}},
            "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": 2}]})",
        "factors");
    write_text(run / "config.resolved.json", json_text(to_json(config)));
    test::Truth truth;
    truth.useful = {29, 34};
    truth.slowest = 35, truth.arrivals = 36, truth.preloaded = 39, truth.job = 41;
    append_records(run / "records.jsonl", test::records_of(truth, 7));
}

}  // namespace
}  // namespace xbench
