// xbench models: the list of models, or one model's layers with their output shapes and parameters.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "bench/runs/memory_report.h"
#include "core/error.h"
#include "core/hardware.h"
#include "data/load/loader.h"
#include "models/registry.h"
#include "parallel/comm/setups.h"
#include "parallel/strategy/gradient_buckets.h"
#include "parallel/strategy/memory_prediction.h"
#include "parallel/train/inference.h"
#include "plan/plan.h"

namespace xbench {
namespace {

struct ModelsOptions {
    ModelConfig model;
    std::string precision = "fp32";
    int64_t batch = 0;
    int ranks = 1;
    bool memory = false;
    bool json = false, explain = false, activation_checkpointing = false;
};

// Without the batch dimension.
Json shape_json(const Shape& shape, int first_axis) {
    Json json = Json::array();
    for (int axis = first_axis; axis < shape.rank; ++axis) json.push_back(shape[axis]);
    return json;
}

Json layer_json(const Graph& graph, const Node& node) {
    const Value& y = graph.value(node.out[0]);
    Json parameters = Json::object();
    for (const ValueId id : node.in) {
        const Value& value = graph.value(id);
        if (value.role == Role::parameter || value.role == Role::buffer) parameters[value.name] = shape_json(value.shape, 0);
    }
    return {{"name", node.name}, {"type", name_of(node.op)}, {"output", shape_json(y.shape, 1)}, {"parameters", parameters}};
}

Json model_json(const ModelConfig& config) {
    const Graph graph = build_model(config);
    int64_t parameters = 0, trainable = 0, buffers = 0;
    for (const ValueId id : graph.state) {
        const Value& value = graph.value(id);
        const int64_t count = value.shape.elements();
        if (value.role == Role::buffer)
            buffers += count;
        else
            parameters += count;
        if (value.role == Role::parameter && value.trainable) trainable += count;
    }
    Json layers = Json::array();
    for (const Node& node : graph.nodes)
        if (!graph.is_loss(node.out[0])) layers.push_back(layer_json(graph, node));
    return {{"name", graph.name},       {"input", shape_json(graph.value(graph.input).shape, 1)},
            {"parameters", parameters}, {"trainable", trainable},
            {"buffers", buffers},       {"layers", layers}};
}

std::string joined(const Json& numbers) {
    std::string text;
    for (const auto& number : numbers) text += (text.empty() ? "" : "x") + std::to_string(number.get<int64_t>());
    return text;
}

void print_model(const Json& model) {
    fmt::print("{}  input {}\n\n", model["name"].get<std::string>(), joined(model["input"]));
    fmt::print("{:<10} {:<24} {:>14} {:>12}  {}\n", "layer", "type", "output", "values", "parameters");
    for (const Json& layer : model["layers"]) {
        int64_t values = 0;
        std::string tensors;
        for (const auto& [name, shape] : layer["parameters"].items()) {
            int64_t count = 1;
            for (const auto& extent : shape) count *= extent.get<int64_t>();
            values += count;
            tensors += fmt::format("{}{} {}", tensors.empty() ? "" : ", ", name, joined(shape));
        }
        fmt::print("{:<10} {:<24} {:>14} {:>12}  {}\n", layer["name"].get<std::string>(), layer["type"].get<std::string>(),
                   joined(layer["output"]), values ? fmt::format("{:L}", values) : "", tensors);
    }
    fmt::print("\nparameters {} (trainable {}), running statistics {}\n", model["parameters"].get<int64_t>(),
               model["trainable"].get<int64_t>(), model["buffers"].get<int64_t>());
}

void print_list(bool json) {
    Json list = Json::array();
    for (const ModelInfo& info : model_table()) {
        ModelConfig config;
        config.name = info.name;
        list.push_back(model_json(config));
    }
    if (json) {
        fmt::print("{}\n", list.dump(2));
        return;
    }
    fmt::print("{:<16} {:>12} {:>12} {:>8}  {}\n", "model", "input", "parameters", "buffers", "what it is");
    for (size_t i = 0; i < list.size(); ++i)
        fmt::print("{:<16} {:>12} {:>12} {:>8}  {}\n", list[i]["name"].get<std::string>(), joined(list[i]["input"]),
                   list[i]["parameters"].get<int64_t>(), list[i]["buffers"].get<int64_t>(), model_table()[i].summary);
}

int64_t batch_of(const ModelsOptions& options) {
    return options.batch ? options.batch : find_model(options.model.name).batch;
}

int64_t leaves_of(const ModelsOptions& options) { return std::min(TrainConfig{}.virtual_ranks, batch_of(options)); }

// Of one rank, with the batches and leaves of the training loop.
Plan plan_of(const ModelsOptions& options, const Graph& graph, bool training, int rank, int stage = 0) {
    const int64_t leaves = leaves_of(options), own = leaves_of_rank(leaves, rank, options.ranks).count;
    PlanOptions plan;
    plan.training = training;
    plan.max_batch = most_images(own, training ? batch_of(options) : evaluation_batch(batch_of(options)), leaves);
    plan.leaves = static_cast<int>(own);
    plan.products = products_in(options.precision);
    plan.activation_checkpointing = options.activation_checkpointing;
    TrainConfig train;
    train.activation_checkpointing = options.activation_checkpointing;
    plan.hide_sums = stage == 0 && options.ranks > 1 && hides_sums(train);
    return compile(graph, Target{usable_isa()}, plan);
}

void print_plan(const ModelsOptions& options) {
    fmt::print("{}", explain(plan_of(options, build_model(options.model), true, 0)));
}

// What a rank of so many would take in each stage of ZeRO; the rank that takes the most.
void print_memory(const ModelsOptions& options) {
    const Graph graph = build_model(options.model);
    std::vector<std::pair<std::string, MemoryUse>> rows;
    TrainConfig train;
    train.virtual_ranks = leaves_of(options);
    if (options.ranks > train.virtual_ranks)
        throw UsageError(fmt::format("{} ranks but only {} virtual ranks", options.ranks, train.virtual_ranks), "--ranks",
                         "give fewer ranks, or a larger --batch");
    for (int stage = 0; stage <= highest_stage; ++stage) {
        MemoryUse most;
        for (int rank = 0; rank < options.ranks; ++rank) {
            const Plan training = plan_of(options, graph, true, rank, stage),
                       evaluation = plan_of(options, graph, false, rank);
            MemoryQuestion question{training, evaluation, train};
            question.stage = stage;
            question.rank = rank;
            question.ranks = options.ranks;
            question.batches = batches_in_memory(static_cast<int>(DataConfig{}.workers), LoaderOptions{}.prefetch);
            const MemoryUse use = predict_memory(question);
            if (use.total() > most.total()) most = use;
        }
        rows.emplace_back(stage == 0 ? "replicated" : fmt::format("ZeRO stage {}", stage), most);
    }
    fmt::print("{}, predicted for one of {} ranks, adam\n\n{}", graph.name, options.ranks, memory_table(rows));
    if (const std::string limit = limit_of_sharding(rows.front().second); !limit.empty()) fmt::print("\n{}\n", limit);
}

void run(const ModelsOptions& options) {
    if (options.model.name.empty()) return print_list(options.json);
    if (options.explain) return print_plan(options);
    if (options.memory) return print_memory(options);
    const Json model = model_json(options.model);
    if (options.json)
        fmt::print("{}\n", model.dump(2));
    else
        print_model(model);
}

}  // namespace

void add_models_command(CLI::App& app) {
    auto* command = app.add_subcommand("models", "list the models, or show one: layers, output shapes, parameters");
    auto options = std::make_shared<ModelsOptions>();
    command->add_option("NAME", options->model.name, "the model to show");
    command->add_flag("--json", options->json, "as JSON");
    command->add_flag("--explain", options->explain, "print the training plan: every step with its kernel and memory");
    command->add_flag("--memory", options->memory, "predict the memory of a rank, by category and stage of ZeRO");
    command->add_option("--ranks", options->ranks, "of --memory (default 1)")->check(CLI::PositiveNumber);
    command->add_option("--channels", options->model.channels, "input channels (default: the model's own)");
    command->add_option("--size", options->model.size, "input height and width (default: the model's own)");
    command->add_option("--classes", options->model.classes, "outputs (default: the model's own)");
    command->add_option("--widths", options->model.widths, "channels of the convolution blocks, as 16,32,32")
        ->delimiter(',');
    command->add_option("--batch", options->batch, "images of the plan (default: the published batch)");
    command->add_option("--precision", options->precision, "of the plan: fp32 or bf16")
        ->check(CLI::IsMember({"fp32", "bf16"}));
    command->add_flag("--activation-checkpointing", options->activation_checkpointing,
                      "the plan keeps only what passes between units and computes the rest again");
    command->callback([options] { run(*options); });
}

}  // namespace xbench
