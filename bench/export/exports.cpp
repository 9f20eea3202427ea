// The table of formats.
#include "bench/export/exports.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/base/text_table.h"
#include "core/error.h"

namespace xbench {
namespace {

std::string number(const Record& record, const char* key) {
    const auto found = record.counters.find(key);
    return found != record.counters.end() && found->is_number() ? fmt::format("{}", found->get<double>()) : "";
}

std::vector<ExportedFile> talp_files(const RunFiles& run) {
    std::vector<ExportedFile> files;
    for (const ScalingRow& row : run.table.rows)
        if (row.timed()) files.push_back({fmt::format("talp_{}.json", row.point.id()), talp_json(run, row)});
    return files;
}

struct Format {
    const char *name, *file;
    std::string (*text)(const RunFiles&);
};
constexpr Format formats[]{{"google-benchmark", "google_benchmark.json", google_benchmark_json},
                           {"mllog", "mllog.log", mllog_lines},
                           {"extrap", "extrap.txt", extrap_text},
                           {"extrap-jsonl", "extrap.jsonl", extrap_json_lines},
                           {"openmetrics", "metrics.txt", open_metrics},
                           {"csv", "records.csv", records_csv}};

}  // namespace

std::string records_csv(const RunFiles& run) {
    std::string text =
        "run,point,trainer,device,ranks,threads,stage,global_batch,rep,images_per_second,step_ms,exposed_comm_ms,"
        "rank_skew_ms,train_seconds,images_trained,test_accuracy,weights_hash\n";
    for (const ScalingRow& row : run.table.rows) {
        if (!row.timed()) continue;
        const Point& p = row.point;
        for (const Record& record : run.records) {
            if (record.params.value("point", "") != p.id()) continue;
            text += csv_line({run.name, p.id(), p.trainer, p.device, std::to_string(p.ranks), std::to_string(p.threads),
                              std::to_string(p.stage), std::to_string(p.global_batch), std::to_string(record.rep),
                              fmt::format("{}", record.value), number(record, "step_ms"), number(record, "exposed_comm_ms"),
                              number(record, "rank_skew_ms"), number(record, "train_seconds"),
                              number(record, "images_trained"), number(record, "test_accuracy"), record.weights_hash});
        }
    }
    return text;
}

std::vector<std::string> export_formats() {
    std::vector<std::string> names;
    for (const Format& format : formats) names.emplace_back(format.name);
    names.emplace_back("talp");
    return names;
}

std::vector<ExportedFile> export_run(const RunFiles& run, const std::string& format) {
    const auto& rows = run.table.rows;
    if (std::none_of(rows.begin(), rows.end(), [](const ScalingRow& row) { return row.timed(); }))
        throw UsageError("has no row with times", run.folder.string(), "export a run that was measured");
    if (format == "talp") return talp_files(run);
    for (const Format& known : formats)
        if (format == known.name) return {{known.file, known.text(run)}};
    throw UsageError("there is no format \"" + format + "\"", "--export",
                     fmt::format("take one of {}", fmt::join(export_formats(), ", ")));
}

}  // namespace xbench
