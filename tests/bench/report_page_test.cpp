// report.html of every kind of run: what it says, that it needs nothing but itself, and that it is the same bytes each time,
// wherever its folder lies.
#include "bench/report/report_page.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "bench/base/record.h"
#include "bench/draw/line_chart.h"
#include "bench/report/kernel_part.h"
#include "bench/report/scaling_page.h"
#include "bench/report/training_page.h"
#include "bench/runs/history_file.h"
#include "bench/sweep/scaling_model.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/bench/sample_copy.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::map<std::string, std::string> files_of(const fs::path& run, const ReportRequest& request = {}) {
    std::map<std::string, std::string> files;
    for (ReportFile& file : report_files(run, request)) files[file.name] = std::move(file.text);
    return files;
}

// One file that asks for nothing: no script, no style sheet, picture or font from elsewhere.
void expect_self_contained(const std::string& page) {
    for (const char* text : {"<script", "<link", "<iframe", "src=\"http", "href=\"http", "url(", "@import", "@font-face"})
        EXPECT_THAT(page, Not(HasSubstr(text)));
    EXPECT_THAT(page, HasSubstr("prefers-color-scheme:dark"));
    EXPECT_THAT(page, HasSubstr("width=device-width"));
    for (const char* tag : {"svg", "table", "details", "ul", "p"})
        EXPECT_EQ(testing::Matches(HasSubstr(fmt::format("<{}", tag)))(page),
                  testing::Matches(HasSubstr(fmt::format("</{}>", tag)))(page))
            << tag;
}

TEST(ScalingPage, SaysWhatWasFound) {
    const std::string page = files_of(sample)["report.html"];
    for (const char* text :
         {"cpu_ddp on 16 x 1 cores trains 8.07 times as fast as the serial program (8.01 to 8.13), at an efficiency of "
          "0.50.",
          "Weights: the same, bit for bit, in all 45 runs of 5 rows",
          "1 of 6 rows has no result.",
          "96.1%",
          "1.902 to 1.924",
          "gpu_ddp-r2-t1-cuda not_run: no GPU here",
          "with 9 repeats at",
          "Amdahl + communication",
          "0123456789abcdef",
          "xbench --config sample.json --out sample",
          "<svg",
          "fill-opacity",
          "Seconds until the validation accuracy is 0.944",
          "activations",
          "is last in",
          "75%",
          "download=\"scaling.csv\"",
          "href=\"memory.csv\"",
          "not measured: laws asked beyond it",
          "<title>cpu_ddp, 16: 8.06"})
        EXPECT_THAT(page, HasSubstr(text));
    expect_self_contained(page);
    EXPECT_LT(page.size(), 200000u);
}

TEST(ScalingPage, AnInterruptedSweepHasOneToo) {
    const Copy copy("page");
    copy.change_records([](Json& json) { return json["kind"] == "rep" && json["params"]["ranks"] == 1 && json["rep"] < 3; });
    const std::string page = files_of(copy.folder)["report.html"];
    EXPECT_THAT(page, HasSubstr("this report is not complete"));
    EXPECT_THAT(page, HasSubstr("No row has a speed-up over the baseline, serial on 1 x 1 cores"));
    EXPECT_THAT(page, HasSubstr("has not run yet"));
    expect_self_contained(page);
    copy.change_records([](Json&) { return false; });  // nothing has run
    EXPECT_THAT(files_of(copy.folder)["report.html"], HasSubstr("this report is not complete"));
}

// Twice, and from a copy with another name in another place: every file, byte for byte.
TEST(ReportFiles, AreTheSameBytesWhereverTheFolderLies) {
    const auto files = files_of(sample);
    EXPECT_EQ(files, files_of(sample));
    const Copy copy("elsewhere");
    EXPECT_EQ(files, files_of(copy.folder));
    for (const char* name : {"report.html", "scaling.md", "scaling.csv", "memory.csv", "delays.csv"})
        EXPECT_TRUE(files.contains(name)) << name;
    for (const auto& [name, text] : files) {
        EXPECT_THAT(text, Not(HasSubstr(sample.string()))) << name;
        std::ofstream(copy.folder / name) << text;
    }
    EXPECT_EQ(files, files_of(copy.folder));  // what a report has left does not change the next one
}

