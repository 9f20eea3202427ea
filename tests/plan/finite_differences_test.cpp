// Gradients of naive plans against central differences in f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "models/training_graph.h"
#include "tests/plan/harness.h"
#include "tests/plan/small_plans.h"

namespace xbench::test {
namespace {

// A central difference in f64 against the gradient of the naive plan, a few elements of every parameter.
void check_finite_differences(const Graph& graph) {
    Bench<double> bench(graph, naive(), Isa::portable, 4, 3);
    const auto start_state = bench.state;
    bench.run();
    const auto gradients = bench.gradients;
    const auto loss_at = [&](size_t element, double value) {
        const double kept = std::exchange(bench.parameters[element], value);
        bench.state = start_state;
        const double loss = bench.run();
        bench.parameters[element] = kept;
        return loss;
    };
    for (const FlatRange& range : bench.plan.parameters.parameters) {
        const std::string& name = graph.value(range.value).name;
        double checked = 0;
        for (int64_t i = 0; i < range.count; i += std::max<int64_t>(1, range.count / 7)) {
            const auto element = static_cast<size_t>(range.begin + i);
            const double h = 1e-6, p = bench.parameters[element];
            const double difference = (loss_at(element, p + h) - loss_at(element, p - h)) / (2 * h);
            EXPECT_NEAR(gradients[element], difference, 1e-6 * std::max(1.0, std::abs(difference)))
                << name << "[" << i << "]";
            checked += std::abs(difference);
        }
        const bool before_batchnorm = name == "f.0.bias";  // its gradient is zero by mathematics
        if (!before_batchnorm) {
            EXPECT_GT(checked, 1e-6) << name << " has no gradient: the test shows nothing";
        }
    }
}

TEST(FiniteDifferences, SoftmaxCrossEntropy) { check_finite_differences(every_operator()); }
TEST(FiniteDifferences, BinaryCrossEntropy) { check_finite_differences(every_operator(LossKind::bce_with_logits)); }
TEST(FiniteDifferences, WeightedSmoothedAndFocalLosses) {
    for (const LossKind kind : {LossKind::softmax_cross_entropy, LossKind::bce_with_logits})
        for (const LossOptions& options : {LossOptions{{.smoothing = 0.2f}, true}, LossOptions{{.focal = 1}, true},
                                           LossOptions{{.focal = 1, .gamma = 1.5f, .alpha = 0.6f}, false}}) {
            Graph graph = every_operator(kind);
            set_loss(graph, options);
            check_finite_differences(graph);
        }
}

// Through a frozen normalisation, and a layer of which only the weight or the bias is frozen.
TEST(FiniteDifferences, FrozenParameters) {
    for (const std::vector<std::string>& frozen : {std::vector<std::string>{"f.1.*"},
                                                   {"f.6.*"},
                                                   {"f.1.*", "f.6.*", "f.14.weight"},
                                                   {"f.0.*", "f.1.weight"},
                                                   {"f.18.bias"}}) {
        Graph graph = every_operator();
        freeze(graph, frozen);
        check_finite_differences(graph);
    }
}

TEST(FiniteDifferences, Dropout) { check_finite_differences(every_operator(LossKind::softmax_cross_entropy, 0.3f)); }

}  // namespace
}  // namespace xbench::test
