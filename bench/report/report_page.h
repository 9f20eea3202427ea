// `xbench report RUN...` for runs of every kind: sweeps, single trainings, searches, evaluations, and the kernels' JSON.
// Each leaves one self-contained report.html; several can stand on one page.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xbench {

enum class RunKind { sweep, training, search, evaluation, kernels };
const char* name_of(RunKind kind);

// By what lies there. Throws UsageError where it is nothing that has a report.
RunKind kind_of_run(const std::filesystem::path& run);

struct ReportRequest {
    std::optional<double> target_accuracy;  // of times to accuracy
    std::filesystem::path kernels;          // JSON of `xbench kernels`, for the roofline; "": the run's own kernels.json
};

struct ReportFile {
    std::string name, text;
};

// All that is made from a run's records: report.html, and of a sweep its tables. Byte for byte the same each time, wherever
// the folder lies.
std::vector<ReportFile> report_files(const std::filesystem::path& run, const ReportRequest& request = {});
// One page with a part for each.
std::string report_of_several(const std::vector<std::filesystem::path>& runs, const ReportRequest& request = {});

}  // namespace xbench