// The sentences and cells of both come from one model: neither shows a number of a row that the other does not have.
TEST(ReportFiles, MarkdownAndPageShowOneModel) {
    auto files = files_of(sample);
    const ScalingModel model = scaling_model(read_run(sample).table);
    const auto joined = [](std::string text) {
        std::replace(text.begin(), text.end(), '\n', ' ');
        for (size_t at; (at = text.find("  ")) != std::string::npos;) text.erase(at, 1);
        return text;
    };
    const std::string markdown = joined(files["scaling.md"]), page = files["report.html"];
    for (const std::vector<std::string>& texts : {model.curve, model.work, model.reasons})
        for (const std::string& text : texts) {
            EXPECT_THAT(markdown, HasSubstr(text));
            EXPECT_THAT(page, HasSubstr(escaped_markup(text)));
        }
    for (const ModelTable* table : {&model.speed, &model.quality, &model.accuracy, &model.memory, &model.delays})
        for (const std::vector<std::string>& cells : table->rows)
            for (size_t i = 0; i < cells.size(); ++i) {
                EXPECT_THAT(page, HasSubstr(">" + escaped_markup(cells[i]) + "<"));
                if (table->columns[i].page_only || cells[i].empty()) continue;
                EXPECT_THAT(markdown, HasSubstr(" " + cells[i] + " "));
            }
}

TEST(ReportFiles, ScalingMarkdownIsReadableAt120Columns) {
    std::stringstream text(files_of(sample)["scaling.md"]);
    for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 120u) << line;
}

// 10,000 records: 200 rows of 50 repeats. How long it takes: tests/bench/sample_run/make_run.py says how to measure it.
TEST(ReportFiles, TenThousandRecordsMakeAPageOfLessThan5Megabytes) {
    const Copy copy("large");
    std::vector<Json> rows;
    std::ifstream file(sample / "records.jsonl");
    for (std::string line; std::getline(file, line);)
        if (Json json = *parse_json(line); json["kind"] == "rep" && json["rep"] == 1) rows.push_back(std::move(json));
    ASSERT_EQ(rows.size(), 5u);
    for (Json& row : rows) {  // what the page does not show
        row["samples_ns"] = {1000, 1000, 1000};
        row["per_rank"] = Json::array();
    }
    std::string text;
    for (int threads = 1; threads <= 40; ++threads)
        for (Json& row : rows) {
            row["rep"] = 777;
            row["params"]["threads"] = threads;
            row["params"]["point"] = fmt::format("{}-r{}-t{}", row["params"]["trainer"].get<std::string>(),
                                                 row["params"]["ranks"].get<int>(), threads);
            row["value"] = 88888;
            const std::string line = json_text(row);
            const size_t rep = line.find("777"), value = line.find("88888");
            ASSERT_LT(rep, value);
            for (int i = 1; i <= 50; ++i)
                text += fmt::format("{}{}{}{:.1f}{}\n", line.substr(0, rep), i, line.substr(rep + 3, value - rep - 3),
                                    1000.0 + threads + (i * 7919 % 101) * 0.1, line.substr(value + 5));
        }
    std::ofstream(copy.folder / "records.jsonl") << text;
    const auto files = files_of(copy.folder);
    EXPECT_LT(files.at("report.html").size(), 5u << 20);
    EXPECT_THAT(files.at("report.html"), HasSubstr("cpu_ddp-r16-t40"));
}

// ---- time to accuracy ---------------------------------------------------------------------------------------------------

