// What a StepObserver hears: the steps that it asked for, with gradients that are final then and parameters that are read.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "core/error.h"
#include "models/registry.h"
#include "tests/plan/harness.h"

namespace xbench::test {
namespace {

Graph model(const char* name) {
    ModelConfig config;
    config.name = name;
    config.size = 32;
    return build_model(config);
}

TEST(FlatSpans, FollowEachOtherThroughTheWholeBuffer) {
    for (const ModelInfo& info : model_table()) {
        SCOPED_TRACE(info.name);
        const Plan plan = compile(model(info.name), Target{Isa::portable}, {});
        int64_t end = 0;
        int spans = 0;
        for (const PlannedStep& step : plan.steps) {
            if (step.gradients.empty()) continue;
            EXPECT_EQ(step.gradients.begin, end);
            EXPECT_GT(step.gradients.end, end);
            end = step.gradients.end;
            ++spans;
        }
        EXPECT_EQ(end, plan.parameters.parameter_elements);
        EXPECT_GT(spans, 3);
    }
}

TEST(FlatSpans, CoverWhatAStepReads) {
    const Plan plan = compile(every_operator(), Target{Isa::portable}, {});
    std::vector<int> reads(plan.parameters.parameters.size());
    for (const PlannedStep& step : plan.steps) {
        const Node& node = plan.graph.node(step.node);
        for (size_t p = 0; p < reads.size(); ++p) {
            const FlatRange& range = plan.parameters.parameters[p];
            if (std::count(node.in.begin(), node.in.end(), range.value) == 0) continue;
            ++reads[p];
            EXPECT_LE(step.parameters.begin, range.begin);
            EXPECT_GE(step.parameters.end, range.begin + range.count);
        }
        if (step.problem.op == OpKind::relu || step.problem.op == OpKind::max_pool2d) {
            EXPECT_TRUE(step.parameters.empty());
        }
    }
    for (const int count : reads) EXPECT_GE(count, 1);
}

TEST(FlatSpans, AFrozenParameterHoldsNobodyUp) {
    Graph graph = every_operator();
    for (const ValueId id : {graph.parameters.front(), graph.parameters.back()}) graph.value(id).trainable = false;
    const Plan plan = compile(graph, Target{Isa::portable}, {});
    int64_t end = 0;
    for (const PlannedStep& step : plan.steps)
        if (!step.gradients.empty()) end = step.gradients.end;
    EXPECT_EQ(end, plan.parameters.parameter_elements);
}

// Copies each span of gradients when it is said to be final.
struct Listener : StepObserver {
    Listener(Bench<float>& of, size_t blocks, size_t stride)
        : bench(of), calls(of.plan.steps.size()), copy(blocks * stride), blocks_(blocks), stride_(stride) {
        for (size_t i = 0; i < calls.size(); ++i)
            if (!bench.plan.steps[i].gradients.empty()) calls[i] = hear_before_step | hear_after_step;
    }
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        for (size_t b = 1; b < blocks_; ++b)
            for (int64_t i = 0; i < count; ++i) data[i] += data[static_cast<int64_t>(b) * stride + i];
    }
    std::span<const uint8_t> wanted_calls() const override { return calls; }
    void before_step(size_t step) override {
        before.push_back(step);
        early.push_back(final(step));
    }
    void after_step(size_t step) override {
        after.push_back(step);
        const FlatSpan span = bench.plan.steps[step].gradients;
        for (size_t b = 0; b < blocks_; ++b)
            std::copy(bench.gradients.begin() + static_cast<ptrdiff_t>(b * stride_) + span.begin,
                      bench.gradients.begin() + static_cast<ptrdiff_t>(b * stride_) + span.end,
                      copy.begin() + static_cast<ptrdiff_t>(b * stride_) + span.begin);
    }
    // Whether every element of the step's span was written; the test marks all with NaN first.
    bool final(size_t step) const {
        const FlatSpan span = bench.plan.steps[step].gradients;
        for (const FlatRange& range : bench.plan.parameters.parameters)
            for (int64_t i = range.begin; i >= span.begin && i < range.begin + range.count && i < span.end; ++i)
                if (std::isnan(bench.gradients[static_cast<size_t>(i)])) return false;
        return true;
    }
    Bench<float>& bench;
    std::vector<uint8_t> calls;
    std::vector<size_t> before, after;
    std::vector<bool> early;
    std::vector<float> copy;

private:
    size_t blocks_, stride_;
};

void expect_final_gradients(const Graph& graph, std::vector<int32_t> blocks, int threads) {
    PlanOptions options;
    options.threads = threads;
    Bench<float> bench(graph, options, Isa::portable, 6, 3);
    const size_t stride = bench.gradients.size();
    bench.gradients.assign(blocks.size() * stride, std::numeric_limits<float>::quiet_NaN());
    bench.executor.bind(Arena::gradients, bench.gradients.data());
    bench.executor.set_blocks(blocks, stride * sizeof(float));
    Listener listener(bench, blocks.size(), stride);
    bench.run(&listener);
    EXPECT_EQ(listener.before, listener.after);
    EXPECT_EQ(listener.after.size(), static_cast<size_t>(std::count(listener.calls.begin(), listener.calls.end(), 3)));
    for (const bool final : listener.early) EXPECT_FALSE(final) << "before its step";
    for (size_t b = 0; b < blocks.size(); ++b)
        for (const FlatRange& range : bench.plan.parameters.parameters) {
            const size_t begin = b * stride + static_cast<size_t>(range.begin);
            EXPECT_EQ(std::memcmp(listener.copy.data() + begin, bench.gradients.data() + begin,
                                  static_cast<size_t>(range.count) * sizeof(float)),
                      0)
                << graph.value(range.value).name << ", block " << b;
        }
}

TEST(StepObserver, HearsWhenGradientsAreFinal) {
    for (const int threads : {1, 3})
        for (const std::vector<int32_t>& blocks : {std::vector<int32_t>{3}, {1, 2}, {1, 1, 1}}) {
            expect_final_gradients(every_operator(), blocks, threads);
            expect_final_gradients(model("pneumonia_cnn"), blocks, threads);
        }
}

// As many images as before, but shared by the blocks in another way.
TEST(Executor, BlocksMayShareTheSameImagesOtherwise) {
    const auto losses_of = [](Bench<float>& bench, int32_t middle) {
        bench.leaf_begin = {0, middle, 4, 6};
        bench.context.leaf_begin = bench.leaf_begin.data();
        bench.run();
        return std::pair{*bench.executor.view_block(bench.plan.graph.output("loss"), 0).as<double>(),
                         *bench.executor.view_block(bench.plan.graph.output("loss"), 1).as<double>()};
    };
    const Graph graph = model("rsna_cnn");
    Bench<float> first(graph, {}, Isa::portable, 6, 3), fresh(graph, {}, Isa::portable, 6, 3);
    for (Bench<float>* bench : {&first, &fresh}) {
        bench->gradients.resize(2 * bench->gradients.size());
        bench->executor.bind(Arena::gradients, bench->gradients.data());
        bench->executor.set_blocks({1, 2}, bench->gradients.size() / 2 * sizeof(float));
    }
    const auto before = losses_of(first, 2), after = losses_of(first, 3);
    EXPECT_EQ(after, losses_of(fresh, 3));
    EXPECT_NE(after, before);
}

// Takes the data of a sum away until it has ended, as a network may.
struct Network : StepObserver {
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        ++at_once;
        for (int64_t i = 0; i < count; ++i)
            for (size_t b = 1; b < blocks; ++b) data[i] += data[static_cast<int64_t>(b) * stride + i];
    }
    void begin_all_reduce(double* data, int64_t count, int64_t stride) override {
        EXPECT_EQ(begun, nullptr);
        all_reduce(data, count, stride);
        --at_once;
        ++in_halves;
        begun = data;
        sums.assign(data, data + count);
        std::fill_n(data, count, std::numeric_limits<double>::quiet_NaN());
    }
    void end_all_reduce() override {
        ASSERT_NE(begun, nullptr);
        if (fails) throw Error("the network is gone");
        std::copy(sums.begin(), sums.end(), begun);
        begun = nullptr;
    }
    size_t blocks = 1;
    int at_once = 0, in_halves = 0;
    bool fails = false;
    double* begun = nullptr;
    std::vector<double> sums;
};

