// The files that a real, tiny training run leaves, and what they say.
#include "bench/runs/train_report.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "core/communicator.h"
#include "core/hash.h"
#include "data/datasets.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(StepTimes, MoreStepsThanMemoryHoldsMayBeAskedFor) {
    StepTimes times;
    times.reserve(SIZE_MAX);
    EXPECT_GE(times.step_ns.capacity(), size_t{1} << 16);
    EXPECT_LE(times.step_ns.capacity(), size_t{1} << 24);
}

TEST(TrainReport, FilesOfATrainingRun) {
    const Config config = parse_config(
        R"({"name": "tiny", "model": {"name": "pneumonia_cnn", "widths": [2, 3, 4]}, "data": {"synthetic": {"count": 120, "size": 16}},
            "train": {"batch_size": 16, "epochs": 2}})",
        "t.json");
    const auto dataset = open_dataset(config.data);
    const auto communicator = make_self_communicator();
    const fs::path folder = testing::TempDir() + "/xb_train_report_" + std::to_string(getpid());
    fs::create_directories(folder);
    TrainOptions options;
    options.checkpoint_dir = folder / "checkpoints";
    fs::create_directories(options.checkpoint_dir);
    const TrainResult result = train(config, *dataset, *communicator, options);
    const Json ranks = gather_ranks(*communicator, {true, false, 1, "0"});
    const TrainRun run{config, *dataset, result, "serial", "cpu", 1, 1, 0, ranks, std::nullopt, "no counters", "env"};
    write_train_files(run, folder);

    const Json metrics = Json::parse(text_of(folder / "metrics.json"));
    for (const char* key :
         {"accuracy", "balanced_accuracy", "majority_baseline", "loss", "per_class", "macro", "weighted", "confusion"}) {
        EXPECT_TRUE(metrics.contains(key)) << key;
        EXPECT_TRUE(metrics["val"].contains(key)) << key;
    }
    const std::string history = text_of(folder / "history.csv");
    EXPECT_EQ(std::count(history.begin(), history.end(), '\n'), 3);  // a header and two epochs
    EXPECT_NE(history.find(",best\n"), std::string::npos);
    for (const char* file : {"classification_report.txt", "confusion_matrix.csv", "model_summary.txt", "training_time.txt",
                             "checkpoints/best.safetensors"})
        EXPECT_GT(fs::file_size(folder / file), 0u) << file;

    const Json memory = Json::parse(text_of(folder / "memory.json"));
    EXPECT_GT(memory["in_step"]["activations"].get<size_t>(), 0u);
    EXPECT_EQ(memory["in_step"], memory["predicted"]);
    const std::string summary = text_of(folder / "model_summary.txt");
    EXPECT_NE(summary.find("| predicted "), std::string::npos);
    EXPECT_NE(summary.find("\nprecision fp32\n"), std::string::npos);

    const std::vector<Record> records = read_records(folder / "records.jsonl");
    ASSERT_EQ(records.size(), 1u);
    const Record& record = records[0];
    const auto& between = result.times.between_steps_ns;
    EXPECT_EQ(record.counters["between_steps_ns"], std::accumulate(between.begin(), between.end(), int64_t{0}));
    EXPECT_EQ(record.samples_ns, result.times.step_ns);
    EXPECT_EQ(record.weights_hash, result.weights_hash);
    EXPECT_EQ(record.counters["images_trained"].get<int64_t>(),
              2 * static_cast<int64_t>(dataset->indices(Split::train).size()));
    EXPECT_EQ(record.counters["test_accuracy"].get<double>(), metrics["accuracy"].get<double>());
    EXPECT_EQ(record.config_sha, hash_hex(to_json(config).dump()));
    EXPECT_EQ(record.data_sha, dataset->digest());
    EXPECT_EQ(record.per_rank[0]["cpuset"], "0");

    // Throughput leaves the warm-up steps out and nothing else.
    const size_t skip = warmup_steps(result.times.step_ns.size());
    const double images = std::accumulate(result.times.step_images.begin() + static_cast<std::ptrdiff_t>(skip),
                                          result.times.step_images.end(), 0.0);
    const double ns =
        std::accumulate(result.times.step_ns.begin() + static_cast<std::ptrdiff_t>(skip), result.times.step_ns.end(), 0.0);
    EXPECT_NEAR(record.value, images / (ns * 1e-9), 1e-6 * record.value);

    // With loss scaling, which only GPUs have.
    Config scaled = config;
    scaled.train.precision = "fp16";
    TrainResult skipping = result;
    skipping.history.front().skipped_updates = 2;
    skipping.history.back().skipped_updates = 1, skipping.history.back().loss_scale = 8192;
    const TrainRun other{scaled, *dataset, skipping, "serial", "cuda", 1, 1, 0, ranks, std::nullopt, "no counters", "env"};
    EXPECT_EQ(train_record(other).counters["skipped_updates"].get<int64_t>(), 3);
    EXPECT_EQ(train_record(other).counters["loss_scale"].get<double>(), 8192);
    EXPECT_FALSE(record.counters.contains("loss_scale"));
    write_train_files(other, folder);
    EXPECT_NE(text_of(folder / "model_summary.txt").find("precision fp16, loss scale 8192 in the end, 3 updates skipped"),
              std::string::npos);
    EXPECT_NE(text_of(folder / "history.csv").find(",best,loss_scale,skipped_updates\n"), std::string::npos);
    EXPECT_NE(text_of(folder / "history.csv").find(",8192,1\n"), std::string::npos);
    fs::remove_all(folder);
}

}  // namespace
}  // namespace xbench
