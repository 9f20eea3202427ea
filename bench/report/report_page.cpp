// Which files each kind of run gets, and the page of several.
#include "bench/report/report_page.h"

#include <fmt/format.h>

#include "bench/draw/html_page.h"
#include "bench/report/evaluation_page.h"
#include "bench/report/kernel_part.h"
#include "bench/report/scaling_page.h"
#include "bench/report/search_page.h"
#include "bench/report/training_page.h"
#include "bench/sweep/scaling_model.h"
#include "core/error.h"
#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

KernelResults kernels_beside(const fs::path& run, const ReportRequest& request) {
    if (!request.kernels.empty()) return read_kernels(request.kernels);
    const fs::path own = run / "kernels.json";
    return is_kernels_file(own) ? read_kernels(own) : KernelResults{};
}

std::vector<ReportFile> sweep_files(const fs::path& folder, const ReportRequest& request) {
    const RunFiles run = read_run(folder, request.target_accuracy);
    const KernelResults kernels = kernels_beside(folder, request);
    const ScalingModel model = scaling_model(run.table);
    std::vector<ReportFile> files{{"scaling.csv", scaling_csv(run.table)}};
    if (!run.table.efficiency.empty()) files.push_back({"efficiency.csv", efficiency_csv(run.table.efficiency)});
    if (!model.memory.rows.empty()) files.push_back({"memory.csv", memory_csv(run.table)});
    if (!model.delays.rows.empty()) files.push_back({"delays.csv", delays_csv(run.table)});
    if (!kernels.kernels.empty()) files.push_back({"kernels.csv", kernels_csv(kernels)});
    files.push_back({"report.html", scaling_page(run, kernels)});
    files.push_back({"scaling.md", scaling_markdown(run.table)});
    return files;
}

// The folder's own name, and no path of this machine.
std::string short_name(const fs::path& run) { return absolute_path(run).filename().string(); }

void add_part(HtmlPage& page, const fs::path& run, const ReportRequest& request) {
    const RunKind kind = kind_of_run(run);
    page.part(fmt::format("{}: {} {}", short_name(run), kind == RunKind::evaluation ? "an" : "a", name_of(kind)));
    switch (kind) {
        case RunKind::sweep: return add_scaling(page, read_run(run, request.target_accuracy), kernels_beside(run, request));
        case RunKind::training: return add_training(page, read_training(run));
        case RunKind::search: return add_search(page, read_search(run));
        case RunKind::evaluation: return add_evaluation(page, read_evaluation(run));
        case RunKind::kernels: return add_kernels(page, read_kernels(run));
    }
}

}  // namespace

const char* name_of(RunKind kind) {
    constexpr const char* names[] = {"sweep", "training", "search", "evaluation", "suite of kernels"};
    return names[static_cast<int>(kind)];
}

RunKind kind_of_run(const fs::path& run) {
    if (is_kernels_file(run)) return RunKind::kernels;
    if (!is_folder(run))
        throw UsageError("is neither a folder nor the JSON of `xbench kernels`", run.string(), "name what a run has left");
    if (is_search(run)) return RunKind::search;
    if (is_training(run)) return RunKind::training;
    if (path_exists(run / "config.resolved.json")) return RunKind::sweep;
    if (is_evaluation(run)) return RunKind::evaluation;
    if (is_kernels_file(run / "kernels.json"))
        throw UsageError("is no run, but holds kernels", run.string(), "name " + (run / "kernels.json").string());
    throw UsageError("is nothing that has a report", run.string(),
                     "name the folder of a sweep or a training (it holds config.resolved.json), of a search (trials.csv) or "
                     "of an evaluation (metrics.json and predictions.csv), or the JSON of `xbench kernels`");
}

std::vector<ReportFile> report_files(const fs::path& run, const ReportRequest& request) {
    switch (kind_of_run(run)) {
        case RunKind::training: return {{"report.html", training_page(read_training(run))}};
        case RunKind::search: return {{"report.html", search_page(read_search(run))}};
        case RunKind::evaluation: return {{"report.html", evaluation_page(read_evaluation(run))}};
        case RunKind::kernels: {
            const KernelResults results = read_kernels(run);
            return {{"kernels.csv", kernels_csv(results)}, {"report.html", kernels_page(results)}};
        }
        case RunKind::sweep: break;
    }
    return sweep_files(run, request);
}

std::string report_of_several(const std::vector<fs::path>& runs, const ReportRequest& request) {
    HtmlPage page(fmt::format("Report of {} runs", runs.size()));
    for (const fs::path& run : runs) add_part(page, run, request);
    return page.text();
}

}  // namespace xbench
