// Checkpoint folders.
#include "parallel/checkpoint/training_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>

#include "core/config_versions.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "parallel/checkpoint/safetensors.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
constexpr const char* manifest_name = "manifest.json";
constexpr const char* manifest_schema = "xbench.checkpoint/1";

Json to_json(const EpochResult& e) {
    return {{"epoch", e.epoch},
            {"train_loss", e.train_loss},
            {"val_loss", e.val_loss},
            {"val_accuracy", e.val_accuracy},
            {"val_balanced_accuracy", e.val_balanced_accuracy},
            {"learning_rate", e.learning_rate},
            {"train_seconds", e.train_seconds},
            {"val_seconds", e.val_seconds},
            {"images", e.images},
            {"best", e.best},
            {"chunk_loss", e.chunk_loss},
            {"gradient_norm", e.gradient_norm},
            {"clipped", e.clipped},
            {"loss_scale", e.loss_scale},
            {"skipped_updates", e.skipped_updates}};
}

EpochResult epoch_from(const Json& json) {
    EpochResult e;
    e.epoch = json.at("epoch");
    e.train_loss = json.at("train_loss");
    e.val_loss = json.at("val_loss");
    e.val_accuracy = json.at("val_accuracy");
    e.val_balanced_accuracy = json.at("val_balanced_accuracy");
    e.learning_rate = json.at("learning_rate");
    e.train_seconds = json.at("train_seconds");
    e.val_seconds = json.at("val_seconds");
    e.images = json.at("images");
    e.best = json.at("best");
    e.chunk_loss = json.value("chunk_loss", 0.0);  // version 0.3 wrote none of these
    e.gradient_norm = json.value("gradient_norm", 0.0);
    e.clipped = json.value("clipped", 0.0);
    e.loss_scale = json.value("loss_scale", 1.0);
    e.skipped_updates = json.value("skipped_updates", int64_t{0});
    return e;
}

Json to_json(const LossScale& scale) {
    return {{"scale", scale.scale}, {"good_updates", scale.good_updates}, {"skipped_updates", scale.skipped_updates}};
}

LossScale loss_scale_from(const Json& json) {
    return {json.at("scale"), json.at("good_updates"), json.at("skipped_updates")};
}

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) throw Error("cannot be read", path.string());
    return text.str();
}

std::string digest_of(const fs::path& path) { return hash_hex(read_text(path)); }

fs::path folder_of(const fs::path& folder, uint32_t steps) { return folder / fmt::format("step-{:08}", steps); }

// The checkpoints of a folder by their steps, whole or not.
std::map<uint32_t, fs::path> checkpoints_in(const fs::path& folder) {
    std::map<uint32_t, fs::path> found;
    if (!is_folder(folder)) return found;
    for (const fs::path& entry : list_folder(folder)) {
        const std::string name = entry.filename().string();
        uint32_t steps = 0;
        if (!name.starts_with("step-") || !is_folder(entry)) continue;
        const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), steps);
        if (error == std::errc{} && end == name.data() + name.size()) found[steps] = entry;
    }
    return found;
}

void write_checkpoint(const TrainingState& state, const fs::path& folder, int64_t keep) {
    const fs::path place = folder_of(folder, state.steps);
    make_folders(place);
    remove_file(place / manifest_name);  // of an earlier run: until the new one is there, this is no checkpoint
    Json files = Json::object();
    const auto add = [&](const char* name, const WeightSet& weights) {
        save_weights(place / name, weights);
        files[name] = digest_of(place / name);
    };
    add("model.safetensors", state.model);
    add("optimizer.safetensors", {state.moments, {}});
    if (state.best_epoch) add("best.safetensors", state.best);
    Json manifest{
        {"schema", manifest_schema},
        {"steps", state.steps},
        {"epoch", state.epoch},
        {"next_batch", state.next_batch},
        {"losses", state.losses},
        {"epoch_seconds", state.epoch_seconds},
        {"total_seconds", state.total_seconds},
        {"gradient_norms", {{"sum", state.norms.sum}, {"clipped", state.norms.clipped}, {"steps", state.norms.steps}}},
        {"identity", state.identity},
        {"best_epoch", state.best_epoch ? to_json(*state.best_epoch) : Json()},
        {"loss_scale", state.loss_scale ? to_json(*state.loss_scale) : Json()},
        {"files", files}};
    manifest["history"] = Json::array();
    for (const EpochResult& epoch : state.history) manifest["history"].push_back(to_json(epoch));
    const std::string text = json_text(manifest, 1) + "\n";
    DurableFile file(place / manifest_name);
    file.write(text.data(), text.size());
    file.commit();

    const auto all = checkpoints_in(folder);
    auto oldest = all.begin();
    for (auto left = static_cast<int64_t>(all.size()); left > keep && oldest != all.end(); --left, ++oldest) {
        if (oldest->first >= state.steps) break;
        remove_file(oldest->second / manifest_name);  // first, so that a half-deleted folder is no checkpoint
        remove_tree(oldest->second);
    }
}

