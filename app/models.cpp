// xbench models: the list of models, or one model's layers with their output shapes and parameters.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/command_table.h"
#include "app/commands.h"
#include "bench/runs/memory_report.h"
#include "core/error.h"
#include "core/hardware.h"
#include "core/virtual_ranks.h"
#include "data/load/loader.h"
#include "models/registry.h"
#include "models/training_graph.h"
#include "parallel/comm/setups.h"
#include "parallel/train/inference.h"
#include "parallel/train/rank_plan.h"

namespace xbench {
namespace {

struct ModelsOptions {
    ModelConfig model;
    std::string precision = "fp32";
    std::vector<std::string> frozen;
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
        if (value.role == Role::parameter || value.role == Role::buffer ||
            (value.role == Role::constant && !value.trainable))
            parameters[value.name] = shape_json(value.shape, 0);
    }
    return {{"name", node.name}, {"type", name_of(node.op)}, {"output", shape_json(y.shape, 1)}, {"parameters", parameters}};
}

Json model_json(const ModelConfig& config, const std::vector<std::string>& frozen = {}) {
    Graph graph = build_model(config);
    if (!frozen.empty()) freeze(graph, frozen);
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
        fmt::print("{}\n", json_text(list, 2));
        return;
    }
    fmt::print("{:<14} {:>9} {:>10} {:>7}  {}\n", "model", "input", "parameters", "buffers", "what it is");
    for (size_t i = 0; i < list.size(); ++i)
        fmt::print("{:<14} {:>9} {:>10} {:>7}  {}\n", list[i]["name"].get<std::string>(), joined(list[i]["input"]),
                   list[i]["parameters"].get<int64_t>(), list[i]["buffers"].get<int64_t>(), model_table()[i].summary);
}

// What a training run with these options is told.
TrainConfig train_config(const ModelsOptions& options) {
    TrainConfig config;
    config.batch_size = options.batch ? options.batch : find_model(options.model.name).batch;
    config.virtual_ranks = std::min(config.virtual_ranks, config.batch_size);
    config.precision = options.precision;
    config.activation_checkpointing = options.activation_checkpointing;
    return config;
}

// Of a rank among ranks of one node.
RankPlace place_of(const ModelsOptions& options, int rank, int stage) {
    RankPlace place;
    place.rank = rank;
    place.ranks = options.ranks;
    place.stage = stage;
    place.shares_update = stage == 0 && options.ranks > 1;
    place.target = Target{usable_isa()};
    return place;
}

void print_plan(const ModelsOptions& options) {
    const Graph graph = build_model(options.model);
    fmt::print("{}", explain(rank_plan(graph, train_config(options), place_of(options, 0, 0)).training));
}

MemoryUse predicted_use(const Graph& graph, const TrainConfig& train, const RankPlace& place) {
    const RankPlan plan = rank_plan(graph, train, place);
    const Plan evaluation = evaluation_plan(graph, train, place, evaluation_batch(train.batch_size));
    const int batches = batches_in_memory(static_cast<int>(DataConfig{}.workers), LoaderOptions{}.prefetch);
    return predict_memory(memory_question(plan, evaluation, train, place, batches));
}

// What a rank of so many would take in each stage of ZeRO; the rank that takes the most.
void print_memory(const ModelsOptions& options) {
    const Graph graph = build_model(options.model);
    const TrainConfig train = train_config(options);
    if (const std::string mistake = too_many_ranks(options.ranks, train); !mistake.empty())
        throw UsageError(mistake, "--ranks", "give fewer ranks, or a larger --batch");
    std::vector<std::pair<std::string, MemoryUse>> rows;
    for (int stage = 0; stage <= highest_stage; ++stage) {
        MemoryUse most;
        for (int rank = 0; rank < options.ranks; ++rank)
            if (const MemoryUse use = predicted_use(graph, train, place_of(options, rank, stage));
                use.total() > most.total())
                most = use;
        rows.emplace_back(stage == 0 ? "replicated" : fmt::format("ZeRO stage {}", stage), most);
    }
    if (options.json) {
        Json json{
            {"name", graph.name}, {"ranks", options.ranks}, {"optimizer", train.optimizer}, {"rank_bytes", Json::array()}};
        for (size_t stage = 0; stage < rows.size(); ++stage) {
            json["rank_bytes"].push_back(Json{{"stage", stage}});
            json["rank_bytes"].back().update(to_json(rows[stage].second));
        }
        fmt::print("{}\n", json_text(json, 2));
        return;
    }
    fmt::print("{}, predicted for one of {} ranks, adam\n\n{}", graph.name, options.ranks, memory_table(rows));
    if (const std::string limit = limit_of_sharding(rows.front().second); !limit.empty()) fmt::print("\n{}\n", limit);
}

