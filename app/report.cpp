// xbench report: tables and report.html of a run again, from its records alone; two runs of one configuration compared; a
// run in the formats of other tools.
#include <fmt/format.h>

#include "app/command_table.h"
#include "app/commands.h"
#include "bench/export/exports.h"
#include "bench/report/compare_runs.h"
#include "bench/report/scaling_page.h"
#include "core/files.h"

namespace xbench {
namespace {

struct ReportOptions {
    std::vector<std::string> runs;
    std::string format, out;
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

void write_again(const RunFiles& run, const std::string& out_option) {
    const std::filesystem::path out = out_option.empty() ? run.folder : std::filesystem::path(out_option);
    make_folders(out);
    const std::string markdown = scaling_markdown(run.table);
    write_text(out / "scaling.csv", scaling_csv(run.table));
    write_text(out / "scaling.md", markdown);
    if (!run.table.efficiency.empty()) write_text(out / "efficiency.csv", efficiency_csv(run.table.efficiency));
    write_text(out / "report.html", scaling_page(run));
    fmt::print("{}\n{}\n{}\n", markdown, (out / "scaling.md").string(), (out / "report.html").string());
}

void run_report(const ReportOptions& options) {
    if (!options.format.empty()) return export_to(options);
    if (options.runs.size() == 2) {
        const RunFiles before = read_run(options.runs[0]), after = read_run(options.runs[1]);
        if (same_configuration(before, after)) {
            const RunComparison comparison = compare_runs(before, after);
            fmt::print("{}", comparison_markdown(comparison));
            if (comparison.regression()) throw ExitWith{ExitCode::failed};
            return;
        }
    }
    if (options.runs.size() > 1 && !options.out.empty())
        throw UsageError("is one folder for several runs", "--out", "report them one by one");
    for (const std::string& folder : options.runs) write_again(read_run(folder), options.out);
}

}  // namespace

void add_report_command(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("report", "Tables of a run again, from its records; two runs of one configuration compared");
    auto options = std::make_shared<ReportOptions>();
    command
        ->add_option("run", options->runs, "Folders of runs; two of one configuration are compared (code 1: a regression)")
        ->type_name(value::folder)
        ->required();
    command->add_option("--export", options->format, "Write the run in a format of other tools instead")
        ->type_name(value::one_of(export_formats()))
        ->check(CLI::IsMember(export_formats()));
    command->add_option("--out", options->out, "Where the files go (default: the run's own folder)")
        ->type_name(value::folder);
    command->footer(
        "$ xbench report runs/table\n"
        "$ xbench report runs/before runs/after\n"
        "$ xbench report runs/table --export extrap --out exported");
    command->callback([options] { run_report(*options); });
}

}  // namespace xbench
