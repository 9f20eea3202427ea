// Logits, loss, every gradient and the weights after three Adam steps against PyTorch in double precision.
// tests/golden/README.md describes the files and how they were made.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/hardware.h"
#include "core/rng.h"
#include "models/registry.h"
#include "parallel/strategy/strategy.h"

namespace xbench {
namespace {

constexpr double tolerance = 1e-4;  // of each tensor's largest magnitude
constexpr int64_t most_stored = 4096, sampled = 1024;

struct Golden {
    explicit Golden(const std::string& model) {
        const TensorFile file = read_safetensors(std::string(XB_SOURCE_DIR) + "/tests/golden/" + model + ".safetensors");
        for (const NamedTensor& tensor : file.tensors) tensors[tensor.name] = tensor.data;
        about = Json::parse(file.metadata.at("xbench.golden"));
    }
    const std::vector<float>& tensor(const std::string& name) const { return tensors.at(name); }
    std::map<std::string, std::vector<float>> tensors;
    Json about;
};

// Element i is offset + (u_i - 0.5f) * scale.
std::vector<float> generate(uint64_t seed, uint32_t index, int64_t count, const Json& rule) {
    Random random(seed, RandomUse::test_data, index);
    const float offset = rule.at("offset").get<float>(), scale = rule.at("scale").get<float>();
    std::vector<float> numbers(static_cast<size_t>(count));
    for (float& number : numbers) number = offset + (random.uniform() - 0.5f) * scale;
    return numbers;
}

// The model of a golden file with its weights and batch.
class GoldenRun {
public:
    GoldenRun(const Golden& golden, Isa isa)
        : golden_(golden),
          graph_(build_model(config(golden.about.at("model")))),
          state_(graph_),
          batch_(golden.about.at("batch").get<int64_t>()),
          plan_(compile(graph_, Target{isa}, options())),
          executor_(plan_),
          communicator_(make_self_communicator()),
          sums_(*communicator_, Reduction::invariant, 1),
          strategy_(make_replicated(adam(), state_, sums_, isa, 1)) {
        set_weights();
        set_batch();
        state_.bind_to(executor_);
        executor_.bind(Arena::input, images_.data());
        executor_.bind(Arena::label, labels_.empty() ? static_cast<void*>(targets_.data()) : labels_.data());
    }

    double step() {
        context_.update = context_.step + 1;
        executor_.run(context_, strategy_.get());
        return *executor_.view(plan_.graph.output("loss")).as<double>() / static_cast<double>(batch_);
    }
    void update() {
        strategy_->update(context_);
        ++context_.step;
    }
    std::vector<float> logits() const {
        const TensorView view = executor_.view(plan_.graph.output("logits"));
        return {view.as<float>(), view.as<float>() + view.shape.elements()};
    }
    std::vector<float> gradient(ValueId parameter) const {
        const FlatRange& range = state_.flat.find(parameter);
        const float* data = state_.gradients.as<float>() + range.begin;
        return {data, data + range.count};
    }
    const Graph& graph() const { return graph_; }
    WeightSet weights() const { return state_.weights(); }

private:
    static ModelConfig config(const Json& model) {
        ModelConfig config;
        config.name = model.at("name").get<std::string>();
        config.channels = model.at("channels").get<int64_t>();
        config.size = model.at("size").get<int64_t>();
        config.classes = model.at("classes").get<int64_t>();
        config.multilabel = find_model(config.name).multilabel;
        config.dropout = 0;
        return config;
    }
    static TrainConfig adam() {
        TrainConfig config;
        config.adam_epsilon = 1e-3;
        return config;
    }
    PlanOptions options() const {
        PlanOptions options;
        options.max_batch = batch_;
        options.leaves = static_cast<int>(std::min<int64_t>(8, batch_));
        return options;
    }
    void set_weights() {
        WeightSet set;
        const auto seed = golden_.about.at("seed").get<uint64_t>();
        for (const NamedTensor& tensor : state_.weights().tensors) {
            NamedTensor filled = tensor;
            const auto rule = golden_.about.at("weights").find(tensor.name);
            if (rule != golden_.about.at("weights").end())
                filled.data = generate(seed, rule->at("index").get<uint32_t>(), tensor.shape.elements(), *rule);
            else
                filled.data.assign(filled.data.size(), tensor.name.ends_with("running_var") ? 1.0f : 0.0f);
            set.tensors.push_back(std::move(filled));
        }
        state_.set_weights(set, "golden file");
        if (!golden_.tensors.count("pos_weight")) return;
        for (size_t id = 0; id < graph_.values.size(); ++id)
            if (graph_.values[id].role == Role::constant)
                std::copy(golden_.tensor("pos_weight").begin(), golden_.tensor("pos_weight").end(),
                          state_.state.as<float>() + state_.flat.find(static_cast<ValueId>(id)).begin);
    }
    void set_batch() {
        const Shape& shape = graph_.value(graph_.input).shape;
        images_ = generate(golden_.about.at("seed").get<uint64_t>(), golden_.about.at("stream_images").get<uint32_t>(),
                           batch_ * shape.elements(), golden_.about.at("images"));
        const auto& labels = golden_.tensor("labels");
        if (graph_.value(graph_.label).dtype == DType::i32)
            labels_.assign(labels.begin(), labels.end());
        else
            targets_ = labels;
        const int leaves = options().leaves;
        for (int v = 0; v <= leaves; ++v) leaf_begin_.push_back(static_cast<int32_t>(v * batch_ / leaves));
        sample_ids_.resize(static_cast<size_t>(batch_));
        context_.leaf_begin = leaf_begin_.data();
        context_.leaves = leaves;
        context_.sample_ids = sample_ids_.data();
        context_.global_batch = batch_;
        context_.inverse_batch = 1.0 / static_cast<double>(batch_);
        context_.learning_rate = 1e-3f;
    }