TEST(HiddenSums, ChangeNoBit) {
    for (const ModelInfo& info : model_table()) {
        SCOPED_TRACE(info.name);
        const Graph graph = model(info.name);
        for (const int threads : {1, 3})
            for (const std::vector<int32_t>& blocks : {std::vector<int32_t>{3}, {1, 2}}) {
                PlanOptions options;
                options.threads = threads;
                Bench<float> as_it_was(graph, options, Isa::portable, 6, 3);
                options.hide_sums = true;
                Bench<float> hidden(graph, options, Isa::portable, 6, 3);
                Network behind, beside;
                for (const auto& [bench, network] : {std::pair{&as_it_was, &behind}, {&hidden, &beside}}) {
                    bench->gradients.resize(blocks.size() * bench->gradients.size());
                    bench->executor.bind(Arena::gradients, bench->gradients.data());
                    bench->executor.set_blocks(blocks, bench->gradients.size() / blocks.size() * sizeof(float));
                    network->blocks = blocks.size();
                    bench->run(network);
                }
                EXPECT_EQ(as_it_was.gradients, hidden.gradients);
                EXPECT_EQ(as_it_was.state, hidden.state);
                EXPECT_EQ(behind.in_halves, 0);
                EXPECT_EQ(beside.at_once + beside.in_halves, behind.at_once);
            }
    }
}