TEST(TimeToAccuracy, IsThatOfTheHistories) {
    const RunFiles run = read_run(sample);
    ASSERT_TRUE(run.table.target_accuracy);
    EXPECT_DOUBLE_EQ(*run.table.target_accuracy, 0.944);  // 0.9448, rounded down
    const ToAccuracy &base = run.table.rows[0].to_accuracy, &two = run.table.rows[1].to_accuracy;
    EXPECT_EQ(base.epoch, 3);
    EXPECT_NEAR(base.seconds.median, 30 * 8e-3 + 0.099, 0.01);
    EXPECT_NEAR(*two.ratio, base.seconds.median / two.seconds.median, 1e-12);
    EXPECT_LT(*two.low, *two.ratio);
    EXPECT_GT(*two.high, *two.ratio);
    EXPECT_EQ(read_run(sample, 0.93).table.rows[0].to_accuracy.epoch, 2);
    const RunFiles never = read_run(sample, 0.99);
    EXPECT_FALSE(never.table.rows[0].to_accuracy.reached());
    EXPECT_EQ(never.table.rows[0].to_accuracy.why_not, "it never reaches 0.990: its best is 0.945");
    EXPECT_THAT(scaling_markdown(never.table), HasSubstr("never"));
}

// A row of other work has no speed-up, and a time to equal accuracy instead; or the row says why there is none.
TEST(TimeToAccuracy, StandsInForTheSpeedUpOfOtherWork) {
    const auto note_of = [](const char* name, auto change) {
        const Copy copy(name);
        copy.change_records([&](Json& json) {
            if (json["kind"] == "rep" && json["params"]["ranks"] == 2) change(json);
            return true;
        });
        const RunFiles run = read_run(copy.folder);
        EXPECT_FALSE(run.table.rows[1].speedup);
        std::string all;
        for (const std::string& note : run.table.notes) all += note + "\n";
        return all;
    };
    EXPECT_THAT(note_of("half", [](Json& json) { json["counters"]["images_trained"] = 960; }),
                testing::ContainsRegex("cpu_ddp-r2-t1 trained on 960 images and the baseline on 1920: other work, so no "
                                       "speed-up is given; it reaches a validation accuracy of 0.944 in 0.2[0-9]+ s, "
                                       "1.[0-9]+ times as fast as the baseline \\(1.[0-9]+ to 1.[0-9]+\\)"));
    EXPECT_THAT(note_of("worse",
                        [](Json& json) {
                            json["weights_hash"] = "ff";
                            json["counters"]["history"]["val_accuracy"] = {0.5, 0.6, 0.7};
                        }),
                HasSubstr("ended in other weights than the baseline: other work, so no speed-up is given; no time to equal "
                          "accuracy: it never reaches 0.944: its best is 0.700."));
    EXPECT_THAT(note_of("other_data", [](Json& json) { json["data_sha"] = "e"; }),
                HasSubstr("no time to equal accuracy: its accuracy is one of other images."));
    EXPECT_THAT(note_of("no_history",
                        [](Json& json) {
                            json["weights_hash"] = "ff";
                            json["counters"].erase("history");
                        }),
                HasSubstr("no time to equal accuracy: its records carry no history."));
}

// ---- other kinds of runs --------------------------------------------------------------------------------------------

// A training's folder, with or without an end.
struct Training {
    fs::path folder;
    explicit Training(const std::string& name, bool ended = true)
        : folder(fs::path(testing::TempDir()) / fmt::format("xb_{}_{}", name, getpid())) {
        fs::remove_all(folder);
        fs::create_directories(folder);
        for (const char* file : {"config.resolved.json", "env.json"}) fs::copy_file(sample / file, folder / file);
        std::vector<EpochResult> history(3);
        for (int i = 0; i < 3; ++i)
            history[static_cast<size_t>(i)] = {.epoch = i + 1,
                                               .train_loss = 0.5 / (i + 1),
                                               .val_loss = 0.6 / (i + 1),
                                               .val_accuracy = 0.8 + 0.05 * i,
                                               .train_seconds = 2,
                                               .val_seconds = 0.5};
        write_text(folder / "history.csv", history_csv(history));
        if (!ended) return;
        write_text(folder / "metrics.json",
                   R"({"count": 100, "accuracy": 0.9, "balanced_accuracy": 0.85, "majority_baseline": 0.6, "loss": 0.2,
                       "per_class": {"sick <b>": {"precision": 0.8, "recall": 0.7, "f1": 0.75, "support": 40},
                                     "well": {"precision": 0.9, "recall": 1, "f1": 0.95, "support": 60}}})");
        write_text(folder / "confusion_matrix.csv", ",sick <b>,well\nsick <b>,28,12\nwell,0,60\n");
        std::ifstream records(sample / "records.jsonl");
        std::string line;
        std::getline(records, line);
        Json json = *parse_json(line);
        json["params"].erase("point");
        json["run_id"] = "";
        write_text(folder / "records.jsonl", json_text(json) + "\n");
    }
    ~Training() { fs::remove_all(folder); }
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;
};