TrainingState read_checkpoint(const fs::path& place) {
    const Json manifest = parse_json(read_text(place / manifest_name)).value_or(Json::object());
    if (manifest.at("schema") != manifest_schema)
        throw Error("written by another version of xbench", (place / manifest_name).string());
    for (const auto& [name, digest] : manifest.at("files").items())
        if (digest_of(place / name) != digest.get<std::string>())
            throw Error("does not match its digest in the manifest", (place / name).string());
    TrainingState state;
    state.steps = manifest.at("steps");
    state.epoch = manifest.at("epoch");
    state.next_batch = manifest.at("next_batch");
    state.losses = manifest.at("losses").get<std::vector<double>>();
    state.epoch_seconds = manifest.value("epoch_seconds", 0.0);  // version 0.1 wrote none
    state.total_seconds = manifest.value("total_seconds", 0.0);
    if (manifest.contains("gradient_norms")) {
        const Json& norms = manifest.at("gradient_norms");
        state.norms = {norms.at("sum"), norms.at("clipped"), norms.at("steps")};
    }
    state.identity = manifest.at("identity");
    for (const Json& epoch : manifest.at("history")) state.history.push_back(epoch_from(epoch));
    state.model = load_weights(place / "model.safetensors");
    state.moments = read_safetensors(place / "optimizer.safetensors").tensors;
    if (const auto scale = manifest.find("loss_scale"); scale != manifest.end() && !scale->is_null())
        state.loss_scale = loss_scale_from(*scale);
    if (!manifest.at("best_epoch").is_null()) {
        state.best_epoch = epoch_from(manifest.at("best_epoch"));
        state.best = load_weights(place / "best.safetensors");
    }
    return state;
}

// The keys below `path` in which two values differ.
void find_differences(const Json& saved, const Json& now, const std::string& path, std::vector<std::string>& lines) {
    if (saved == now) return;
    if (!saved.is_object() || !now.is_object()) {
        lines.push_back(fmt::format("{}: {} then, {} now", path, json_text(saved), json_text(now)));
        return;
    }
    for (const auto& [key, value] : now.items()) find_differences(saved.value(key, Json()), value, path + "/" + key, lines);
    for (const auto& [key, value] : saved.items())
        if (!now.contains(key)) find_differences(value, Json(), path + "/" + key, lines);
}

}  // namespace

Json identity_of(const Config& config, const std::string& data_digest) {
    const Json all = xbench::to_json(config);
    Json identity{
        {"model", all.at("model")}, {"data", all.at("data")}, {"train", all.at("train")}, {"data_sha", data_digest}};
    for (const char* key : {"epochs", "patience", "min_delta", "baseline", "start_from_epoch", "early_stopping",
                            "restore_best", "constants", "check_steps", "checkpoint_steps", "checkpoint_keep", "overlap",
                            "arrivals", "activation_checkpointing", "hybrid_sharding", "collective_timeout_seconds"})
        identity["train"].erase(key);
    if (config.train.weights.empty()) identity["train"].erase("weights");
    if (config.train.ema_decay == 0) identity["train"].erase("ema_statistics");
    for (const char* key : {"workers", "path"}) identity["data"].erase(key);  // a set may move
    return identity;
}

CheckpointWriter::~CheckpointWriter() {
    if (writing_.valid()) writing_.wait();
}

void CheckpointWriter::wait() {
    if (writing_.valid()) writing_.get();
}

void CheckpointWriter::write(TrainingState state) {
    wait();
    writing_ = std::async(std::launch::async, [this, state = std::move(state)] { write_checkpoint(state, folder_, keep_); });
}

std::optional<TrainingState> read_newest_checkpoint(const fs::path& folder) {
    const auto all = checkpoints_in(folder);
    for (auto newest = all.rbegin(); newest != all.rend(); ++newest) {
        try {
            return read_checkpoint(newest->second);
        } catch (const std::exception&) {  // interrupted while it was written or deleted
        }
    }
    return std::nullopt;
}

void check_same_run(const Json& saved, const Json& now, const std::string& saved_in) {
    // A key that the version which saved it did not know.
    Json complete = saved;
    Json defaults = identity_of(Config{}, "");
    for (const auto& [pointer, value] : before_keys()) defaults[Json::json_pointer(pointer)] = value;
    for (const char* section : {"model", "data", "train"})
        if (complete.contains(section) && complete[section].is_object())
            for (const auto& [key, value] : defaults.at(section).items())
                if (!complete[section].contains(key) && now.at(section).contains(key)) complete[section][key] = value;
    std::vector<std::string> lines;
    find_differences(complete, now, "", lines);
    if (lines.empty()) return;
    throw UsageError(fmt::format("{} belongs to another run:\n  {}", saved_in, fmt::join(lines, "\n  ")), "--resume",
                     "give the configuration and data that it was begun with, or another --out");
}

}  // namespace xbench
