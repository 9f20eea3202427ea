// Weights <-> safetensors, their hash, and the description of the model in the file's metadata.
#include "parallel/checkpoint/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/core.h>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"

namespace xbench {
namespace {

constexpr std::string_view counter = "num_batches_tracked", variance = "running_var";

bool ends_with_part(std::string_view name, std::string_view part) {
    return name == part || (name.size() > part.size() && name.ends_with(part) && name[name.size() - part.size() - 1] == '.');
}

constexpr const char *weights_key = "xbench.weights_hash", *header_key = "xbench.header_hash";

std::string header_hash(const TensorFile& file) {
    Json header{{"metadata", Json::object()}, {"tensors", Json::array()}, {"integers", Json::array()}};
    for (const auto& [key, value] : file.metadata)
        if (key != header_key) header["metadata"][key] = value;
    for (const NamedTensor& one : file.tensors) header["tensors"].push_back({one.name, to_string(one.shape)});
    for (const NamedInteger& one : file.integers) header["integers"].push_back({one.name, one.value});
    const std::string text = json_text(header);
    Hash hash;
    hash.add(text.data(), text.size());
    return hash.hex();
}

// One of two keys alone is a damaged file too: a flipped bit may lie in a key.
bool verify(const TensorFile& file, const WeightSet& weights, const std::filesystem::path& path) {
    const auto at = [&](const char* key) {
        const auto found = file.metadata.find(key);
        return found == file.metadata.end() ? std::string() : found->second;
    };
    const std::string numbers = at(weights_key), header = at(header_key);
    if (numbers.empty() && header.empty()) return false;
    const char* part = header != header_hash(file) ? "header" : numbers != weights_hash(weights) ? "numbers" : nullptr;
    if (part != nullptr)
        throw Error(fmt::format("damaged: the hash of its {} is not the one that was written with it", part), path.string(),
                    "copy the file again, or take another checkpoint");
    return true;
}

// PyTorch's wrappers put their own name in front of all names of a state dict: DistributedDataParallel, compile, Lightning.
constexpr const char* wrappers[] = {"module.", "_orig_mod.", "model.", "net."};

void take_off_wrappers(WeightSet& weights) {
    for (bool found = true; found && !weights.tensors.empty();) {
        found = false;
        for (const std::string_view wrapper : wrappers) {
            const auto begins = [&](const NamedTensor& tensor) { return tensor.name.starts_with(wrapper); };
            if (!std::all_of(weights.tensors.begin(), weights.tensors.end(), begins)) continue;
            for (NamedTensor& tensor : weights.tensors) tensor.name.erase(0, wrapper.size());
            weights.wrapper += wrapper;
            found = true;
        }
    }
}

Json model_json(const ModelConfig& model) {
    return Json{{"name", model.name},     {"widths", model.widths},           {"dropout", model.dropout},
                {"bn_eps", model.bn_eps}, {"bn_momentum", model.bn_momentum}, {"channels", model.channels},
                {"size", model.size},     {"classes", model.classes},         {"multilabel", model.multilabel}};
}

void take_evaluation(const Json& json, ModelDescription& description) {
    description.precision = json.at("precision").get<std::string>();
    description.evaluation_batch = json.at("batch_size").get<int64_t>();
    description.virtual_ranks = json.at("virtual_ranks").get<int64_t>();
}

Json loss_json(const LossDescription& loss) {
    return Json{{"focal", loss.focal},
                {"focal_gamma", loss.focal_gamma},
                {"focal_alpha", loss.focal_alpha},
                {"label_smoothing", loss.label_smoothing},
                {"class_weights", loss.class_weights},
                {"class_weight_mean", loss.mean_of_weights ? "weights" : "images"}};
}

void take_loss(const Json& json, LossDescription& loss) {
    loss.focal = json.at("focal").get<bool>();
    loss.focal_gamma = json.at("focal_gamma").get<double>();
    loss.focal_alpha = json.at("focal_alpha").get<double>();
    loss.label_smoothing = json.at("label_smoothing").get<double>();
    loss.class_weights = json.at("class_weights").get<std::vector<double>>();
    loss.mean_of_weights = json.at("class_weight_mean").get<std::string>() == "weights";
}

Json choices_json(const ModelDescription& description) {
    Json json{{"thresholds", description.thresholds}, {"temperature", nullptr}};
    if (!std::isnan(description.temperature)) json["temperature"] = description.temperature;
    return json;
}

void take_choices(const Json& json, ModelDescription& description) {
    description.thresholds = json.at("thresholds").get<std::vector<double>>();
    if (!json.at("temperature").is_null()) description.temperature = json.at("temperature").get<double>();
}

ModelConfig model_from(const Json& json) {
    ModelConfig model;
    model.name = json.at("name").get<std::string>();
    model.widths = json.at("widths").get<std::vector<int64_t>>();
    model.dropout = json.at("dropout").get<double>();
    model.bn_eps = json.at("bn_eps").get<double>();
    model.bn_momentum = json.at("bn_momentum").get<double>();
    model.channels = json.at("channels").get<int64_t>();
    model.size = json.at("size").get<int64_t>();
    model.classes = json.at("classes").get<int64_t>();
    model.multilabel = json.at("multilabel").get<bool>();
    return model;
}

}  // namespace

void save_weights(const std::filesystem::path& path, const WeightSet& weights) {
    TensorFile file{.tensors = weights.tensors, .integers = {}, .metadata = weights.metadata};
    file.metadata["format"] = "pt";  // what Hugging Face's loader looks for
    for (const NamedTensor& tensor : weights.tensors) {
        if (!ends_with_part(tensor.name, variance)) continue;
        const std::string prefix = tensor.name.substr(0, tensor.name.size() - variance.size());
        file.integers.push_back({prefix + std::string(counter), 0});
    }
    file.metadata[weights_key] = weights_hash(weights);
    file.metadata[header_key] = header_hash(file);
    write_safetensors(path, file);
}

std::filesystem::path find_weights(const std::filesystem::path& path) {
    if (!is_folder(path)) return path;
    if (is_folder(path / "checkpoints")) return find_weights(path / "checkpoints");
    if (path_exists(path / "best.safetensors")) return path / "best.safetensors";
    std::vector<std::filesystem::path> found;
    for (const std::filesystem::path& entry : list_folder(path))
        if (entry.extension() == ".safetensors") found.push_back(entry);
    if (found.size() == 1) return found.front();
    throw Error(fmt::format("holds {} .safetensors files and no best.safetensors", found.size()), path.string(),
                "name the file itself");
}

WeightSet load_weights(const std::filesystem::path& path) {
    const std::filesystem::path found = find_weights(path);
    TensorFile file = read_safetensors(found);
    for (const NamedInteger& one : file.integers) {
        if (!ends_with_part(one.name, counter)) {
            throw Error("an integer where weights were expected", path.string() + ": " + one.name,
                        "export the weights alone");
        }
    }
    WeightSet weights;
    weights.tensors = file.tensors;
    weights.verified = verify(file, weights, found);
    weights.metadata = std::move(file.metadata);
    if (!weights.verified) take_off_wrappers(weights);
    return weights;
}

std::string weights_hash(const WeightSet& weights) {
    Hash hash;
    for (const NamedTensor& tensor : weights.tensors) hash.add(tensor.data.data(), tensor.data.size() * sizeof(float));
    return hash.hex();
}

std::vector<const NamedTensor*> match_weights(const WeightSet& weights, const Graph& graph, const std::string& origin) {
    std::map<std::string_view, const NamedTensor*> left;
    for (const NamedTensor& tensor : weights.tensors) left[tensor.name] = &tensor;
    std::vector<const NamedTensor*> matched;
    std::string mistakes;
    for (const ValueId id : graph.state) {
        const Value& value = graph.value(id);
        const auto found = left.find(value.name);
        if (found == left.end()) {
            mistakes += fmt::format("\n  {} {} is missing", value.name, to_string(value.shape));
            continue;
        }
        if (!(found->second->shape == value.shape)) {
            mistakes += fmt::format("\n  {} is {}, the model has {}", value.name, to_string(found->second->shape),
                                    to_string(value.shape));
        }
        matched.push_back(found->second);
        left.erase(found);
    }
    for (const auto& [name, tensor] : left)
        mistakes += fmt::format("\n  {} {} is not in the model", name, to_string(tensor->shape));
    if (!mistakes.empty()) {
        throw Error(fmt::format("these weights are not those of {}:{}", graph.name, mistakes), origin,
                    "choose the model (and its widths, channels, size, classes) that they were trained with");
    }
    return matched;
}

void describe(const ModelDescription& description, WeightSet& weights) {
    weights.metadata["xbench.model"] = json_text(model_json(description.model));
    weights.metadata["xbench.class_names"] = json_text(Json(description.class_names));
    weights.metadata["xbench.mean"] = json_text(Json(description.mean));
    weights.metadata["xbench.std"] = json_text(Json(description.std));
    weights.metadata["xbench.positive_weights"] = json_text(Json(description.positive_weights));
    if (!description.leaks.empty()) weights.metadata["xbench.leaks"] = description.leaks;
    weights.metadata["xbench.evaluation"] = json_text(Json{{"precision", description.precision},
                                                           {"batch_size", description.evaluation_batch},
                                                           {"virtual_ranks", description.virtual_ranks}});
    if (!description.loss.is_plain()) weights.metadata["xbench.loss"] = json_text(loss_json(description.loss));
    if (description.kind != "trained") weights.metadata["xbench.weights_kind"] = json_text(Json(description.kind));
    if (!description.thresholds.empty()) weights.metadata["xbench.chosen_on_val"] = json_text(choices_json(description));
}

ModelDescription description_of(const WeightSet& weights, const std::string& origin) {
    const auto json = [&](const char* key) {
        const auto found = weights.metadata.find(key);
        if (found == weights.metadata.end()) {
            throw Error(fmt::format("its metadata has no {}", key), origin, "use a checkpoint that xbench wrote");
        }
        const std::optional<Json> value = parse_json(found->second);
        if (!value)
            throw Error(fmt::format("its metadata cannot be read: {} is no JSON", key), origin,
                        "use a checkpoint that xbench wrote");
        return *value;
    };
    try {
        ModelDescription description;
        description.model = model_from(json("xbench.model"));
        description.class_names = json("xbench.class_names").get<std::vector<std::string>>();
        description.mean = json("xbench.mean").get<std::vector<double>>();
        description.std = json("xbench.std").get<std::vector<double>>();
        if (weights.metadata.contains("xbench.positive_weights"))
            description.positive_weights = json("xbench.positive_weights").get<std::vector<double>>();
        if (const auto leaks = weights.metadata.find("xbench.leaks"); leaks != weights.metadata.end())
            description.leaks = leaks->second;
        if (weights.metadata.contains("xbench.evaluation")) take_evaluation(json("xbench.evaluation"), description);
        if (weights.metadata.contains("xbench.loss")) take_loss(json("xbench.loss"), description.loss);
        if (weights.metadata.contains("xbench.weights_kind"))
            description.kind = json("xbench.weights_kind").get<std::string>();
        if (weights.metadata.contains("xbench.chosen_on_val")) take_choices(json("xbench.chosen_on_val"), description);
        return description;
    } catch (const Json::exception& error) {
        throw Error(fmt::format("its metadata cannot be read: {}", json_reason(error)), origin,
                    "use a checkpoint that xbench wrote");
    }
}

}  // namespace xbench
