// Random models through all passes of the planner against the naive plan in double precision. Parameters, gradients, state
// and images lie between guard pages; gradients are NaN before each step, so that one that is not written shows; a second
// step repeats the first one's bits, as do other numbers of threads, checkpointing and hidden sums.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/hardware.h"
#include "guarded_memory.h"
#include "random_graphs.h"
#include "tests/plan/harness.h"

namespace xbench::test {
namespace {

struct Case {
    Graph graph;
    int64_t batch;
    int leaves;
    Isa isa;
};

// What one step leaves behind. Gradients in the order of the graph's parameters: a plan has an order of its own.
struct Outcome {
    double loss = 0;
    std::vector<double> gradients, state;
    std::vector<int64_t> begins;  // of each parameter in gradients
    bool operator==(const Outcome& other) const {
        return loss == other.loss && gradients == other.gradients && state == other.state;
    }
};

// A bench whose memory lies between guard pages.
template <class T>
class GuardedBench {
public:
    GuardedBench(const Case& c, const PlanOptions& options, Isa isa, uint64_t seed = 5)
        : bench_(c.graph, options, isa, c.batch, c.leaves, seed),
          parameters_(copy(bench_.parameters, Arena::parameters)),
          gradients_(copy(bench_.gradients, Arena::gradients)),
          state_(copy(bench_.state, Arena::state)),
          images_(copy(bench_.images, Arena::input)),
          graph_(c.graph) {
        // Running statistics as after some training: an inference plan has nothing else.
        for (size_t i = 0; i < bench_.state.size(); ++i) bench_.state[i] += bench_.state[i] == T(1) ? T(0.25) : T(0.1);
    }

    // The first `images` of the batch.
    Outcome step(int64_t images) {
        std::vector<int32_t> begin;
        for (int v = 0; v <= bench_.context.leaves; ++v)
            begin.push_back(static_cast<int32_t>(v * images / bench_.context.leaves));
        bench_.context.leaf_begin = begin.data();
        bench_.context.global_batch = images;
        bench_.context.inverse_batch = 1.0 / static_cast<double>(images);
        std::memcpy(state_.data(), bench_.state.data(), state_.bytes());
        T* gradients = reinterpret_cast<T*>(gradients_.data());
        std::fill(gradients, gradients + bench_.gradients.size(), std::numeric_limits<T>::quiet_NaN());
        Outcome outcome;
        outcome.loss = bench_.run();
        const T* state = reinterpret_cast<const T*>(state_.data());
        outcome.state.assign(state, state + bench_.plan.parameters.state_elements);
        if (bench_.plan.options.training) collect(gradients, outcome);
        return outcome;
    }
    std::string what_was_touched() const {
        if (!parameters_.intact() || !gradients_.intact() || !state_.intact() || !images_.intact())
            return "wrote beyond an arena";
        if (std::memcmp(images_.data(), bench_.images.data(), images_.bytes()) != 0) return "changed the images";
        if (std::memcmp(parameters_.data(), bench_.parameters.data(), parameters_.bytes()) != 0) return "changed parameters";
        return "";
    }

private:
    GuardedMemory copy(const std::vector<T>& values, Arena arena) {
        GuardedMemory memory(values.size() * sizeof(T), true);
        std::memcpy(memory.data(), values.data(), memory.bytes());
        bench_.executor.bind(arena, memory.data());
        return memory;
    }
    void collect(const T* gradients, Outcome& outcome) const {
        for (ValueId id = 0; id < std::ssize(graph_.values); ++id)
            for (const FlatRange& range : bench_.plan.parameters.parameters) {
                if (bench_.plan.graph.value(range.value).name != graph_.value(id).name ||
                    graph_.value(id).role != Role::parameter)
                    continue;
                outcome.begins.push_back(std::ssize(outcome.gradients));
                outcome.gradients.insert(outcome.gradients.end(), gradients + range.begin,
                                         gradients + range.begin + range.count);
            }
        outcome.begins.push_back(std::ssize(outcome.gradients));
    }