TEST(TrainingPage, ShowsScoresCurvesTimeAndMemory) {
    const Training training("training");
    EXPECT_EQ(kind_of_run(training.folder), RunKind::training);
    const std::string page = files_of(training.folder)["report.html"];
    for (const char* text :
         {"pneumonia_cnn by serial on 1 x 1 cores, 3 of 3 epochs: test accuracy 0.9000 (0.8256 to 0.9448 by the draw of 100 "
          "images)",
          "always the majority class 0.6000", "sick &lt;b&gt;", "Loss", "over seconds", "Time of a step", "MiB",
          "download=\"history.csv\"", "download=\"confusion_matrix.csv\"", "xbench train --config"})
        EXPECT_THAT(page, HasSubstr(text));
    EXPECT_THAT(page, Not(HasSubstr("not complete")));
    expect_self_contained(page);
    EXPECT_EQ(page, files_of(training.folder)["report.html"]);
}

// On an emulated GPU results are right and times mean nothing: none is shown.
TEST(TrainingPage, AnEmulatedGpuHasNoTimes) {
    const Training training("emulated");
    std::string record = *file_text(training.folder / "records.jsonl");
    record.insert(record.find("\"params\":{") + 10, "\"emulated\":true,");
    write_text(training.folder / "records.jsonl", record);
    const std::string page = files_of(training.folder)["report.html"];
    EXPECT_THAT(page, HasSubstr("test accuracy 0.9000"));
    EXPECT_THAT(page, HasSubstr("there are no times"));
    for (const char* text : {"training s<", "images/s", "over seconds", "Time of a step", ">2.00<"})
        EXPECT_THAT(page, Not(HasSubstr(text)));
}

TEST(TrainingPage, ATrainingThatWasStoppedHasOneToo) {
    const Training training("stopped", false);
    const std::string page = files_of(training.folder)["report.html"];
    EXPECT_THAT(page, HasSubstr("this report is not complete"));
    EXPECT_THAT(page, HasSubstr("pneumonia_cnn, 3 of 3 epochs."));
    EXPECT_THAT(page, HasSubstr("There are none yet"));
    write_text(training.folder / "history.csv", "not,a,history\n1\n");
    EXPECT_THAT(files_of(training.folder)["report.html"], HasSubstr("No epoch has ended."));
    write_text(training.folder / "metrics.json", "[1]");  // somebody else's
    EXPECT_THAT(files_of(training.folder)["report.html"], HasSubstr("There are none yet"));
}

constexpr const char* kernels_json = R"json({
  "context": {"date": "2026-11-30T02:00:02+00:00", "host_name": "h",
              "xbench": {"isa": "avx512", "threads": 1, "peak_gflops": 100.0, "memory_copy_gbytes_per_second": 20.0}},
  "benchmarks": [
    {"name": "conv2d/a.b/nchw16c/real_time", "run_name": "conv2d/a.b/nchw16c/real_time", "run_type": "iteration",
     "real_time": 10.0, "time_unit": "us", "label": "direct (avx512)",
                     "flops_per_second" : 8e10, "bytes_per_second" : 1e9, "share_of_peak" : 0.8, "share_of_bound" : 0.8
},
    {"name": "conv2d/a.b/nchw16c/real_time", "run_name": "conv2d/a.b/nchw16c/real_time", "run_type": "iteration",
     "real_time": 12.0, "time_unit": "us", "label": "direct (avx512)", "flops_per_second": 6e10, "bytes_per_second": 1e9,
     "share_of_peak": 0.6, "share_of_bound": 0.6},
    {"name": "conv2d/a.b/nchw16c/real_time_median", "run_name": "conv2d/a.b/nchw16c/real_time", "run_type": "aggregate",
     "real_time": 99.0, "time_unit": "us"},
    {"name": "relu/c/plain/real_time", "run_name": "relu/c/plain/real_time", "run_type": "iteration",
     "error_occurred": true, "error_message": "no <memory>"}]
})json";

