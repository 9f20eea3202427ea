// Opens checkpoints: described by their own metadata, or by the command line and the shapes of their tensors.
#include "app/checkpoint_input.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "app/command_table.h"
#include "app/commands.h"
#include "core/error.h"
#include "core/nearest.h"
#include "models/registry.h"

namespace xbench {
namespace {

bool is_number(const std::string& text) {
    return !text.empty() && text.size() < 8 && text.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> split_names(const std::string& text) {
    std::vector<std::string> names;
    std::stringstream stream(text);
    for (std::string name; std::getline(stream, name, ',');) names.push_back(name);
    return names;
}

int64_t given_classes(const CheckpointOptions& options) {
    if (options.classes.empty()) return 0;
    const int64_t count =
        is_number(options.classes) ? std::stoll(options.classes) : static_cast<int64_t>(split_names(options.classes).size());
    if (count == 0) throw UsageError("no classes", "--classes", "give their number, or their names with commas");
    return count;
}

// The file's own word counts, and what contradicts it is refused.
void refuse_contradictions(const CheckpointOptions& options, const LoadedModel& model) {
    const ModelConfig& own = model.description.model;
    const auto refuse = [&](const char* option, const std::string& says) {
        throw UsageError(fmt::format("{} says itself: {}", model.path, says), option, "leave the option out");
    };
    if (!options.model.empty() && options.model != own.name) refuse("--model", own.name);
    const int64_t classes = given_classes(options);
    const auto names = split_names(options.classes);
    if (classes != 0 && (classes != own.classes || (!is_number(options.classes) && names != model.description.class_names)))
        refuse("--classes", fmt::format("{}", fmt::join(model.description.class_names, ",")));
    if (options.size != 0 && options.size != own.size) refuse("--size", std::to_string(own.size));
    if (!options.widths.empty() && options.widths != own.widths) refuse("--widths", fmt::format("{}", own.widths));
    if (!options.mean.empty() && options.mean != model.description.mean)
        refuse("--mean", fmt::format("{}", model.description.mean));
    if (!options.std.empty() && options.std != model.description.std)
        refuse("--std", fmt::format("{}", model.description.std));
    if (options.multilabel && !own.multilabel) refuse("--multilabel", "one label an image");
}

// The first extent of each tensor of this rank, in the file's order.
std::vector<int64_t> outputs_of(const WeightSet& weights, int rank) {
    std::vector<int64_t> outputs;
    for (const NamedTensor& tensor : weights.tensors)
        if (tensor.shape.rank == rank) outputs.push_back(tensor.shape[0]);
    return outputs;
}

// PyTorch's state dicts come sorted or in forward order; a model's filters follow each other in both, but for 10 and more.
int64_t input_channels(const WeightSet& weights) {
    for (const NamedTensor& tensor : weights.tensors)
        if (tensor.shape.rank == 4) return tensor.shape[1];
    return 0;
}

bool fits(const LoadedModel& model, const ModelConfig& config, std::string& why) {
    try {
        match_weights(model.weights, build_model(resolve_model(config)), model.path);
        return true;
    } catch (const Error& error) {
        if (why.empty()) why = error.what();
        return false;
    }
}

ModelConfig model_of_shapes(const CheckpointOptions& options, const LoadedModel& model, const DatasetInfo* info) {
    ModelConfig config;
    config.name = options.model;
    config.widths = options.widths;
    config.channels = input_channels(model.weights);
    config.size = options.size > 0 ? options.size : info != nullptr ? info->height : 0;
    config.multilabel = options.multilabel || (info != nullptr && info->multilabel);
    const std::vector<int64_t> linear = outputs_of(model.weights, 2);
    config.classes = given_classes(options);
    if (config.classes == 0) config.classes = linear.empty() ? 0 : linear.back();
    std::string why;
    if (fits(model, config, why)) return config;
    ModelConfig narrower = config;
    narrower.widths = outputs_of(model.weights, 4);
    if (options.widths.empty() && fits(model, narrower, why)) return narrower;
    throw Error(why);
}

std::vector<std::string> class_names(const CheckpointOptions& options, int64_t classes, const DatasetInfo* info) {
    if (!options.classes.empty() && !is_number(options.classes)) return split_names(options.classes);
    if (info != nullptr && info->classes() == classes) return info->class_names;
    std::vector<std::string> names;
    for (int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
    return names;
}

void describe_foreign(const CheckpointOptions& options, LoadedModel& model, const DatasetInfo* info) {
    if (options.model.empty())
        throw UsageError("its metadata does not say which model it is of", model.path,
                         "give --model NAME, and --classes; `xbench models` lists the names");
    const std::vector<std::string> known = known_models();
    if (std::find(known.begin(), known.end(), options.model) == known.end()) {
        const std::string close = nearest(options.model, known);
        throw UsageError(
            "unknown model " + options.model, "--model",
            close.empty() ? fmt::format("there are {}", fmt::join(known, ", ")) : "did you mean " + close + "?");
    }
    ModelDescription& about = model.description;
    about.model = resolve_model(model_of_shapes(options, model, info));
    about.class_names = class_names(options, about.model.classes, info);
    if (!options.mean.empty()) about.mean = options.mean;
    if (!options.std.empty()) about.std = options.std;
    model.note = fmt::format(
        "{} is not from xbench, or from one that wrote no hashes: taken as {} with {} classes, mean {} "
        "and std {}; damage to it would not be noticed",
        model.path, about.model.name, about.model.classes, fmt::join(about.mean, ","), fmt::join(about.std, ","));
    if (!model.weights.wrapper.empty())
        model.note += fmt::format("; \"{}\" was taken off the names of its tensors", model.weights.wrapper);
}

}  // namespace

void add_checkpoint_options(CLI::App& command, CheckpointOptions& options) {
    command.add_option("--checkpoint", options.checkpoint, "a .safetensors file, or the folder that holds it")
        ->type_name(value::path)
        ->required();
    command.add_option("--model", options.model, "the model, for weights that are not from xbench")->type_name(value::model);
    command.add_option("--classes", options.classes, "of such weights: the number of classes, or their names as a,b")
        ->type_name("COUNT|NAMES");
    command.add_option("--widths", options.widths, "of such weights, where their shapes leave it open")->delimiter(',');
    command.add_option("--size", options.size, "of such weights: input height and width (default: the model's, the set's)")
        ->check(CLI::PositiveNumber);
    command.add_option("--mean", options.mean, "of such weights: one number or one a channel (default 0.5)")->delimiter(',');
    command.add_option("--std", options.std, "of such weights (default 0.5)")->delimiter(',')->check(CLI::PositiveNumber);
    command.add_flag("--multilabel", options.multilabel, "of such weights: several labels an image");
}

LoadedModel load_model(const CheckpointOptions& options, const DatasetInfo* info) {
    LoadedModel model;
    model.path = find_weights(options.checkpoint).string();
    model.weights = load_weights(model.path);
    if (model.weights.metadata.contains("xbench.model")) {
        model.description = description_of(model.weights, model.path);
        refuse_contradictions(options, model);
        if (!model.weights.verified) model.note = model.path + " has no hash, so damage to it would not be noticed";
    } else {
        describe_foreign(options, model, info);
    }
    model.graph = build_model(resolve_model(model.description.model));
    match_weights(model.weights, model.graph, model.path);
    const auto names = static_cast<int64_t>(model.description.class_names.size());
    if (names != model.description.model.classes) {
        throw Error(fmt::format("{} class names for {} classes", names, model.description.model.classes), model.path,
                    "give a checkpoint that xbench wrote, or --classes with as many names");
    }
    return model;
}

std::string details_of(const LoadedModel& model, int64_t images, const Device& device,
                       std::chrono::steady_clock::time_point start) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return fmt::format("{} from {}, weights {}\n{} images in {:.2f} s, {:.0f} images/s: {} threads, {}",
                       model.description.model.name, model.path, weights_hash(model.weights), images, seconds,
                       static_cast<double>(images) / seconds, device.threads(), to_string(device.target()));
}

void check_images_fit(const LoadedModel& model, const DatasetInfo& info) {
    const ModelConfig& want = model.description.model;
    if (info.channels == want.channels && info.height == want.size && info.width == want.size) return;
    throw Error(fmt::format("images of {}x{}x{}, but {} takes {}x{}x{}", info.channels, info.height, info.width, want.name,
                            want.channels, want.size, want.size),
                info.source, fmt::format("import them with --size {} --channels {}", want.size, want.channels));
}

void check_classes_fit(const LoadedModel& model, const DatasetInfo& info) {
    const std::vector<std::string>& ours = model.description.class_names;
    if (info.class_names != ours) {
        throw Error(fmt::format("its classes are {}, the checkpoint's are {}", fmt::join(info.class_names, ", "),
                                fmt::join(ours, ", ")),
                    info.source, "evaluate on a set with the same classes in the same order, or use `xbench predict`");
    }
    if (info.multilabel != model.description.model.multilabel) {
        throw Error(info.multilabel ? "its images have several labels, the model gives one"
                                    : "its images have one label, the model gives several",
                    info.source, "use `xbench predict`");
    }
}

}  // namespace xbench
