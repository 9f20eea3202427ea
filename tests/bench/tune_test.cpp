// Searches: what is drawn, how rungs and ranks are formed, and that any number of workers finds the same winner, goes on
// where it was stopped, and keeps trials that fail.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "bench/tune/search_space.h"
#include "bench/tune/tune.h"
#include "core/error.h"
#include "data/datasets.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

namespace fs = std::filesystem;

TuneConfig search(const std::string& method, const std::vector<std::string>& keys, int64_t trials = 4) {
    TuneConfig config;
    config.method = method;
    config.search = keys;
    config.trials = trials;
    return config;
}

TEST(SearchSpace, AGridHasEveryCombination) {
    const auto trials = draw_trials(search("grid", {"train.learning_rate=0.001,0.01", "model.widths=[4,6],[8]"}));
    ASSERT_EQ(trials.size(), 4u);
    EXPECT_EQ(trials[1], (std::vector<std::string>{"train.learning_rate=0.001", "model.widths=[8]"}));
    EXPECT_EQ(trials[2], (std::vector<std::string>{"train.learning_rate=0.01", "model.widths=[4,6]"}));
}

TEST(SearchSpace, DrawsDependOnSeedAndTrialAlone) {
    TuneConfig config =
        search("random", {"train.learning_rate=log 1e-4..1e-2", "train.batch_size=8..64", "model.dropout=0.1..0.5"}, 40);
    const auto trials = draw_trials(config);
    config.trials = 7;
    const auto fewer = draw_trials(config);
    EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), trials.begin()));
    config.seed = 2;
    EXPECT_NE(draw_trials(config), fewer);
    int below = 0;
    for (const auto& trial : trials) {
        const double rate = std::atof(trial[0].substr(trial[0].find('=') + 1).c_str());
        EXPECT_GE(rate, 1e-4);
        EXPECT_LE(rate, 1e-2);
        below += rate < 1e-3;
        EXPECT_EQ(trial[1].find('.', 12), std::string::npos) << "a batch is whole: " << trial[1];
    }
    EXPECT_NEAR(below, 20, 12) << "half of a logarithmic range";
}