TEST(KernelPart, ReadsTheRepetitionsAndDrawsThem) {
    const Copy copy("kernels");
    const fs::path file = copy.folder / "kernels.json";
    write_text(file, kernels_json);
    const KernelResults results = read_kernels(file);
    ASSERT_EQ(results.kernels.size(), 2u);
    EXPECT_EQ(results.kernels[0].name, "conv2d/a.b/nchw16c");
    EXPECT_EQ(results.kernels[0].repetitions, 2);
    EXPECT_DOUBLE_EQ(results.kernels[0].gflops, 70);
    EXPECT_DOUBLE_EQ(results.kernels[0].microseconds, 11);
    EXPECT_EQ(results.kernels[1].failure, "no <memory>");
    for (const std::string& page : {files_of(file)["report.html"], files_of(copy.folder)["report.html"],
                                    files_of(sample, {{}, file})["report.html"]}) {
        for (const char* text : {"Roofline of kernels, 1 thread, avx512", "FMA peak 100 GFLOP/s", "copy from memory 20 GB/s",
                                 "70.0 GFLOP/s, 1.0 GB/s", "no &lt;memory&gt;", "download=\"kernels.csv\""})
            EXPECT_THAT(page, HasSubstr(text));
        expect_self_contained(page);
    }
    EXPECT_THAT(files_of(sample)["report.html"], Not(HasSubstr("Roofline")));
    write_text(file, "{\"context\": {}, \"benchmarks\": []}");
    EXPECT_THROW(read_kernels(file), UsageError);
    write_text(file, "[]");
    EXPECT_THROW(read_kernels(file), UsageError);
    EXPECT_THROW(report_files(file), UsageError);
}

TEST(ReportPage, RunsOfSeveralKindsStandOnOnePage) {
    const Copy sweep("several_sweep");
    const Training training("several_training");
    const fs::path kernels = fs::path(testing::TempDir()) / fmt::format("xb_several_{}.json", getpid());
    write_text(kernels, kernels_json);
    const std::string page = report_of_several({sweep.folder, training.folder, kernels});
    fs::remove(kernels);
    for (const char* text : {"Report of 3 runs", ": a sweep", ": a training", ": a suite of kernels", "cpu_ddp-r16-t1",
                             "sick &lt;b&gt;", "FMA peak", "download=\"scaling.csv\"", "download=\"history.csv\""})
        EXPECT_THAT(page, HasSubstr(text));
    EXPECT_THAT(page, Not(HasSubstr("href=\"scaling.csv\"")));  // no file lies beside this page
    expect_self_contained(page);
}

TEST(ReportPage, WhatIsNoRunSaysSo) {
    const fs::path folder = fs::path(testing::TempDir()) / fmt::format("xb_no_run_{}", getpid());
    fs::create_directories(folder);
    EXPECT_THROW(kind_of_run(folder / "absent"), UsageError);
    for (const char* file : {"", "model_card.html", "metrics.json"}) {  // none of which makes an evaluation
        if (*file != '\0') write_text(folder / file, "");
        if (std::string(file) == "metrics.json") fs::remove(folder / "model_card.html");
        try {
            kind_of_run(folder);
            ADD_FAILURE() << file;
        } catch (const UsageError& error) {
            for (const char* kind : {"sweep", "training", "search", "evaluation", "xbench kernels", "metrics.json"})
                EXPECT_THAT(error.what(), HasSubstr(kind));
        }
    }
    fs::remove_all(folder);
}

}  // namespace
}  // namespace xbench
