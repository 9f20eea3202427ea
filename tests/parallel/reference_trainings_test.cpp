// Whole trainings against PyTorch in double precision: the cases of tests/golden/trainings.json, each drawn over many keys
// of the configuration and run as it says (serial, several ranks, sharded). Data are whole numbers of Philox, as
// training_cases.py makes them. The file holds the tolerances: some ten times what float32 costs PyTorch.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "core/rng.h"
#include "data/set/memory_dataset.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/train/trainer.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

std::vector<Json> golden_trainings() {
    std::ifstream file(XB_SOURCE_DIR "/tests/golden/trainings.json");
    return Json::parse(file).get<std::vector<Json>>();
}

// Labels and splits; rows of `targets` where an image has several.
void add_labels(const Json& about, SetRecords& records) {
    const auto counts = about.at("images").get<std::vector<int64_t>>();
    for (int64_t k = 0; k < about.at("classes").get<int64_t>(); ++k) records.info.class_names.push_back(std::to_string(k));
    records.info.multilabel = about.at("multilabel").get<bool>();
    Random labels(about.at("seed").get<uint64_t>(), RandomUse::test_data, 0x10001);
    for (size_t split = 0; split < 3; ++split)
        for (int64_t i = 0; i < counts[split]; ++i) {
            records.splits.push_back(static_cast<uint8_t>(split));
            records.ids.push_back(std::to_string(records.ids.size()));
            if (!records.info.multilabel)
                records.labels.push_back(static_cast<int32_t>(labels.bits() % records.info.class_names.size()));
            for (size_t k = 0; records.info.multilabel && k < records.info.class_names.size(); ++k)
                records.targets.push_back(labels.bits() % 3 == 0);
        }
}

// Noise, and stripes for each class that the image has.
ImageSet make_set(const Json& about) {
    ImageSet set;
    DatasetInfo& info = set.records.info;
    add_labels(about, set.records);
    info.source = "golden training";
    info.count = static_cast<int64_t>(set.records.ids.size());
    info.channels = about.at("channels").get<int64_t>();
    info.height = info.width = about.at("size").get<int64_t>();
    info.bytes_per_pixel = about.at("bits").get<int>() / 8;
    const int64_t classes = info.classes();
    for (int64_t i = 0; i < info.count; ++i) {
        Random noise(about.at("seed").get<uint64_t>(), RandomUse::test_data, static_cast<uint32_t>(i));
        const auto has = [&](int64_t k) {
            if (k == classes) return false;
            return info.multilabel ? set.records.targets[static_cast<size_t>(i * classes + k)] != 0
                                   : set.records.labels[static_cast<size_t>(i)] == k;
        };
        for (int64_t pixel = 0; pixel < info.channels * info.height * info.width; ++pixel) {
            const int64_t x = pixel % info.width, y = pixel / info.width % info.height;
            // Class k shows where x + 2 y + k is a multiple of classes + 1.
            const int64_t shown = (2 * (classes + 1) * info.height - x - 2 * y) % (classes + 1);
            const auto value = static_cast<uint8_t>(noise.bits() % 120 + (has(shown) ? 120 : 0));
            set.pixels.insert(set.pixels.end(), static_cast<size_t>(info.bytes_per_pixel),
                              value);  // 257 times it in 16 bits
        }
    }
    return set;
}

struct Outcome {
    TrainResult result;
    WeightSet last;
};

Outcome trained(const Json& golden) {
    Json asked{{"model", golden.at("model")}, {"data", golden.at("data")}, {"train", golden.at("train")}};
    asked["data"]["path"] = "in memory";
    const Config config = parse_config(asked.dump(), "golden training");
    const MemoryDataset dataset(make_set(golden.at("set")));
    const TemporaryFolder folder;
    TrainOptions options;
    options.threads = golden.at("run").at("threads").get<int>();
    options.stage = golden.at("run").at("stage").get<int>();
    options.checkpoint_dir = folder.path();
    Outcome outcome;
    on_ranks(golden.at("run").at("ranks").get<int>(), [&](Communicator& communicator) {
        TrainResult mine = train(config, dataset, communicator, options);
        if (communicator.rank() == 0) outcome.result = std::move(mine);
    });
    outcome.last = load_weights(folder.path() / "last.safetensors");
    return outcome;
}

void expect_tensor(const Json& golden, const std::string& name, const NamedTensor& found) {
    SCOPED_TRACE(name);
    ASSERT_EQ(found.data.size(), golden.at("elements").get<size_t>());
    const double tolerance = golden.at("tolerance").get<double>(), float32 = golden.at("float32_error").get<double>();
    double squares = 0;
    for (const float value : found.data) squares += double{value} * double{value};
    // Lengths differ by no more than the error's.
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(found.data.size())), golden.at("rms").get<double>(), tolerance);
    const Json& shown = golden.at("shown");
    for (size_t j = 0; j < shown.size(); ++j)
        EXPECT_NEAR(found.data[j * found.data.size() / 4], shown[j].get<double>(), 10 * (tolerance + float32)) << j;
}

void expect_scores(const Json& golden, const std::vector<std::pair<const char*, double>>& found) {
    for (const auto& [key, value] : found)
        EXPECT_NEAR(value, golden.at(key)[0].get<double>(), golden.at(key)[1].get<double>()) << key;
}

class ReferenceTraining : public testing::TestWithParam<size_t> {};

TEST_P(ReferenceTraining, EndsAsPyTorchInDoublePrecision) {
    const Json golden = golden_trainings()[GetParam()];
    SCOPED_TRACE(golden.at("model").dump() + golden.at("train").dump() + golden.at("run").dump());
    const Outcome found = trained(golden);
    ASSERT_EQ(found.result.history.size(), golden.at("history").size());
    for (size_t e = 0; e < found.result.history.size(); ++e) {
        SCOPED_TRACE(e);
        const EpochResult& epoch = found.result.history[e];
        expect_scores(golden.at("history")[e], {{"train_loss", epoch.train_loss},
                                                {"val_loss", epoch.val_loss},
                                                {"val_accuracy", epoch.val_accuracy},
                                                {"val_balanced_accuracy", epoch.val_balanced_accuracy},
                                                {"learning_rate", epoch.learning_rate}});
    }
    EXPECT_EQ(found.result.best_epoch, golden.at("best_epoch").get<int64_t>());
    expect_scores(golden.at("test"), {{"loss", found.result.test.loss},
                                      {"accuracy", found.result.test.accuracy},
                                      {"balanced_accuracy", found.result.test.balanced_accuracy}});
    size_t compared = 0;
    for (const NamedTensor& tensor : found.last.tensors)
        if (golden.at("last").contains(tensor.name)) {
            expect_tensor(golden.at("last").at(tensor.name), tensor.name, tensor);
            ++compared;
        }
    EXPECT_EQ(compared, golden.at("last").size());
}

INSTANTIATE_TEST_SUITE_P(Golden, ReferenceTraining, testing::Range(size_t{0}, golden_trainings().size()));

}  // namespace
}  // namespace xbench::test
