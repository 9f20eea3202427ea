// Every file may be another version's, or missing.
#include "bench/report/training_files.h"

#include <sstream>

#include "bench/runs/history_file.h"
#include "bench/sweep/run_files.h"
#include "core/config_versions.h"
#include "core/error.h"
#include "core/files.h"
#include "data/import/csv.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

std::vector<std::vector<std::string>> csv_rows(const fs::path& file) {
    const auto text = file_text(file);
    if (!text) return {};
    try {
        CsvTable table = parse_csv(*text, file.string());
        table.rows.insert(table.rows.begin(), table.header);
        return table.rows;
    } catch (const Error&) {
        return {};
    }
}

}  // namespace

bool is_training(const fs::path& folder) {
    if (!is_folder(folder) || path_exists(folder / "points") || path_exists(folder / "scaling.csv")) return false;
    return path_exists(folder / "config.resolved.json") &&
           (path_exists(folder / "history.csv") || path_exists(folder / "metrics.json"));
}

TrainingFiles read_training(const fs::path& folder) {
    TrainingFiles files;
    files.config = load_run_config(folder);
    files.environment = environment_in(folder);
    if (const auto text = file_text(folder / "metrics.json"))
        if (auto json = parse_json(*text); json && json->is_object()) files.metrics = *json;
    if (path_exists(folder / "records.jsonl"))
        for (Record& record : read_records(folder / "records.jsonl"))
            if (record.kind == "rep") files.record = std::move(record);
    files.history = read_history(folder / "history.csv");
    files.confusion = csv_rows(folder / "confusion_matrix.csv");
    files.summary = file_text(folder / "model_summary.txt").value_or("");
    files.classification = file_text(folder / "classification_report.txt").value_or("");
    files.has_trace = path_exists(folder / "trace.json");
    return files;
}

}  // namespace xbench
