// A model with its memory and a random batch, in f32 or f64: what the tests of plan/ and models/ run.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "models/graph_builder.h"
#include "plan/executor.h"

namespace xbench::test {

// Every operator at least once: residual sum, groups, dilation, stride, both poolings, both dropouts, batch normalisation.
inline Graph every_operator(LossKind loss = LossKind::softmax_cross_entropy, float dropout = 0) {
    GraphBuilder g("every_operator");
    g.begin_unit("stem");
    ValueId x = g.input(3, 13, 13);
    x = g.conv2d(x, "f.0", 8, {.kernel = 3, .pad = 1});
    x = g.batchnorm(x, "f.1");
    x = g.relu(x, "f.2");
    x = g.max_pool2d(x, "f.3", {.kernel = 3, .stride = 2, .pad = 1});
    g.begin_unit("residual");
    ValueId y = g.conv2d(x, "f.4", 8, {.kernel = 3, .pad = 2, .dilation = 2, .groups = 2, .bias = false});
    y = g.relu(y, "f.5");
    y = g.batchnorm(y, "f.6");
    x = g.relu(g.add(x, y, "f.7"), "f.8");
    x = g.dropout(x, "f.9", dropout, true);
    x = g.conv2d(x, "f.10", 6, {.kernel = 3, .stride = 2});
    x = g.avg_pool2d(x, "f.11", {.kernel = 2, .stride = 1, .pad = 1, .count_include_pad = false});
    g.begin_unit("head");
    ValueId pooled = g.global_avg_pool(x, "f.12");
    ValueId flat = g.linear(g.flatten(x, "f.13"), "f.14", 6);
    x = g.relu(g.add(pooled, flat, "f.15"), "f.16");
    x = g.dropout(x, "f.17", dropout);
    return g.finish(g.linear(x, "f.18", 3), loss);
}

template <class T>
struct Bench {
    Plan plan;
    Cpu device;
    Executor executor;
    std::vector<T> parameters, gradients, state, images, targets;
    std::vector<int32_t> labels, leaf_begin;
    std::vector<int64_t> sample_ids;
    StepContext context{};

    Bench(const Graph& graph, PlanOptions options, Isa isa, int64_t batch, int leaves, uint64_t seed = 5)
        : plan(compile(graph, Target{isa}, with(options, batch, leaves))),
          device(Target{isa}, options.threads),
          executor(plan, device) {
        const auto size = [](int64_t elements) { return static_cast<size_t>(std::max<int64_t>(elements, 1)); };
        std::vector<float> p(size(plan.parameters.parameter_elements)), s(size(plan.parameters.state_elements));
        initialize(graph, plan.parameters, seed, p.data(), s.data());
        // Scales and shifts of batch normalisations start as 1 and 0; random ones, negative ones too, show more.
        Random random(seed, RandomUse::test_data, 1);
        for (const FlatRange& range : plan.parameters.parameters)
            if (graph.value(range.value).init.rule == Init::Rule::constant)
                for (int64_t i = 0; i < range.count; ++i) p[static_cast<size_t>(range.begin + i)] = random.uniform(-1, 1);
        parameters.assign(p.begin(), p.end());
        state.assign(s.begin(), s.end());
        gradients.assign(p.size(), T(0));
        make_batch(graph, batch, leaves, seed);
        executor.bind(Arena::parameters, parameters.data());
        executor.bind(Arena::gradients, gradients.data());
        executor.bind(Arena::state, state.data());
        executor.bind(Arena::input, images.data());
        if (plan.graph.value(plan.graph.label).dtype == DType::i32)
            executor.bind(Arena::label, labels.data());
        else
            executor.bind(Arena::label, targets.data());
    }

    double run(StepObserver* observer = nullptr) {
        executor.run(context, observer);
        return *executor.view(plan.graph.output("loss")).template as<double>() * context.inverse_batch;
    }
    std::vector<T> gradient(const std::string& name) const {
        for (const FlatRange& range : plan.parameters.parameters)
            if (plan.graph.value(range.value).name == name)
                return {gradients.begin() + range.begin, gradients.begin() + range.begin + range.count};
        throw Error("no parameter " + name);
    }

private:
    static PlanOptions with(PlanOptions options, int64_t batch, int leaves) {
        options.max_batch = batch;
        options.leaves = leaves;
        options.dtype = std::is_same_v<T, double> ? DType::f64 : DType::f32;
        return options;
    }
    void make_batch(const Graph& graph, int64_t batch, int leaves, uint64_t seed) {
        Random random(seed, RandomUse::test_data);
        const int64_t classes = graph.value(graph.output("logits")).shape[1];
        images.resize(static_cast<size_t>(batch * graph.value(graph.input).shape.elements()));
        for (T& pixel : images) pixel = random.uniform(-1, 1);
        for (int64_t i = 0; i < batch; ++i) {
            labels.push_back(static_cast<int32_t>(random.below(static_cast<uint32_t>(classes))));
            sample_ids.push_back(100 + i);
            for (int64_t k = 0; k < classes; ++k) targets.push_back(static_cast<T>(random.below(2)));
        }
        for (int v = 0; v <= leaves; ++v) leaf_begin.push_back(static_cast<int32_t>(v * batch / leaves));
        context.leaf_begin = leaf_begin.data();
        context.leaves = leaves;
        context.sample_ids = sample_ids.data();
        context.seed = seed;
        context.global_batch = batch;
        context.inverse_batch = 1.0 / static_cast<double>(batch);
        context.learning_rate = 0.001f;
        context.update = 1;
    }
};

// The largest difference, relative to the largest magnitude of `expected`.
template <class A, class B>
double relative_difference(const std::vector<A>& actual, const std::vector<B>& expected) {
    double largest = 0, difference = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
        difference = std::max(difference, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
    }
    return largest > 0 ? difference / largest : difference;
}

}  // namespace xbench::test
