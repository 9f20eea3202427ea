// The report of a search: the winner, the flattery of choosing, all trials; and of one that has not ended.
#include "bench/report/search_page.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "bench/base/record.h"
#include "bench/report/report_page.h"
#include "bench/tune/tune.h"
#include "core/error.h"
#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

TrialRecord trial(int64_t number, double score, std::vector<std::string> settings, int64_t rung = 0) {
    TrialRecord record;
    record.trial = number;
    record.rung = rung;
    record.epochs = 2 + rung;
    record.best_epoch = 2;
    record.settings = std::move(settings);
    record.score = record.val_accuracy = score;
    record.loss = record.val_loss = 1 - score;
    record.seconds = 1.25;
    return record;
}

struct Search {
    fs::path folder = fs::path(testing::TempDir()) / fmt::format("xb_search_{}", getpid());
    Config config = parse_config(R"({"name": "mine", "model": "pneumonia_cnn", "data": {"path": "d.h5"},
                                     "tune": {"search": ["train.learning_rate=0.1,0.2"]}})",
                                 "t");
    TuneResult result;

    Search() {
        fs::create_directories(folder);
        write_text(folder / "config.resolved.json", json_text(to_json(config)));
        result.records = {trial(0, 0.71, {"train.learning_rate=0.0001", "train.optimizer=a<b>m"}),
                          trial(1, 0.92, {"train.learning_rate=0.01", "train.optimizer=sgd"}),
                          trial(2, 0.5, {"train.learning_rate=1", "train.optimizer=sgd"}),
                          trial(3, std::nan(""), {"train.learning_rate=2", "train.optimizer=sgd"}),
                          trial(1, 0.94, {"train.learning_rate=0.01", "train.optimizer=sgd"}, 1)};
        result.records[3].status = "failed";
        result.records[3].reason = "the loss is <NaN>";
        result.winner = result.records.back();
        result.weights = "/srv/someone/best.safetensors";
        result.val.accuracy = result.winner.val_accuracy;
        result.test.count = 30;
        result.test.accuracy = 0.9;
        result.repeats.resize(2);
        for (Repeat& repeat : result.repeats) repeat.val.accuracy = 0.91, repeat.test.accuracy = 0.89, repeat.seed += 77;
    }
    ~Search() { fs::remove_all(folder); }
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;
    std::string page() const { return report_files(folder).front().text; }
};

TEST(SearchPage, ShowsTheWinnerAndAllTrials) {
    const Search search;
    write_tune_files(search.result, search.config, search.folder);
    EXPECT_EQ(kind_of_run(search.folder), RunKind::search);
    const std::string page = search.page();
    for (const char* text :
         {"mine: a search over keys",
          "Trial 1 is the best of 4 by val_accuracy: its val_accuracy is 0.9400 on the validation "
          "split and 0.9000 on the test split, which was looked at once.",
          "With 2 other seeds it is 0.9100 on the validation split and 0.8900 on the test split on average: choosing "
          "flatters "
          "by +0.0300.",
          "<dt>train.learning_rate</dt>\n<dd>0.01</dd>", "log10 of train.learning_rate", "<td>a&lt;b&gt;m</td>",
          "Trial 3 failed: the loss is &lt;NaN&gt;.", "<td>77</td>", "download=\"trials.csv\""})
        EXPECT_THAT(page, HasSubstr(text));
    for (const char* text : {"/srv/someone", "<script", "| ---", "nan", "over train.optimizer", "not complete"})
        EXPECT_THAT(page, Not(HasSubstr(text)));
    EXPECT_EQ(page, search.page());
    EXPECT_THAT(report_of_several({search.folder, search.folder}), HasSubstr(": a search"));
}

TEST(SearchPage, OfASearchThatHasNotEnded) {
    const Search search;
    for (const TrialRecord& record : search.result.records) {
        const fs::path trial = search.folder / "trials" / fmt::format("{:04}", record.trial);
        fs::create_directories(trial);
        write_text(trial / fmt::format("record-{}.json", record.rung), json_text(to_json(record)));
    }
    write_text(search.folder / "trials/0002/record-1.json", "{\"trial\": 2, ");
    EXPECT_EQ(kind_of_run(search.folder), RunKind::search);
    const std::string page = search.page();
    for (const char* text : {"this report is not complete", "Trial 1 is the best of 4 by val_accuracy, 0.9400, so far.",
                             "the best so far", "Trial 3 failed"})
        EXPECT_THAT(page, HasSubstr(text));
    fs::remove_all(search.folder / "trials");
    fs::create_directories(search.folder / "trials");
    EXPECT_THAT(search.page(), HasSubstr("None of 0 trials has come to its end."));
}

// Files of another version, or of a hand.
TEST(SearchPage, ReadsWhatIsThere) {
    const Search search;
    for (const char* text : {"{}", "[]", "{", R"({"trials": 3, "repeats": {}, "optimism": []})",
                             R"({"failed_repeats": [3, {"seed": "x"}], "repeats": 7})",
                             R"({"trials": [1, {"trial": "x"}], "repeats": [1], "optimism": {"val": "y"}})"}) {
        write_text(search.folder / "tune.json", text);
        EXPECT_THAT(search.page(), HasSubstr("None of 0 trials has come to its end.")) << text;
    }
}

}  // namespace
}  // namespace xbench