// What only some of the command's forms look at is refused where it would be left aside.
void refuse_unused(const CLI::App& command, const ModelsOptions& options) {
    const auto refuse = [&](const char* option, const char* why, const char* remedy) {
        if (command.count(option) > 0) throw UsageError(why, option, remedy);
    };
    const bool plan = options.explain || options.memory;
    if (options.explain && options.memory) refuse("--memory", "beside --explain", "give one of them");
    if (options.explain) refuse("--json", "the plan of --explain is no JSON", "leave one of them out");
    if (!plan)
        for (const char* option : {"--batch", "--precision", "--activation-checkpointing"})
            refuse(option, "is of the plan", "give --explain or --memory too");
    if (plan) refuse("--freeze", "is of the list of layers", "leave --explain and --memory out");
    if (!options.memory) refuse("--ranks", "is of the prediction of memory", "give --memory too");
    if (options.model.name.empty())
        for (const char* option : {"--explain", "--memory", "--channels", "--size", "--classes", "--widths", "--freeze"})
            refuse(option, "is of one model", "name it: xbench models NAME");
}

void run(const ModelsOptions& options) {
    if (options.model.name.empty()) return print_list(options.json);
    if (options.explain) return print_plan(options);
    if (options.memory) return print_memory(options);
    const Json model = model_json(options.model, options.frozen);
    if (options.json)
        fmt::print("{}\n", json_text(model, 2));
    else
        print_model(model);
}

}  // namespace

void add_models_command(CLI::App& app) {
    auto* command = app.add_subcommand("models", "list the models, or show one: layers, output shapes, parameters");
    auto options = std::make_shared<ModelsOptions>();
    command->add_option("NAME", options->model.name, "the model to show")->type_name(value::model);
    command->add_flag("--json", options->json, "as JSON");
    command->footer("$ xbench models cifar_cnn --explain --batch 64");
    command->add_flag("--explain", options->explain, "print the training plan: every step with its kernel and memory");
    command->add_flag("--memory", options->memory, "predict the memory of a rank, by category and stage of ZeRO");
    command->add_option("--ranks", options->ranks, "of --memory (default 1)")->check(CLI::PositiveNumber);
    command->add_option("--channels", options->model.channels, "input channels (default: the model's own)")
        ->check(CLI::PositiveNumber);
    command->add_option("--size", options->model.size, "input height and width (default: the model's own)")
        ->check(CLI::PositiveNumber);
    command->add_option("--classes", options->model.classes, "outputs (default: the model's own)")
        ->check(CLI::PositiveNumber);
    command->add_option("--widths", options->model.widths, "channels of the convolution blocks, as 16,32,32")
        ->delimiter(',')
        ->check(CLI::PositiveNumber);
    command->add_option("--freeze", options->frozen, "patterns of parameters' names that are not trained, as train.freeze")
        ->delimiter(',');
    command->add_option("--batch", options->batch, "images of the plan (default: the published batch)")
        ->check(CLI::PositiveNumber);
    command->add_option("--precision", options->precision, "of the plan")
        ->check(CLI::IsMember({"fp32", "bf16", "fp16", "tf32"}));
    command->add_flag("--activation-checkpointing", options->activation_checkpointing,
                      "the plan keeps only what passes between units and computes the rest again");
    command->callback([command, options] {
        refuse_unused(*command, *options);
        run(*options);
    });
}

}  // namespace xbench
