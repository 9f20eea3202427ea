// Random trainings, each in several ways over ranks that are threads of this process: one outcome. tests/search/search.h
// says how to search longer, elsewhere, or for one case alone; promise_ranks.cpp is the same over MPI.
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/parallel/shm_ranks.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"
#include "tests/search/promise.h"

namespace xbench::test {
namespace {

// Ranks that share memory, or the nodes of a team of threads. Rank 0's result.
TrainResult run_part(const Part& part, const std::function<TrainResult(Communicator&)>& body) {
    TrainResult result;
    const auto keep = [&](Communicator& communicator) {
        TrainResult mine = body(communicator);
        if (communicator.rank() == 0) result = std::move(mine);
    };
    if (part.ranks == 1) {
        keep(*make_self_communicator());
    } else if (part.nodes.empty()) {
        for (const std::string& wrong : on_threads(part.ranks, 60, [&](Communicator& communicator) {
                 keep(communicator);
                 return std::string();
             }))
            if (!wrong.empty()) throw Error(wrong);
    } else {
        ThreadTeam team(part.nodes);
        on_ranks(team, keep);
    }
    return result;
}

std::string outcome(const Problem& problem, const Way& way) {
    const TemporaryFolder checkpoints;
    TrainResult result;
    for (const Part& part : way.parts) {
        result = run_part(part, [&](Communicator& c) { return train_part(problem, way, part, checkpoints.path(), c); });
        if (result.interrupted != (part.stop_after > 0)) return "stopped where it should not have, or not where it should";
    }
    return outcome_of(result);
}

TEST(Promise, AllWaysOfAProblemEndWithTheSameBits) {
    Search search(SearchBudget(30));
    while (search.more()) {
        Draw draw = search.draw();
        const Problem problem = draw_problem(draw);
        search.announce(to_string(problem));
        const Way plain{1, {Part{}}};
        const TrainResult one =
            run_part(plain.parts[0], [&](Communicator& c) { return train_part(problem, plain, plain.parts[0], {}, c); });
        for (int i = 0; i < 5; ++i) {
            const Way way = draw_way(draw, problem, one.steps_done, 6);
            fmt::print("    {}\n", to_string(way));
            std::fflush(stdout);
            ASSERT_EQ(outcome(problem, way), outcome_of(one)) << to_string(problem) << "\n" << to_string(way);
        }
    }
}

// The last batch, the validation and the test split have one image each: all ranks but one have none.
TEST(Promise, RanksWithoutAnImageChangeNothing) {
    for (const bool multilabel : {false, true}) {
        Problem problem;
        DatasetInfo& info = problem.set.records.info;
        info = {"one left over", 11, 1, 16, 16, 1, {"a", "b"}, multilabel};
        for (int i = 0; i < 11; ++i) {
            if (multilabel)
                problem.set.records.targets.insert(problem.set.records.targets.end(), {uint8_t(i % 2), uint8_t(i % 3 == 0)});
            else
                problem.set.records.labels.push_back(i % 2);
            problem.set.records.splits.push_back(static_cast<uint8_t>(i < 9 ? 0 : i - 8));
            problem.set.records.ids.push_back(std::to_string(i));
            for (int p = 0; p < 256; ++p) problem.set.pixels.push_back(static_cast<uint8_t>(p * (i + 3) + 7 * i));
        }
        problem.config.train.batch_size = 8;
        for (const char* model : {"pneumonia_cnn", "rsna_cnn"})
            for (const char* batchnorm : {"global", "local"})
                for (const int stage : {0, 1, 2, 3}) {
                    problem.config.model.name = model;
                    problem.config.train.batchnorm = batchnorm;
                    const std::string one = outcome(problem, Way{1, {Part{}}});
                    for (const int ranks : {2, 3, 8}) {
                        Part part;
                        part.ranks = ranks;
                        part.stage = stage;
                        EXPECT_EQ(outcome(problem, Way{1, {part}}), one)
                            << model << (multilabel ? " multilabel" : "") << " stage " << stage << " ranks " << ranks;
                    }
                }
    }
}

// What the search compares tells one tree from another.
TEST(Promise, AnotherNumberOfVirtualRanksIsSeen) {
    Draw draw(1, 0);
    Problem problem = draw_problem(draw);
    problem.config.train.batch_size = 12;
    problem.config.train.virtual_ranks = 1;
    const Way plain{1, {Part{}}};
    const std::string one = outcome(problem, plain);
    problem.config.train.virtual_ranks = 12;
    EXPECT_NE(outcome(problem, plain), one);
}

}  // namespace
}  // namespace xbench::test