TEST(SearchSpace, MistakesNameTheirPlace) {
    const auto mistake = [](const std::string& method, const std::vector<std::string>& keys) {
        try {
            draw_trials(search(method, keys));
        } catch (const UsageError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    EXPECT_NE(mistake("random", {}).find("/tune/search"), std::string::npos);
    EXPECT_NE(mistake("random", {"train.learnig_rate=1,2"}).find("did you mean train.learning_rate?"), std::string::npos);
    EXPECT_NE(mistake("random", {"train.seed=1", "train.epochs"}).find("/tune/search/1"), std::string::npos);
    EXPECT_NE(mistake("grid", {"train.learning_rate=0.1..0.5"}).find("a grid has no ranges"), std::string::npos);
    EXPECT_NE(mistake("random", {"train.learning_rate=0.5..0.1"}), "");
    EXPECT_NE(mistake("random", {"train.learning_rate=log 0..0.1"}), "");
    EXPECT_NE(mistake("random", {"train.seed=1", "train.seed=2"}).find("twice"), std::string::npos);
}

TEST(Halving, Rungs) {
    TuneConfig config = search("halving", {}, 27);
    EXPECT_EQ(rungs_of(config, 27, 27), (std::vector<Rung>{{27, 1}, {9, 3}, {3, 9}, {1, 27}}));
    EXPECT_EQ(rungs_of(config, 10, 5), (std::vector<Rung>{{10, 1}, {3, 3}, {1, 5}}));
    EXPECT_EQ(rungs_of(config, 27, 3), (std::vector<Rung>{{27, 1}, {9, 3}}));
    config.eta = 2;
    config.min_epochs = 2;
    EXPECT_EQ(rungs_of(config, 4, 20), (std::vector<Rung>{{4, 2}, {2, 4}, {1, 20}}));
    config.method = "grid";
    EXPECT_EQ(rungs_of(config, 4, 20), (std::vector<Rung>{{4, 20}}));
}

TEST(Halving, TiesGoToTheLowerLossThenTheLowerNumberAndFailuresComeLast) {
    const auto record = [](int64_t trial, double score, double loss, const char* status = "ok") {
        TrialRecord r;
        r.trial = trial, r.score = score, r.loss = loss, r.status = status;
        return r;
    };
    const double nan = std::nan("");
    std::vector<int64_t> order;
    for (const TrialRecord& r : ranked({record(0, 9, 1, "failed"), record(1, nan, 1), record(2, 0.5, 2), record(3, 0.5, 1),
                                        record(4, 0.5, 1), record(5, 0.7, 9)}))
        order.push_back(r.trial);
    EXPECT_EQ(order, (std::vector<int64_t>{5, 3, 4, 2, 0, 1}));
}

TEST(TrialRecords, SurviveTheirFile) {
    TrialRecord r;
    r.trial = 3, r.rung = 1, r.epochs = 9, r.settings = {"train.seed=2"}, r.score = std::nan(""), r.loss = 0.25;
    const TrialRecord again = trial_from(to_json(r));
    EXPECT_EQ(to_json(again), to_json(r));
    EXPECT_TRUE(std::isnan(again.score));
}

Config small_search(const TuneConfig& how) {
    Config config = small_run();
    config.model.widths = {4};
    config.data.synthetic.count = 80;
    config.train.epochs = 4;
    config.tune = how;
    return config;
}

// stop_after_asks: whether to stop is asked between steps, too.
TuneResult run_search(int workers, const Config& config, const fs::path& folder, int stop_after_trials = 0,
                      int stop_after_asks = 0) {
    const auto dataset = open_dataset(config.data);
    TuneResult result;
    on_ranks(workers, [&](Communicator& communicator) {
        Cpu device;
        int done = 0, asks = 0;
        TuneOptions options;
        options.device = &device;
        options.folder = folder;
        options.configure = [&](const std::vector<std::string>& settings) {
            return parse_config(json_text(to_json(config)), "search", settings);
        };
        options.done = [&](const TrialRecord&) { ++done; };
        options.stop = [&] {
            return (stop_after_trials > 0 && done >= stop_after_trials) || (stop_after_asks > 0 && ++asks > stop_after_asks);
        };
        TuneResult mine = tune(config, *dataset, communicator, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

// What a search finds, but its times.
std::string essence(const TuneResult& result) {
    std::string text;
    for (TrialRecord record : result.records) {
        record.seconds = 0;
        text += json_text(to_json(record)) + "\n";
    }
    return text + std::to_string(result.winner.trial) + " " + result.winner.weights_hash + " " +
           std::to_string(result.test.loss);
}

TEST(Tune, AnyNumberOfWorkersFindsTheSameWinner) {
    for (const char* method : {"random", "halving"}) {
        SCOPED_TRACE(method);
        TuneConfig how = search(method, {"train.learning_rate=log 1e-4..1e-1", "train.seed=1,2,3"}, 5);
        how.eta = 2;
        const Config config = small_search(how);
        const TemporaryFolder alone;
        const TuneResult one = run_search(1, config, alone.path());
        EXPECT_EQ(one.records.size(), method == std::string("random") ? 5u : 5u + 2u + 1u);
        EXPECT_GT(one.test.count, 0);
        EXPECT_EQ(one.val.loss, one.winner.val_loss);
        for (const int workers : {2, 3}) {
            const TemporaryFolder folder;
            const TuneResult several = run_search(workers, config, folder.path());
            EXPECT_EQ(several.winner.trial, one.winner.trial);
            EXPECT_EQ(several.winner.score, one.winner.score);
            EXPECT_EQ(several.test.loss, one.test.loss);
            ASSERT_EQ(several.records.size(), one.records.size());
            for (size_t i = 0; i < one.records.size(); ++i) EXPECT_EQ(several.records[i].score, one.records[i].score);
        }
    }
}

// Promoted trials go on from their checkpoints: as if they had never paused.
TEST(Tune, APromotedTrialEndsAsIfItHadRunAlone) {
    TuneConfig how = search("halving", {"train.learning_rate=0.001,0.01"}, 3);
    const Config config = small_search(how);
    const TemporaryFolder folder, other;
    const TuneResult result = run_search(1, config, folder.path());
    Config alone = parse_config(json_text(to_json(config)), "alone", result.winner.settings);
    const auto dataset = open_dataset(alone.data);
    const auto self = make_self_communicator();
    EXPECT_EQ(train(alone, *dataset, *self, {}).weights_hash, result.winner.weights_hash);
}

TEST(Tune, FailedTrialsAreKeptAndTheOthersGoOn) {
    TuneConfig how = search("grid", {"train.learning_rate=0.01,1e30", "train.virtual_ranks=8,64"});
    const Config config = small_search(how);
    const TemporaryFolder folder;
    const TuneResult result = run_search(2, config, folder.path());
    ASSERT_EQ(result.records.size(), 4u);
    EXPECT_EQ(result.winner.trial, 0);
    for (size_t i = 1; i < 4; ++i) {
        EXPECT_EQ(result.records[i].status, "failed") << i;
        EXPECT_NE(result.records[i].reason, "");
        EXPECT_TRUE(fs::exists(folder.path() / "trials" / ("000" + std::to_string(i)) / "record-0.json"));
    }
    const TemporaryFolder all;
    how.search = {"train.virtual_ranks=64"};
    EXPECT_THROW(run_search(1, small_search(how), all.path()), Error);
}

TEST(Tune, GoesOnWhereItWasStopped) {
    TuneConfig how = search("random", {"train.learning_rate=log 1e-4..1e-1"}, 4);
    how.repeats = 2;
    const Config config = small_search(how);
    const TemporaryFolder whole_folder, folder;
    const TuneResult whole = run_search(1, config, whole_folder.path());
    EXPECT_EQ(whole.repeats.size(), 2u);
    EXPECT_TRUE(run_search(1, config, folder.path(), 2).interrupted);
    const auto first = fs::last_write_time(folder.path() / "trials" / "0000" / "record-0.json");
    const TuneResult rest = run_search(2, config, folder.path());
    EXPECT_FALSE(rest.interrupted);
    EXPECT_EQ(fs::last_write_time(folder.path() / "trials" / "0000" / "record-0.json"), first) << "done twice";
    EXPECT_EQ(rest.winner.trial, whole.winner.trial);
    EXPECT_EQ(rest.winner.weights_hash, whole.winner.weights_hash);
    EXPECT_EQ(rest.repeats[1].test.loss, whole.repeats[1].test.loss);
    EXPECT_NE(rest.repeats[0].val.loss, rest.repeats[1].val.loss);
}

// In the middle of an epoch, the first one included: such a trial has not failed.
TEST(Tune, GoesOnWhereASignalCame) {
    for (const char* method : {"grid", "halving"}) {
        TuneConfig how = search(method, {"train.learning_rate=0.001,0.01,0.1"}, 3);
        how.eta = 2;
        const Config config = small_search(how);
        const TemporaryFolder whole_folder;
        const TuneResult whole = run_search(1, config, whole_folder.path());
        int asks = 1;
        for (bool interrupted = true; interrupted; asks += 5) {
            SCOPED_TRACE(std::string(method) + ", stopped when it was asked for the " + std::to_string(asks) + "th time");
            const TemporaryFolder folder;
            interrupted = run_search(1, config, folder.path(), 0, asks).interrupted;
            const TuneResult rest = run_search(1, config, folder.path());
            EXPECT_EQ(essence(rest), essence(whole));
        }
        EXPECT_GT(asks, 20);
    }
}

// Trials that were measured on other images say nothing about these.
TEST(Tune, DoesNotGoOnOnAnotherDataSet) {
    Config config = small_search(search("random", {"train.learning_rate=log 1e-4..1e-1"}, 3));
    const TemporaryFolder folder;
    EXPECT_TRUE(run_search(1, config, folder.path(), 2).interrupted);
    config.data.synthetic.seed = 77;
    try {
        run_search(1, config, folder.path());
        FAIL() << "trials of two data sets in one search";
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("another data set"), std::string::npos) << error.what();
    }
}

TEST(Tune, ARepeatThatFailsTakesNothingFromTheWinner) {
    TuneConfig how = search("grid", {"train.learning_rate=0.001,0.01"});
    how.repeats = 2;
    const Config config = small_search(how);
    const TemporaryFolder folder;
    fs::create_directories(folder.path() / "repeats");
    std::ofstream(folder.path() / "repeats" / "0001") << "in the way";
    const TuneResult result = run_search(1, config, folder.path());
    EXPECT_FALSE(result.interrupted);
    ASSERT_EQ(result.repeats.size(), 2u);
    EXPECT_NE(result.repeats[0].reason, "");
    EXPECT_EQ(result.repeats[1].reason, "");
    EXPECT_GT(result.repeats[1].val.loss, 0);
    const std::string report = tune_report(result, config);
    EXPECT_NE(report.find("with 1 other seed:"), std::string::npos) << report;
    EXPECT_NE(report.find("it failed: "), std::string::npos) << report;
}

// System A's published rule: the lowest mean training loss of a chunk.
TEST(Tune, ByTheLossOfChunks) {
    TuneConfig how = search("grid", {"train.learning_rate=0.001,0.01"});
    how.select = "chunk_loss";
    Config config = small_search(how);
    config.train.chunk_images = 32;
    config.train.chunk_partitions = 2;
    const TemporaryFolder folder;
    const TuneResult result = run_search(2, config, folder.path());
    const auto& records = result.records;
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(result.winner.trial, records[0].chunk_loss <= records[1].chunk_loss ? 0 : 1);
    EXPECT_EQ(result.winner.score, -result.winner.chunk_loss);
    write_tune_files(result, config, folder.path());
    for (const char* name : {"tune.json", "trials.csv", "tune.md"}) EXPECT_TRUE(fs::exists(folder.path() / name)) << name;
    EXPECT_NE(tune_report(result, config).find("published rule"), std::string::npos);
    EXPECT_NE(tune_report(result, config).find("optimism"), std::string::npos);
}

}  // namespace
}  // namespace xbench::test
