// The update that ranks of one node share: the weights of every other way, also where it is interrupted, and where it is
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "core/error.h"
#include "data/datasets.h"
#include "tests/parallel/run_on.h"
#include "tests/parallel/shm_ranks.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

using testing::HasSubstr;

// Parameters of some 25 pieces.
Config several_pieces() {
    Config config = small_run();
    config.model.widths = {8, 32, 320};
    config.data.synthetic.count = 60;
    config.train.epochs = 1;
    return config;
}

TrainResult over_shared_memory(int ranks, const Config& config, const TrainOptions& options = {}) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    for (const std::string& said : on_threads(ranks, 60, [&](Communicator& communicator) {
             TrainResult mine = train(config, *dataset, communicator, options);
             if (communicator.rank() == 0) result = std::move(mine);
             return std::string();
         }))
        EXPECT_EQ(said, "");
    return result;
}

TEST(FusedUpdate, TheWeightsOfOneProcess) {
    Config config = several_pieces();
    for (const char* optimizer : {"adam", "adamw", "sgd"}) {
        config.train.optimizer = optimizer;
        config.train.weight_decay = 0.01;
        const std::string one = run_on(1, config).final_weights_hash;
        for (const int ranks : {2, 3, 4}) {
            const TrainResult in_buckets = run_on(ranks, config);
            for (const int threads : {1, 2}) {
                TrainOptions options;
                options.threads = threads;
                const TrainResult result = over_shared_memory(ranks, config, options);
                EXPECT_EQ(result.overlap, "fused");
                EXPECT_EQ(result.final_weights_hash, one)
                    << optimizer << ", " << ranks << " ranks, " << threads << " threads";
                EXPECT_EQ(result.gradient_bytes, in_buckets.gradient_bytes);
            }
        }
    }
}

TEST(FusedUpdate, OverSeveralPasses) {
    Config config = several_pieces();
    config.train.batchnorm = "local";
    const std::string one = run_on(1, config).final_weights_hash;
    for (const int64_t accumulate : {1, 2}) {
        config.train.accumulate = accumulate;
        const TrainResult result = over_shared_memory(2, config);
        EXPECT_EQ(result.overlap, "fused");
        EXPECT_EQ(result.final_weights_hash, one) << accumulate << " passes";
    }
}

// The first rank has the parameters, all others see them; the ledger counts them there.
TEST(FusedUpdate, ParametersAreCountedOnce) {
    const Config config = several_pieces();
    const auto dataset = open_dataset(config.data);
    std::array<TrainResult, 3> results;
    on_threads(3, 60, [&](Communicator& c) {
        results[static_cast<size_t>(c.rank())] = train(config, *dataset, c, {});
        return std::string();
    });
    for (size_t rank = 0; rank < results.size(); ++rank) {
        const TrainResult& result = results[rank];
        const size_t counted = result.memory_in_steps[MemoryCategory::parameters];
        EXPECT_EQ(counted, result.memory_predicted[MemoryCategory::parameters]) << rank;
        EXPECT_EQ(counted > 0, rank == 0) << rank;
        EXPECT_EQ(result.final_weights_hash, results[0].final_weights_hash);
    }
}

// Each rank has the moments of its part only; a checkpoint must have all.
TEST(FusedUpdate, ResumesWithOtherRanksAndModes) {
    Config config = several_pieces();
    config.train.epochs = 2;
    const std::string whole = run_on(1, config).final_weights_hash;
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    options.resume = true;
    TrainResult last;
    for (const auto& [ranks, overlap] : {std::pair{2, "fused"}, {3, "fused"}, {2, "none"}, {4, "fused"}}) {
        options.stop = [last_part = ranks == 4] { return !last_part; };  // behind the first step
        config.train.overlap = overlap;
        last = over_shared_memory(ranks, config, options);
        EXPECT_EQ(last.interrupted, ranks != 4);
    }
    EXPECT_EQ(last.resumed_at, 3);
    EXPECT_EQ(last.final_weights_hash, whole);
}

TEST(FusedUpdate, IsChosenForReplicasInSharedMemoryOnly) {
    Config config = several_pieces();
    EXPECT_EQ(run_on(2, config).overlap, "inline");
    TrainOptions sharded;
    sharded.stage = 1;
    EXPECT_EQ(over_shared_memory(2, config, sharded).overlap, "inline");
    config.train.reduction = "fast";
    EXPECT_EQ(over_shared_memory(2, config).overlap, "fused");
    config.train.compression = "bf16";
    EXPECT_EQ(over_shared_memory(2, config).overlap, "inline");
}

TEST(FusedUpdate, IsRefusedElsewhere) {
    Config config = several_pieces();
    config.train.overlap = "fused";
    const auto refusal = [&](int stage) {
        try {
            run_on(2, config, 1, stage);
        } catch (const UsageError& error) {
            return std::string(error.what());
        }
        return std::string("was accepted");
    };
    EXPECT_THAT(refusal(0), HasSubstr("ranks that talk over threads do not see each other's memory"));
    EXPECT_THAT(refusal(1), HasSubstr("sharded updates its shards between"));
}

}  // namespace
}  // namespace xbench::test
