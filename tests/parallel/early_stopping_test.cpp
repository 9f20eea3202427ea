// Early stopping against Keras' own callback (early_stopping.json, which make_early_stopping.py has written): after which
// epoch a run ends, which one is restored, and how long the wait was.
#include "parallel/train/early_stopping.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"

namespace xbench {
namespace {

std::vector<EpochResult> history_of(const Json& values) {
    std::vector<EpochResult> history;
    for (const Json& value : values) {
        EpochResult epoch;
        epoch.epoch = static_cast<int64_t>(history.size()) + 1;
        epoch.val_loss = epoch.val_accuracy = value.get<double>();
        history.push_back(epoch);
    }
    return history;
}

TEST(EarlyStopping, EndsAndRestoresAsKerasDoes) {
    const std::string file = std::string(XB_SOURCE_DIR) + "/tests/parallel/early_stopping.json";
    const Json cases = Json::parse(*file_text(file));
    int stopped = 0, with_baseline = 0, late = 0;
    for (const Json& one : cases) {
        SCOPED_TRACE(one.dump());
        TrainConfig config;
        config.early_stopping = "keras";
        config.monitor = one.at("monitor").get<std::string>();
        config.patience = one.at("patience").get<int64_t>();
        config.min_delta = one.at("min_delta").get<double>();
        if (!one.at("baseline").is_null()) config.baseline = one.at("baseline").get<double>();
        config.start_from_epoch = one.at("start_from_epoch").get<int64_t>();
        const std::vector<EpochResult> history = history_of(one.at("values"));
        EarlyStopping state;
        size_t epochs = 0;
        while (epochs < history.size() && !state.stop) state = early_stopping(config, std::span(history).first(++epochs));
        EXPECT_EQ(epochs, one.at("epochs").get<size_t>());
        EXPECT_EQ(state.stop, one.at("stopped").get<bool>());
        EXPECT_EQ(state.best_epoch, one.at("restored").get<int64_t>());
        EXPECT_EQ(state.wait, one.at("wait").get<int64_t>());
        stopped += state.stop;
        with_baseline += state.stop && config.baseline >= 0;
        late += state.stop && config.start_from_epoch > 0;
    }
    EXPECT_GE(cases.size(), 60u);
    EXPECT_GE(stopped, 20) << "the cases show little";
    EXPECT_GE(with_baseline, 5);
    EXPECT_GE(late, 5);
}

}  // namespace
}  // namespace xbench
