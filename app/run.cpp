// xbench --config FILE: the sweep that a configuration describes.
#include <fmt/format.h>

#include <filesystem>

#include "app/commands.h"
#include "app/installed.h"
#include "bench/base/environment.h"
#include "bench/report/report_page.h"
#include "bench/sweep/dry_run.h"
#include "bench/sweep/expected.h"
#include "bench/sweep/preflight.h"
#include "bench/sweep/probes.h"
#include "bench/sweep/sweep.h"
#include "core/config_versions.h"
#include "core/error.h"
#include "core/hardware.h"
#include "core/interrupt.h"
#include "core/progress.h"

namespace xbench {
namespace {

// What the runs will take. Nobody has to know it: what stands against it is said by whoever needs the data.
RunTimes price_of(const Config& config, std::span<const Point> points, std::span<const Probe> probes,
                  const SweepLimits& limits) {
    try {
        return expected_times(config, points, probes, limits);
    } catch (const Error& error) {
        fmt::print(stderr, "note: no estimate of the time: {}\n", error.what());
        return {};
    }
}

void print_plan(const Config& config) {
    const SweepLimits limits = limits_here(config);
    const std::vector<Point> points = expand_points(config, limits);
    const std::vector<Probe> probes = probes_for(config, points, limits.nodes);
    fmt::print("{}", dry_run_text(config, points, probes, price_of(config, points, probes, limits)));
}

// From the records, as `xbench report` makes them again. The table's path is the last line: scripts read it there.
void write_reports(const std::filesystem::path& folder) {
    const std::vector<ReportFile> files = report_files(folder);
    for (const ReportFile& file : files) {
        write_text(folder / file.name, file.text);
        if (file.name == "scaling.md") fmt::print("{}\n", file.text);
    }
    fmt::print("{}\n{}\n", (folder / "report.html").string(), (folder / "scaling.md").string());
}

}  // namespace

void run_sweep_command(const RunOptions& options) {
    const ConfigDefaults defaults = options.resume ? defaults_of_run(options.out) : ConfigDefaults{};
    const Config config = load_config(find_config(options.config), options.settings, known_models(), defaults);
    if (options.print_config) {
        fmt::print("{}\n", json_text(to_json(config), 2));
        return;
    }
    if (options.dry_run) return print_plan(config);
    if (ranks_from_environment() > 1)
        throw UsageError(fmt::format("the sweep was started {} times by a launcher", ranks_from_environment()),
                         "xbench --config", "start it alone; it starts its ranks itself");
    SweepOptions sweep;
    check_before_rows(config);
    if (options.resume && options.out.empty())
        throw UsageError("--resume does not know which sweep to go on with", "xbench", "give its folder with --out");
    sweep.use = options.resume ? FolderUse::resume : options.overwrite ? FolderUse::overwrite : FolderUse::fresh;
    const InterruptGuard guard(InterruptGuard::Usr1::note);
    sweep.stop = [] { return InterruptGuard::signal() != 0; };
    sweep.folder = options.out.empty()
                       ? make_unique_folder(config.output, fmt::format("{}-{}", config.name, utc_time("%Y%m%dT%H%M%SZ")))
                       : std::filesystem::path(options.out);
    sweep.program = this_program();
    sweep.limits = limits_here(config);
    const std::vector<Point> points = expand_points(config, *sweep.limits);
    sweep.probes = probes_for(config, points, sweep.limits->nodes);
    sweep.command_line = this_command_line();
    sweep.expected = price_of(config, points, sweep.probes, *sweep.limits);
    ProgressLine line(stderr, !options.verbosity.progress());
    sweep.progress = [&](const SweepProgress& progress) {
        if (!progress.finished.empty())
            line.note(progress.finished);
        else
            line.update(progress.done, progress.total, progress.text, progress.seconds_left);
    };
    sweep.said = [&](const std::string& text) { line.note(text); };
    if (options.verbosity.debug()) sweep.launched = [&](const std::string& command) { line.note("debug: " + command); };
    const SweepResult result = run_sweep(config, sweep);
    line.finish();
    const std::string folder = sweep.folder.string();
    write_reports(sweep.folder);
    if (result.interrupted) {
        fmt::print(stderr, "xbench: interrupted by signal {}; `--config {} --resume --out {}` runs what is missing\n",
                   InterruptGuard::signal(), options.config, folder);
        throw ExitWith{ExitCode::checkpointed};
    }
    if (options.resume && result.ran == 0)
        fmt::print(stderr, "xbench: the sweep in {} is complete; nothing was run\n", folder);
    if (result.failed > 0) throw ExitWith{ExitCode::failed};
}

}  // namespace xbench