    const Golden& golden_;
    const Graph graph_;
    ModelState state_;
    const int64_t batch_;
    const Plan plan_;
    Executor executor_;
    std::unique_ptr<Communicator> communicator_;
    const RankSums sums_;
    std::unique_ptr<Strategy> strategy_;
    std::vector<float> images_, targets_;
    std::vector<int32_t> labels_, leaf_begin_;
    std::vector<int64_t> sample_ids_;
    StepContext context_{};
};

// `name` is the tensor in the golden file; more than most_stored elements are compared at `sampled` places.
void expect_close(const Golden& golden, const std::string& name, const std::vector<float>& actual) {
    const auto& expected = golden.tensor(name);
    const auto& digests = golden.about.at("digests");
    double largest = digests.contains(name) ? digests.at(name).at("max").get<double>() : 0;
    for (const float e : expected) largest = std::max(largest, static_cast<double>(std::abs(e)));
    const auto elements = static_cast<int64_t>(actual.size());
    ASSERT_EQ(static_cast<int64_t>(expected.size()), elements > most_stored ? sampled : elements) << name;
    double worst = 0;
    for (size_t j = 0; j < expected.size(); ++j) {
        const size_t place = elements > most_stored ? static_cast<size_t>(static_cast<int64_t>(j) * elements / sampled) : j;
        worst = std::max(worst, std::abs(static_cast<double>(actual[place]) - static_cast<double>(expected[j])));
    }
    EXPECT_GT(largest, 0) << name << " is zero: it shows nothing";
    EXPECT_LE(worst, tolerance * largest) << name;
}

void expect_zero_gradient(const Golden& golden, const std::string& name, const std::vector<float>& gradient) {
    const auto& bound = golden.tensor("sum_abs_dy/" + name);
    ASSERT_EQ(bound.size(), gradient.size());
    for (size_t k = 0; k < bound.size(); ++k) EXPECT_LE(std::abs(gradient[k]), 8 * 1.1920929e-7f * bound[k]) << name;
}

class GoldenModel : public testing::TestWithParam<std::tuple<const char*, Isa>> {};

TEST_P(GoldenModel, AgreesWithPyTorchInDoublePrecision) {
    const auto [model, isa] = GetParam();
    if (isa > best_isa()) GTEST_SKIP() << "this processor has no " << isa_name(isa);
    const Golden golden(model);
    const auto zero = golden.about.at("zero_gradient").get<std::vector<std::string>>();
    const auto is_zero = [&](const std::string& name) { return std::count(zero.begin(), zero.end(), name) > 0; };
    GoldenRun run(golden, isa);

    for (int step = 0; step < 3; ++step) {
        const double expected = golden.about.at("losses").at(static_cast<size_t>(step)).get<double>();
        EXPECT_NEAR(run.step(), expected, tolerance * std::abs(expected)) << "step " << step;
        if (step == 0) {
            expect_close(golden, "logits", run.logits());
            for (const ValueId id : run.graph().parameters) {
                const std::string& name = run.graph().value(id).name;
                if (is_zero(name))
                    expect_zero_gradient(golden, name, run.gradient(id));
                else
                    expect_close(golden, "grad/" + name, run.gradient(id));
            }
        }
        run.update();
    }
    for (const NamedTensor& tensor : run.weights().tensors)
        if (!is_zero(tensor.name)) expect_close(golden, "after/" + tensor.name, tensor.data);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenModel,
                         testing::Combine(testing::Values("pneumonia_cnn", "fracture_cnn", "rsna_cnn", "cifar_cnn",
                                                          "nih_cnn"),
                                          testing::Values(Isa::portable, Isa::avx2, Isa::avx512)),
                         [](const auto& instance) {
                             return std::string(std::get<0>(instance.param)) + "_" + isa_name(std::get<1>(instance.param));
                         });

}  // namespace
}  // namespace xbench