// Each of the three batch normalisations has a layer behind it whose filter's gradient can wait.
TEST(HiddenSums, AreThoseOfTheBackwardPass) {
    PlanOptions options;
    options.hide_sums = true;
    Bench<float> bench(model("pneumonia_cnn"), options, Isa::portable, 6, 3);
    Network network;
    bench.run(&network);
    EXPECT_EQ(network.at_once, 3);  // forward
    EXPECT_EQ(network.in_halves, 3);
}

TEST(HiddenSums, AFailureEndsTheRunOnAllThreads) {
    PlanOptions options;
    options.threads = 3;
    options.hide_sums = true;
    Bench<float> bench(model("pneumonia_cnn"), options, Isa::portable, 8, 8);
    for (int repeat = 0; repeat < 20; ++repeat) {
        Network network;
        network.fails = true;
        EXPECT_THROW(bench.run(&network), Error);
        EXPECT_EQ(network.in_halves, 1);
    }
    EXPECT_GT(bench.run(), 0);
}

TEST(StepObserver, AFailureBeforeOrAfterAStepEndsTheRunOnAllThreads) {
    struct Failing : StepObserver {
        void all_reduce(double*, int64_t, int64_t) override {}
        std::span<const uint8_t> wanted_calls() const override { return calls; }
        void before_step(size_t step) override { fail(step, hear_before_step); }
        void after_step(size_t step) override { fail(step, hear_after_step); }
        void fail(size_t step, uint8_t when) {
            last = step;
            if (calls[step] == when) throw Error("no");
        }
        std::vector<uint8_t> calls;
        size_t last = 0;
    };
    PlanOptions options;
    options.threads = 3;
    Bench<float> bench(every_operator(), options, Isa::portable, 8, 8);
    for (const uint8_t when : {hear_before_step, hear_after_step}) {
        Failing observer;
        observer.calls.assign(bench.plan.steps.size(), 0);
        observer.calls[5] = when;
        observer.calls[9] = when;
        for (int repeat = 0; repeat < 20; ++repeat) EXPECT_THROW(bench.run(&observer), Error);
        EXPECT_EQ(observer.last, 5u);
    }
    EXPECT_GT(bench.run(), 0);
}

}  // namespace
}  // namespace xbench::test