    Bench<T> bench_;
    GuardedMemory parameters_, gradients_, state_, images_;
    const Graph& graph_;
};

template <class T>
Outcome outcome_of(const Case& c, const PlanOptions& options, Isa isa, uint64_t seed = 5) {
    return GuardedBench<T>(c, options, isa, seed).step(c.batch);
}

double largest(const std::vector<double>& values, int64_t begin, int64_t end) {
    double most = 0;
    for (int64_t i = begin; i < end; ++i) most = std::max(most, std::abs(values[static_cast<size_t>(i)]));
    return most;
}

// Against double precision: as far off as the naive plan in f32 is, fifty times, or a hundredth of a parameter's gradient.
std::string difference(const Outcome& actual, const Outcome& naive, const Outcome& oracle) {
    if (!(std::abs(actual.loss - oracle.loss) <= 1e-5 * std::abs(oracle.loss) + 1e-6))
        return fmt::format("loss {}, the oracle's {}", actual.loss, oracle.loss);
    const double all = largest(oracle.gradients, 0, std::ssize(oracle.gradients));
    for (size_t p = 0; p + 1 < oracle.begins.size(); ++p) {
        double error = 0, of_naive = 0;
        for (auto i = static_cast<size_t>(oracle.begins[p]); i < static_cast<size_t>(oracle.begins[p + 1]); ++i) {
            if (!std::isfinite(actual.gradients[i]))
                return fmt::format("parameter {}: a gradient of {}", p, actual.gradients[i]);
            error = std::max(error, std::abs(actual.gradients[i] - oracle.gradients[i]));
            of_naive = std::max(of_naive, std::abs(naive.gradients[i] - oracle.gradients[i]));
        }
        const double magnitude = largest(oracle.gradients, oracle.begins[p], oracle.begins[p + 1]);
        if (error > 1e-2 * magnitude + 50 * of_naive + 1e-6 * all + 1e-12)
            return fmt::format("parameter {}: gradient off by {:.3g} of {:.3g}; naive in f32 by {:.3g}", p, error, magnitude,
                               of_naive);
    }
    const double state = relative_difference(actual.state, oracle.state);
    return state < 1e-4 ? "" : fmt::format("running statistics off by {:.3g}", state);
}

// The naive plan's results in both precisions.
struct Naive {
    Naive(const Case& c, bool training, uint64_t seed) {
        PlanOptions options;
        options.naive = true;
        options.training = training;
        in_f32 = outcome_of<float>(c, options, Isa::portable, seed);
        oracle = outcome_of<double>(c, options, Isa::portable, seed);
    }
    Outcome in_f32, oracle;
};

std::string difference_with_seed(const Case& c, const PlanOptions& options, uint64_t seed, const Naive& naive) {
    return difference(outcome_of<float>(c, options, c.isa, seed), naive.in_f32, naive.oracle);
}

// A ReLU or a maximum may fall to the other side by a rounding error. That is rare: of five batches one at most.
void expect_oracle(const Case& c, const PlanOptions& options, const Naive& naive) {
    const std::string first = difference_with_seed(c, options, 5, naive);
    if (first.empty()) return;
    int wrong = 1;
    for (const uint64_t seed : {6, 7, 8, 9})
        wrong += !difference_with_seed(c, options, seed, Naive(c, options.training, seed)).empty();
    EXPECT_LT(wrong, 2) << first;
}

void expect_repeats(const Case& c, const PlanOptions& options, int64_t fewer) {
    GuardedBench<float> bench(c, options, c.isa), fresh(c, options, c.isa);
    const Outcome first = bench.step(c.batch);
    EXPECT_TRUE(bench.step(c.batch) == first) << "a second step has other bits";
    EXPECT_TRUE(bench.step(fewer) == fresh.step(fewer)) << fewer << " images after a larger batch have other bits";
    EXPECT_EQ(bench.what_was_touched(), "");
}

PlanOptions draw_options(Draw& draw) {
    PlanOptions options;
    options.threads = static_cast<int>(draw.whole(1, 3));
    options.activation_checkpointing = draw.chance(.4);
    options.hide_sums = draw.chance(.4);
    return options;
}

void try_graph(Draw& draw, const Case& c) {
    const PlanOptions plain, options = draw_options(draw);
    PlanOptions unfused, inference;
    unfused.fuse = false;
    inference.training = false;
    const Naive training(c, true, 5);
    expect_oracle(c, plain, training);
    expect_oracle(c, unfused, training);
    expect_oracle(c, inference, Naive(c, false, 5));
    expect_repeats(c, options, draw.whole(1, c.batch));
    EXPECT_TRUE(outcome_of<float>(c, options, c.isa) == outcome_of<float>(c, plain, c.isa))
        << "other bits with " << options.threads << " threads, checkpointing " << options.activation_checkpointing
        << ", hidden sums " << options.hide_sums;
}

TEST(SearchGraphs, RandomModelsThroughEveryPassOfThePlanner) {
    Search search(SearchBudget(50));
    while (search.more() && !HasFailure()) {
        Draw draw = search.draw();
        const RandomGraph random = random_graph(draw);
        const Isa isa = std::min(best_isa(), draw.one_of<Isa>({Isa::portable, Isa::avx2, Isa::avx512}));
        const int64_t batch = draw.whole(2, 9);
        const int leaves = static_cast<int>(draw.one_of<int64_t>({1, 1, 2, 3, 4, 8}));
        const std::string text = fmt::format("{}; batch {} leaves {} {}", random.text, batch, leaves, isa_name(isa));
        search.announce(text);
        SCOPED_TRACE(text);
        try_graph(draw, {random.graph, batch, leaves, isa});
    }
}

}  // namespace
}  // namespace xbench::test
