// The central promise, as random cases: a Problem is all that the weights may depend on, a Way how it is trained (ranks,
// threads, nodes, trainer, ZeRO stage, passes, when gradients are summed, stopped and resumed). All ways of a problem end
// with the same bits.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "data/set/image_set.h"
#include "parallel/train/trainer.h"
#include "tests/search/search.h"

namespace xbench::test {

struct Problem {
    Config config;
    ImageSet set;
};

// One process, or the ranks of one job, until it stops.
struct Part {
    int ranks = 1, threads = 1, stage = 0;
    std::vector<int> nodes;  // of the ranks; empty: the ranks share memory
    std::string overlap = "auto";
    bool checkpointing = false;  // of activations
    bool hybrid = false;
    int64_t workers = 1;
    int stop_after = -1;  // steps; negative: to the end
};

struct Way {
    int64_t accumulate = 1;
    std::vector<Part> parts;
};

Problem draw_problem(Draw& draw);
// For a training of so many steps on at most so many ranks.
Way draw_way(Draw& draw, const Problem& problem, uint32_t steps, int most_ranks);

std::string to_string(const Problem& problem);
std::string to_string(const Way& way);

// This rank's share of a part. Where the communicator has no channel or no common memory, "thread" and "fused" are left to
// "auto". Collective.
TrainResult train_part(const Problem& problem, const Way& way, const Part& part, const std::filesystem::path& checkpoints,
                       Communicator& communicator);

// All that must be equal, bit for bit.
std::string outcome_of(const TrainResult& result);

}  // namespace xbench::test
