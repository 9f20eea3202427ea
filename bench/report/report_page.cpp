// Which files each kind of run gets, and the page of several.
#include "bench/report/report_page.h"

#include <fmt/format.h>

#include "bench/report/kernel_part.h"
#include "bench/report/report_parts.h"
#include "bench/report/scaling_page.h"
#include "bench/report/training_page.h"
#include "core/error.h"
#include "core/files.h"
#include "data/import/csv.h"

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

// The words of tune.md below its heading, and all trials.
void add_search(HtmlPage& page, const fs::path& folder) {
    std::string words = file_text(folder / "tune.md").value_or("");
    if (words.rfind("# ", 0) == 0) words.erase(0, words.find('\n') + 1);
    page.heading("What was found");
    page.code(words);
    const std::string csv = file_text(folder / "trials.csv").value_or("");
    if (csv.empty()) return;
    page.heading("All trials");
    const CsvTable table = parse_csv(csv, (folder / "trials.csv").string());
    page.table(table.header, table.rows, "", HtmlPage::Columns::text);
    page.download("trials.csv", csv);
}

std::string search_page(const fs::path& folder) {
    HtmlPage page("Search over keys of a configuration");
    add_search(page, folder);
    page.heading("Where it was measured");
    const Json environment = environment_in(folder);
    add_environment(page, "", environment);
    page.heading("How to run it again");
    add_command(page, environment, "xbench tune --config config.resolved.json --out NEW_FOLDER");
    return page.text();
}

// The folder's own name, and no path of this machine.
std::string short_name(const fs::path& run) { return absolute_path(run).filename().string(); }

void add_part(HtmlPage& page, const fs::path& run, const ReportRequest& request) {
    const RunKind kind = kind_of_run(run);
    page.part(fmt::format("{}: a {}", short_name(run), name_of(kind)));
    switch (kind) {
        case RunKind::sweep: return add_scaling(page, read_run(run, request.target_accuracy), kernels_beside(run, request));
        case RunKind::training: return add_training(page, read_training(run));
        case RunKind::search: return add_search(page, run);
        case RunKind::kernels: return add_kernels(page, read_kernels(run));
    }
}

}  // namespace

const char* name_of(RunKind kind) {
    constexpr const char* names[] = {"sweep", "training", "search", "suite of kernels"};
    return names[static_cast<int>(kind)];
}

RunKind kind_of_run(const fs::path& run) {
    if (is_kernels_file(run)) return RunKind::kernels;
    if (!is_folder(run))
        throw UsageError("is neither a folder nor the JSON of `xbench kernels`", run.string(), "name what a run has left");
    if (path_exists(run / "trials.csv") || path_exists(run / "tune.json")) return RunKind::search;
    if (is_training(run)) return RunKind::training;
    if (path_exists(run / "config.resolved.json")) return RunKind::sweep;
    if (path_exists(run / "model_card.html"))
        throw UsageError("is an evaluation, whose report is its model_card.html", run.string(), "open that");
    if (is_kernels_file(run / "kernels.json"))
        throw UsageError("is no run, but holds kernels", run.string(), "name " + (run / "kernels.json").string());
    throw UsageError("is no run: there is no config.resolved.json", run.string(), "name a folder that a run has left");
}

std::vector<ReportFile> report_files(const fs::path& run, const ReportRequest& request) {
    switch (kind_of_run(run)) {
        case RunKind::training: return {{"report.html", training_page(read_training(run))}};
        case RunKind::search: return {{"report.html", search_page(run)}};
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
