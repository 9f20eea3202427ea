// Finds what a card says of training and import: the run that the checkpoint lies in, the account beside the set.
#include <filesystem>

#include "bench/runs/history_file.h"
#include "bench/runs/model_card.h"
#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

Json json_file(const fs::path& path) {
    const std::optional<std::string> text = file_text(path);
    const std::optional<Json> json = text ? parse_json(*text) : std::nullopt;
    return json && json->is_object() ? *json : Json();
}

}  // namespace

CardSources find_card_sources(const std::string& checkpoint, const std::string& set) {
    CardSources sources;
    // RUN/checkpoints/best.safetensors
    const fs::path run = fs::path(checkpoint).parent_path().parent_path();
    sources.training = json_file(run / "config.resolved.json");
    if (!sources.training.is_null()) sources.history = read_history(run / "history.csv");
    sources.account = json_file(set + ".import.json");
    return sources;
}

}  // namespace xbench
