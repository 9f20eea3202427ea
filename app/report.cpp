// xbench report: tables and report.html of runs again, from what they have left alone; two runs of one configuration
// compared; a run in the formats of other tools.
#include <fmt/format.h>

#include "app/command_table.h"
#include "app/commands.h"
#include "bench/export/exports.h"
#include "bench/report/compare_runs.h"
#include "bench/report/report_page.h"
#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
    std::vector<std::string> runs;
    std::string format, out, kernels;
    double accuracy = 0;  // 0: not given
};

void export_to(const ReportOptions& options) {
    for (const std::string& folder : options.runs) {
        const RunFiles run = read_run(folder);
        const std::filesystem::path out = options.out.empty() ? run.folder : std::filesystem::path(options.out);
        for (const ExportedFile& file : export_run(run, options.format)) {
            make_folders(out);
            write_text(out / file.name, file.text);
            fmt::print("{}\n", (out / file.name).string());
        }
    }
}

ReportRequest request_of(const ReportOptions& options) {
    ReportRequest request;
    request.kernels = options.kernels;
    if (options.accuracy > 0) request.target_accuracy = options.accuracy;
    return request;
}

// Into the run's own folder, where none is named; beside a file.
void write_again(const fs::path& run, const ReportOptions& options) {
    const fs::path out = !options.out.empty() ? fs::path(options.out) : is_folder(run) ? run : run.parent_path();
    const std::vector<ReportFile> files = report_files(run, request_of(options));
    if (!out.empty()) make_folders(out);
    std::string markdown;
    for (const ReportFile& file : files) {
        write_text(out / file.name, file.text);
        if (file.name == "scaling.md") markdown = file.text + "\n";
    }
    fmt::print("{}", markdown);
    for (const ReportFile& file : files) fmt::print("{}\n", (out / file.name).string());
}

// Whether both hold times of one configuration; else it is said why not, as a script that meant to compare must see it.
bool are_compared(const std::vector<std::string>& runs) {
    if (runs.size() != 2) return false;
    for (const std::string& run : runs)
        if (const RunKind kind = kind_of_run(run); kind != RunKind::sweep && kind != RunKind::training) return false;
    const RunFiles before = read_run(runs[0]), after = read_run(runs[1]);
    if (same_configuration(before, after)) return true;
    fmt::print(stderr, "xbench: {} and {} are not compared: {}\n", runs[0], runs[1],
               configuration_differences(before, after));
    return false;
}

void compare(const ReportOptions& options) {
    const RunComparison comparison = compare_runs(read_run(options.runs[0]), read_run(options.runs[1]));
    const std::string text = comparison_markdown(comparison);
    fmt::print("{}", text);
    if (!options.out.empty()) {
        make_folders(options.out);
        write_text(fs::path(options.out) / "comparison.md", text);
    }
    if (comparison.regression()) throw ExitWith{ExitCode::failed};
}

void run_report(const ReportOptions& options) {
    if (!options.format.empty()) return export_to(options);
    if (are_compared(options.runs)) return compare(options);
    if (options.runs.size() > 1 && !options.out.empty()) {
        const fs::path page = fs::path(options.out) / "report.html";
        make_folders(options.out);
        write_text(page, report_of_several({options.runs.begin(), options.runs.end()}, request_of(options)));
        fmt::print("{}\n", page.string());
        return;
    }
    for (const std::string& run : options.runs) write_again(run, options);
}

}  // namespace

void add_report_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "report", "Report and tables of runs again, from their records; two of one configuration compared");
    auto options = std::make_shared<ReportOptions>();
    command
        ->add_option(
            "run", options->runs,
            "Sweeps, trainings, searches, evaluations, or JSON of `xbench kernels`; two runs of one configuration are "
            "compared "
            "(code 1: a regression)")
        ->type_name(value::folder)
        ->required();
    command->add_option("--export", options->format, "Write the run in a format of other tools instead")
        ->type_name(value::one_of(export_formats()))
        ->check(CLI::IsMember(export_formats()));
    command->add_option("--kernels", options->kernels, "JSON of `xbench kernels` on the same machine, for a roofline")
        ->type_name(value::file);
    command->add_option("--accuracy", options->accuracy, "Validation accuracy that times to accuracy are told for")
        ->type_name("SHARE")
        ->check(CLI::Range(1e-6, 1.0));
    command
        ->add_option("--out", options->out, "Where the files go (default: the run's own folder); of several runs one page")
        ->type_name(value::folder);
    command->footer(
        "$ xbench report runs/table\n"
        "$ xbench report runs/before runs/after\n"
        "$ xbench report runs/table --export extrap --out exported");
    command->callback([options] { run_report(*options); });
}

}  // namespace xbench
