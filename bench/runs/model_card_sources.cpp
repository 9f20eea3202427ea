// Finds what a card says of training and import: the run that the checkpoint lies in, the account beside the set.
#include <cstdlib>
#include <filesystem>

#include "bench/runs/model_card.h"
#include "core/error.h"
#include "core/files.h"
#include "data/import/csv.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

Json json_file(const fs::path& path) {
    const std::optional<std::string> text = file_text(path);
    const std::optional<Json> json = text ? parse_json(*text) : std::nullopt;
    return json && json->is_object() ? *json : Json();
}

// The numbers of history.csv by the names of its columns; a row that is no epoch is left out.
std::vector<EpochResult> history_in(const fs::path& file) {
    std::vector<EpochResult> history;
    const std::optional<std::string> text = file_text(file);
    if (!text) return history;
    const CsvTable table = parse_csv(*text, file.string());
    for (const auto& row : table.rows) {
        EpochResult epoch;
        for (size_t i = 0; i < table.header.size(); ++i) {
            const double number = std::strtod(row[i].c_str(), nullptr);
            const std::string& name = table.header[i];
            if (name == "epoch") epoch.epoch = static_cast<int64_t>(number);
            if (name == "train_loss") epoch.train_loss = number;
            if (name == "val_loss") epoch.val_loss = number;
            if (name == "val_accuracy") epoch.val_accuracy = number;
            if (name == "val_balanced_accuracy") epoch.val_balanced_accuracy = number;
            if (name == "best") epoch.best = number > 0;
        }
        if (epoch.epoch > 0) history.push_back(epoch);
    }
    return history;
}

}  // namespace

CardSources find_card_sources(const std::string& checkpoint, const std::string& set) {
    CardSources sources;
    // RUN/checkpoints/best.safetensors
    const fs::path run = fs::path(checkpoint).parent_path().parent_path();
    sources.training = json_file(run / "config.resolved.json");
    try {
        if (!sources.training.is_null()) sources.history = history_in(run / "history.csv");
    } catch (const Error&) {  // somebody else's table: a card without curves
    }
    sources.account = json_file(set + ".import.json");
    return sources;
}

}  // namespace xbench
