// Logits, loss, every gradient and the weights after three Adam steps against PyTorch in double precision.
// tests/golden/README.md describes the files and how they were made.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/hardware.h"
#include "core/rng.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/checkpoint/safetensors.h"
#include "parallel/train/training_step.h"

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
    GoldenRun(const Golden& golden, Device& device)
        : golden_(golden),
          config_(train_config(golden)),
          communicator_(make_self_communicator()),
          device_(device),
          step_(build_model(model_config(golden.about.at("model"))), config_, *communicator_, device_) {
        set_weights();
        set_batch();
    }

    double compute() {
        step_.compute(batch_);
        double loss = 0;
        for (int block = 0; block < step_.sums().blocks(); ++block) loss += step_.loss(block);
        return loss / static_cast<double>(batch_.size);
    }
    void update() { step_.update(); }
    std::vector<float> logits() const {
        const TensorView view = step_.executor().view(step_.plan().graph.output("logits"));
        return device_.read(view.as<float>(), view.shape.elements(),
                            [&](const float* here) { return std::vector<float>(here, here + view.shape.elements()); });
    }
    std::vector<float> gradient(ValueId parameter) const {
        const ModelState& state = step_.state();
        const FlatRange& range = state.flat.find(parameter);
        std::vector<float> sum(static_cast<size_t>(range.count), 0.0f);
        for (int block = 0; block < step_.sums().blocks(); ++block) {
            const float* data =
                state.gradients.as<float>() + static_cast<size_t>(block) * state.gradient_stride + range.begin;
            device_.read(data, range.count, [&](const float* here) {
                std::transform(sum.begin(), sum.end(), here, sum.begin(), std::plus<>());
            });
        }
        return sum;
    }
    const Graph& graph() const { return step_.graph(); }
    WeightSet weights() const { return step_.state().weights(); }

private:
    static ModelConfig model_config(const Json& model) {
        ModelConfig config;
        config.name = model.at("name").get<std::string>();
        config.channels = model.at("channels").get<int64_t>();
        config.size = model.at("size").get<int64_t>();
        config.classes = model.at("classes").get<int64_t>();
        config.multilabel = find_model(config.name).multilabel;
        config.dropout = 0;
        return config;
    }
    static TrainConfig train_config(const Golden& golden) {
        TrainConfig config;
        config.adam_epsilon = 1e-3;
        config.batch_size = golden.about.at("batch").get<int64_t>();
        config.virtual_ranks = std::min<int64_t>(8, config.batch_size);
        if (golden.tensors.count("pos_weight"))
            config.pos_weight.assign(golden.tensor("pos_weight").begin(), golden.tensor("pos_weight").end());
        return config;
    }
    void set_weights() {
        WeightSet set;
        const auto seed = golden_.about.at("seed").get<uint64_t>();
        for (const NamedTensor& tensor : step_.state().weights().tensors) {
            NamedTensor filled = tensor;
            const auto rule = golden_.about.at("weights").find(tensor.name);
            if (rule != golden_.about.at("weights").end())
                filled.data = generate(seed, rule->at("index").get<uint32_t>(), tensor.shape.elements(), *rule);
            else
                filled.data.assign(filled.data.size(), tensor.name.ends_with("running_var") ? 1.0f : 0.0f);
            set.tensors.push_back(std::move(filled));
        }
        step_.state().set_weights(set, "golden file");
    }
    void set_batch() {
        const Shape& shape = graph().value(graph().input).shape;
        const int64_t size = config_.batch_size, leaves = config_.virtual_ranks;
        images_ = generate(golden_.about.at("seed").get<uint64_t>(), golden_.about.at("stream_images").get<uint32_t>(),
                           size * shape.elements(), golden_.about.at("images"));
        const auto& labels = golden_.tensor("labels");
        if (graph().value(graph().label).dtype == DType::i32)
            batch_.labels.assign(labels.begin(), labels.end());
        else
            batch_.targets = labels;
        batch_.multilabel = !batch_.targets.empty();
        for (int64_t v = 0; v <= leaves; ++v) batch_.leaf_begin.push_back(static_cast<int32_t>(leaf_start(v, size, leaves)));
        batch_.sample_ids.resize(static_cast<size_t>(size));
        batch_.size = batch_.global_size = size;
        batch_.images = images_.data();
    }

    const Golden& golden_;
    const TrainConfig config_;
    const std::unique_ptr<Communicator> communicator_;
    Device& device_;
    TrainingStep step_;
    std::vector<float> images_;
    Batch batch_;
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

void check_model(const char* model, Device& device) {
    const Golden golden(model);
    const auto zero = golden.about.at("zero_gradient").get<std::vector<std::string>>();
    const auto is_zero = [&](const std::string& name) { return std::count(zero.begin(), zero.end(), name) > 0; };
    GoldenRun run(golden, device);

    for (int step = 0; step < 3; ++step) {
        const double expected = golden.about.at("losses").at(static_cast<size_t>(step)).get<double>();
        EXPECT_NEAR(run.compute(), expected, tolerance * std::abs(expected)) << "step " << step;
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

constexpr const char* models[] = {"pneumonia_cnn", "fracture_cnn", "rsna_cnn", "cifar_cnn", "nih_cnn"};

class GoldenModel : public testing::TestWithParam<std::tuple<const char*, Isa>> {};

TEST_P(GoldenModel, AgreesWithPyTorchInDoublePrecision) {
    const auto [model, isa] = GetParam();
    if (isa > best_isa()) GTEST_SKIP() << "this processor has no " << isa_name(isa);
    Cpu device(Target{isa}, 1);
    check_model(model, device);
}

class GpuGoldenModel : public testing::TestWithParam<const char*> {};

TEST_P(GpuGoldenModel, AgreesWithPyTorchInDoublePrecision) {
    if (const std::string why_not = query_gpus().why_not; !why_not.empty()) GTEST_SKIP() << why_not;
    check_model(GetParam(), *make_cuda_device(0));
}

INSTANTIATE_TEST_SUITE_P(Models, GpuGoldenModel, testing::ValuesIn(models),
                         [](const auto& instance) { return std::string(instance.param); });

INSTANTIATE_TEST_SUITE_P(Models, GoldenModel,
                         testing::Combine(testing::ValuesIn(models), testing::Values(Isa::portable, Isa::avx2, Isa::avx512)),
                         [](const auto& instance) {
                             return std::string(std::get<0>(instance.param)) + "_" + isa_name(std::get<1>(instance.param));
                         });

}  // namespace
}  // namespace xbench
