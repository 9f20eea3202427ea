// ZeRO stages 1 to 3 against DDP and one process: the same weights, and the memory that was predicted.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/error.h"
#include "data/datasets.h"
#include "models/registry.h"
#include "parallel/comm/slow_link.h"
#include "parallel/strategy/memory_prediction.h"
#include "parallel/train/health.h"
#include "tests/parallel/rank_steps.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"
#include "tests/plan/equal_units.h"
#include "tests/plan/harness.h"

namespace xbench::test {
namespace {

// By rank.
std::vector<TrainResult> train_on(int ranks, const Config& config, const TrainOptions& options) {
    const auto dataset = open_dataset(config.data);
    std::vector<TrainResult> results(static_cast<size_t>(ranks));
    on_ranks(ranks, [&](Communicator& communicator) {
        results[static_cast<size_t>(communicator.rank())] = train(config, *dataset, communicator, options);
    });
    return results;
}

TrainOptions at_stage(int stage) {
    TrainOptions options;
    options.stage = stage;
    return options;
}

TEST(Sharding, SameWeightsInEveryStageAtAnyNumberOfRanks) {
    Config config = small_run();
    const TrainResult one = train_on(1, config, {})[0];
    for (const bool checkpointing : {false, true}) {
        config.train.activation_checkpointing = checkpointing;
        for (const int stage : {1, 2, 3})
            for (const int ranks : {1, 2, 3, 4, 8}) {
                SCOPED_TRACE(testing::Message() << "stage " << stage << ", " << ranks << " ranks, " << checkpointing);
                const TrainResult sharded = train_on(ranks, config, at_stage(stage))[0];
                EXPECT_EQ(sharded.final_weights_hash, one.final_weights_hash);
                EXPECT_EQ(sharded.weights_hash, one.weights_hash);
                EXPECT_EQ(sharded.test.loss, one.test.loss);
                EXPECT_EQ(sharded.history[1].val_loss, one.history[1].val_loss);
            }
    }
}

TEST(Sharding, SameWeightsWhenAThreadMovesUnits) {
    Config config = small_run();
    const TrainResult one = train_on(1, config, {})[0];
    config.train.overlap = "thread";
    for (const bool checkpointing : {false, true}) {
        config.train.activation_checkpointing = checkpointing;
        for (const int stage : {1, 2, 3})
            for (const int ranks : {2, 3}) {
                SCOPED_TRACE(testing::Message() << "stage " << stage << ", " << ranks << " ranks, " << checkpointing);
                const TrainResult sharded = train_on(ranks, config, at_stage(stage))[0];
                EXPECT_EQ(sharded.overlap, "thread");
                EXPECT_EQ(sharded.final_weights_hash, one.final_weights_hash);
                EXPECT_EQ(sharded.test.loss, one.test.loss);
                EXPECT_EQ(sharded.memory_in_steps.bytes, sharded.memory_predicted.bytes);
            }
    }
}

// Computing that sleeps, over a link that sleeps: gathers and reductions together take half as long as the steps.
TEST(ShardingTiming, AThreadHidesASlowLink) {
    const Graph graph = equal_units(64, 8);
    const Plan plan = compile(graph, Target{Isa::portable}, {});
    const double computing = 0.8;  // seconds
    const auto exposed = [&](bool overlapped) {
        std::vector<double> seconds(2);
        on_ranks(2, [&](Communicator& ranks) {
            const auto bytes = static_cast<double>(plan.parameters.parameter_elements) * sizeof(float);
            // A rank sends half of what is gathered, twice (forward and backward), and half of what is reduced.
            const auto link = make_slow_link(ranks.channel(), {1.5 * bytes / (0.5 * computing), 0});
            const RankSums sums(*link, Reduction::fast, 2);
            const ShardedUnits units(plan, sums, {3, nullptr, nullptr, overlapped}, nullptr);
            UnitTransfers transfers(plan, units, UnitTransfers::Of::step);
            const auto start = std::chrono::steady_clock::now();
            for (size_t step = 0; step < plan.steps.size(); ++step) {
                if (transfers.wanted_calls()[step] & hear_before_step) transfers.before_step(step);
                std::this_thread::sleep_for(
                    std::chrono::duration<double>(computing / static_cast<double>(plan.steps.size())));
                if (transfers.wanted_calls()[step] & hear_after_step) transfers.after_step(step);
            }
            transfers.finish();
            const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
            seconds[static_cast<size_t>(ranks.rank())] = all.count() - computing;
        });
        return std::max(seconds[0], seconds[1]);
    };
    const double blocking = exposed(false);
    EXPECT_GT(blocking, 0.45 * computing);
    double hidden = exposed(true);
    for (int again = 0; again < 2 && hidden >= 0.4 * blocking; ++again) hidden = exposed(true);  // the machine was busy
    EXPECT_LT(hidden, 0.4 * blocking);
}

TEST(Sharding, SameWeightsForOtherModelsAndOptimizers) {
    for (const char* model : {"fracture_cnn", "cifar_cnn"}) {
        Config config = small_run();
        config.model.name = model;
        config.model.widths.clear();
        config.data.synthetic.size = 32;
        config.data.synthetic.count = 60;
        config.train.epochs = 1;
        config.train.optimizer = "sgd";
        const TrainResult one = train_on(1, config, {})[0];
        for (const int stage : {2, 3})
            EXPECT_EQ(train_on(3, config, at_stage(stage))[0].final_weights_hash, one.final_weights_hash)
                << model << ", stage " << stage;
    }
}

TEST(Sharding, PredictedMemoryIsWhatIsCounted) {
    Config config = small_run();
    config.train.epochs = 1;
    for (const int ranks : {1, 2, 3, 4})
        for (const int stage : {0, 1, 2, 3})
            for (const TrainResult& result : train_on(ranks, config, at_stage(stage)))
                for (size_t i = 0; i < memory_categories; ++i) {
                    const auto predicted = static_cast<double>(result.memory_predicted.bytes[i]);
                    EXPECT_NEAR(static_cast<double>(result.memory_in_steps.bytes[i]), predicted, 0.05 * predicted)
                        << name_of(static_cast<MemoryCategory>(i)) << ", stage " << stage << ", " << ranks << " ranks";
                }
}

// What the issue asks for: a share of parameters, gradients and two moments, and two units whole.
TEST(Sharding, StageThreeHoldsItsShareAndTwoUnits) {
    const Graph graph = equal_units(16, 8);
    for (const bool overlapped : {false, true})
        for (const int ranks : {2, 4}) {
            std::mutex mutex;
            on_ranks(ranks, [&](Communicator& communicator) {
                MemoryLedger ledger;
                TrainConfig config = eight_images();
                config.overlap = overlapped ? "thread" : "inline";
                RankSteps run(graph, communicator, 3, config, &ledger);
                run.step();
                const std::lock_guard lock(mutex);
                const MemoryUse use = ledger.now();
                const size_t held =
                    use[MemoryCategory::parameters] + use[MemoryCategory::gradients] + use[MemoryCategory::optimizer];
                const Shards& shards = run.state().units->shards();
                const auto elements = static_cast<size_t>(run.state().flat.parameter_elements);
                const size_t unit_bytes = shards.largest_unit * sizeof(float);
                EXPECT_EQ(shards.units.size(), equal_unit_count + 1u);
                // Parameters of two units and gradients of one or two are whole; a rank's parts are whole cache lines.
                const size_t whole = overlapped ? 4 : 3;
                EXPECT_LE(held,
                          16 * elements / static_cast<size_t>(ranks) + whole * unit_bytes + 4 * 64 * shards.units.size());
                const size_t asked =
                    16 * elements / static_cast<size_t>(ranks) + 4 * 2 * unit_bytes;  // of two units all four
                EXPECT_LT(static_cast<double>(held), 1.05 * static_cast<double>(asked));
                EXPECT_EQ(ledger.highest().total(), use.total());  // no step takes more for a while
            });
        }
}

// Hash of the weights after three steps; in groups of so many ranks where `group` is not 0.
std::string hash_after_steps(const Graph& graph, int ranks, int stage, int group, bool checkpointing = false) {
    std::string hash;
    std::vector<int> nodes;
    for (int rank = 0; rank < ranks; ++rank) nodes.push_back(group > 0 ? rank / group : 0);
    TrainConfig config = eight_images();
    config.hybrid_sharding = group > 0;
    config.activation_checkpointing = checkpointing;
    ThreadTeam team(nodes);
    on_ranks(team, [&](Communicator& communicator) {
        const int rank = communicator.rank();
        RankSteps run(graph, communicator, stage, config);
        for (int step = 0; step < 3; ++step) run.step();
        check_finite(run.state(), 3, rank);
        check_replicas(run.state(), 3, communicator);
        const std::string mine = weights_hash(run.state().weights());
        if (rank == 0) hash = mine;
    });
    return hash;
}

TEST(Sharding, HybridGroupsEndWithTheSameWeights) {
    const Graph graph = equal_units(16, 8);
    const std::string one = hash_after_steps(graph, 1, 0, 0);
    EXPECT_EQ(hash_after_steps(graph, 2, 0, 0), one);
    for (const int stage : {1, 2, 3}) {
        EXPECT_EQ(hash_after_steps(graph, 4, stage, 2), one) << "4 ranks in 2 groups, stage " << stage;
        EXPECT_EQ(hash_after_steps(graph, 6, stage, 2), one) << "6 ranks in 3 groups, stage " << stage;  // blocks of leaves
        EXPECT_EQ(hash_after_steps(graph, 6, stage, 3), one) << "6 ranks in 2 groups, stage " << stage;
    }
    EXPECT_EQ(hash_after_steps(graph, 2, 3, 0, true), one);
}

TEST(Sharding, ARunOverNodesShardsInsideThem) {
    Config config = small_run();
    config.train.epochs = 1;
    const TrainResult one = train_on(1, config, {})[0];
    config.train.hybrid_sharding = true;
    const auto dataset = open_dataset(config.data);
    const auto over = [&](const std::vector<int>& nodes, int stage) {
        ThreadTeam team(nodes);
        TrainResult result;
        on_ranks(team, [&](Communicator& communicator) {
            TrainResult mine = train(config, *dataset, communicator, at_stage(stage));
            if (communicator.rank() == 0) result = std::move(mine);
        });
        return result;
    };
    for (const int stage : {1, 2, 3}) {
        const TrainResult hybrid = over({0, 0, 1, 1}, stage);
        EXPECT_EQ(hybrid.final_weights_hash, one.final_weights_hash) << stage;
        EXPECT_GT(hybrid.optimizer_bytes, one.optimizer_bytes / 3) << "half of the moments, not a quarter";
        EXPECT_EQ(hybrid.memory_in_steps.bytes, hybrid.memory_predicted.bytes) << stage;
    }
    EXPECT_THROW(over({0, 0, 1}, 3), UsageError);
}

// Branches, dropout, groups of channels, a parameter that is not trained.
TEST(Sharding, UnitsMayHaveBranchesAndFrozenParameters) {
    Graph graph = every_operator(LossKind::softmax_cross_entropy, 0.25f);
    graph.value(graph.parameters[4]).trainable = false;
    const std::string one = hash_after_steps(graph, 1, 0, 0);
    for (const int stage : {2, 3})
        for (const int ranks : {2, 3}) EXPECT_EQ(hash_after_steps(graph, ranks, stage, 0), one) << stage << ", " << ranks;
}

TEST(UnitSchedule, AChainNeedsTwoUnitsWholeAtATime) {
    const Plan plan = compile(equal_units(16, 8), Target{Isa::portable}, {});
    const Shards shards = cut_into_shards(plan.graph, plan.parameters, 1, 2);
    const UnitSchedule schedule = schedule_units(plan, shards);
    ASSERT_EQ(shards.units.size(), equal_unit_count + 1u);
    EXPECT_EQ(schedule.visits.size(), 2 * shards.units.size() - 1);
    EXPECT_EQ(schedule.visits.front().unit, shards.units.size() - 1);  // the flat buffer begins with the last unit
    EXPECT_EQ(schedule.visits.back().unit, shards.units.size() - 1);
    EXPECT_EQ(schedule.parameter_slots, 2);
    EXPECT_EQ(schedule.gradient_slots, 1);
    EXPECT_EQ(schedule_units(plan, shards, true).gradient_slots, 2);
    for (size_t k = 1; k < schedule.visits.size(); ++k) {
        EXPECT_GT(schedule.visits[k].first_step, schedule.visits[k - 1].last_step);
        EXPECT_NE(schedule.parameter_slot[schedule.visits[k].unit], schedule.parameter_slot[schedule.visits[k - 1].unit]);
    }
    EXPECT_TRUE(std::is_sorted(schedule.reduced_after.begin(), schedule.reduced_after.end()));
    size_t elements = 0;
    for (int rank = 0; rank < 3; ++rank) elements += cut_into_shards(plan.graph, plan.parameters, rank, 3).own_elements;
    EXPECT_EQ(elements, static_cast<size_t>(plan.parameters.parameter_elements));
}

// A unit is gathered while the one before it runs, and reduced before its slot is written again.
TEST(UnitSchedule, TransfersAreOneUnitAhead) {
    const Plan plan = compile(equal_units(16, 8), Target{Isa::portable}, {});
    const Shards shards = cut_into_shards(plan.graph, plan.parameters, 0, 2);
    const UnitSchedule schedule = schedule_units(plan, shards, true);
    const TransferPlan transfers = plan_transfers(plan, shards, schedule, 3, true);
    const size_t units = shards.units.size();
    // Forward all, backward all but the last two, which are still there; each reduced once.
    EXPECT_EQ(transfers.transfers.size(), units + (units - 2) + units);
    for (size_t k = 0; k + 1 < units; ++k) {
        const UnitVisit& visit = schedule.visits[k];
        EXPECT_GT(transfers.allowed_before[visit.first_step], transfers.needed_before[visit.first_step]) << "nothing ahead";
        EXPECT_EQ(transfers.needed_before[schedule.visits[k + 1].first_step], transfers.allowed_before[visit.first_step]);
    }
    std::vector<size_t> order(units);
    for (size_t unit = 0; unit < units; ++unit) {
        const auto reduce = std::find_if(transfers.transfers.begin(), transfers.transfers.end(), [&](const Transfer& t) {
            return t.kind == Transfer::Kind::reduce && t.unit == unit;
        });
        order[unit] = static_cast<size_t>(reduce - transfers.transfers.begin()) + 1;
        EXPECT_EQ(transfers.allowed_after[schedule.reduced_after[unit]], order[unit]);
    }
    for (size_t unit = 0; unit + 2 < units; ++unit)  // the unit after next has its slot
        EXPECT_GE(transfers.needed_before[schedule.written_from[unit + 2]], order[unit]);
    // Whole gradients have no slots to wait for, and nothing is gathered in the steps of stage 1.
    const TransferPlan whole = plan_transfers(plan, shards, schedule, 1, true);
    EXPECT_EQ(whole.transfers.size(), units);
    EXPECT_EQ(*std::max_element(whole.needed_before.begin(), whole.needed_before.end()), 0u);
}

TEST(UnitSchedule, ALayerAcrossUnitsIsRefused) {
    Plan plan = compile(equal_units(16, 8), Target{Isa::portable}, {});
    const auto reader =
        std::find_if(plan.steps.begin(), plan.steps.end(), [](const PlannedStep& step) { return !step.parameters.empty(); });
    reader->parameters.begin = 0;
    const Shards shards = cut_into_shards(plan.graph, plan.parameters, 0, 2);
    EXPECT_THROW(schedule_units(plan, shards), Error);
}

TEST(Resume, BetweenStagesAndRanks) {
    Config config = small_run();
    const TrainResult whole = train_on(1, config, {})[0];
    struct Part {
        int ranks, stage, steps;
        bool checkpointing;
    };
    const std::vector<Part> parts{{2, 3, 4, false}, {3, 2, 3, true}, {1, 0, 2, false}, {4, 3, 2, true}, {3, 3, 2, false}};
    const TemporaryFolder folder;
    for (const Part& part : parts) {
        SCOPED_TRACE(testing::Message() << part.ranks << " ranks, stage " << part.stage);
        config.train.activation_checkpointing = part.checkpointing;
        TrainOptions options = at_stage(part.stage);
        options.checkpoint_dir = folder.path();
        options.resume = true;
        std::atomic<int> asked{0};
        const int enough = part.steps * part.ranks;
        options.stop = [&] { return ++asked >= enough; };  // of some rank in that step
        EXPECT_TRUE(train_on(part.ranks, config, options)[0].interrupted);
    }
    TrainOptions rest = at_stage(2);
    rest.checkpoint_dir = folder.path();
    rest.resume = true;
    EXPECT_EQ(train_on(2, config, rest)[0].final_weights_hash, whole.final_weights_hash);
}

TEST(Sharding, ALossThatIsNotANumberStopsEveryStage) {
    Config config = small_run();
    config.train.learning_rate = 1e30;
    for (const int stage : {2, 3}) EXPECT_THROW(train_on(2, config, at_stage(stage)), Error) << stage;
}

TEST(MemoryPrediction, SaysWhenActivationsRule) {
    MemoryUse use;
    use[MemoryCategory::parameters] = 10;
    use[MemoryCategory::activations] = 90;
    EXPECT_EQ(limit_of_sharding(use), "sharding cannot help here: activations are 90% of the bytes");
    use[MemoryCategory::optimizer] = 100;
    EXPECT_EQ(limit_of_sharding(use), "");
}

}  // namespace
}  // namespace xbench::test
