// xbench data explore: a look at a set, as JSON and as one page of HTML.
#include <filesystem>
#include <memory>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/command_table.h"
#include "app/data_ranks.h"
#include "app/data_tables.h"
#include "app/single_process.h"
#include "bench/runs/explore_page.h"
#include "core/durable_file.h"
#include "core/files.h"
#include "core/progress.h"
#include "data/explore/explore.h"
#include "data/set/h5.h"

namespace xbench {
namespace {

struct ExploreCommand {
    std::string set, out;
    int threads = 0;
    bool quiet = false;
};

void run_explore(const ExploreCommand& command) {
    refuse_several("xbench data explore", "start it alone");
    const std::filesystem::path folder = command.out;
    make_folders(folder);
    for (const char* name : {"explore.json", "explore.html"}) try_output(folder / name);
    in_order([&](const InterruptGuard& guard) {
        const SetRecords records = read_h5_records(command.set);
        const auto images = open_h5(command.set, 0);  // from the file, however large it is
        ProgressLine line(stderr, command.quiet);
        const ExploreReport report =
            explore(records, *images, command.set, {threads_to_use(command.threads), 8}, [&](int64_t done, int64_t total) {
                guard.check();
                line.update(static_cast<double>(done), static_cast<double>(total),
                            fmt::format("{} of {} images", done, total));
            });
        line.finish();
        write_durably(folder / "explore.json", json_text(to_json(report, records.ids), 2) + "\n");
        write_durably(folder / "explore.html", explore_page(report, records, *images));
        fmt::print("{}: {}\n", command.set, report.leaks.verdict());
        for (const std::string& warning : report.warnings) fmt::print("WARNING: {}\n", warning);
        fmt::print("{}\n", (folder / "explore.html").string());
    });
}

}  // namespace

void add_data_explore(CLI::App& data) {
    auto command = std::make_shared<ExploreCommand>();
    CLI::App* app = data.add_subcommand("explore", "Look at a set: classes, brightness, sizes, subgroups, leaks, samples");
    app->add_option("set", command->set, "The HDF5 set")->type_name(value::file)->required();
    app->add_option("--out", command->out, "Folder for explore.json and explore.html")->type_name(value::folder)->required();
    app->add_option("--threads", command->threads, "Threads; 0: all cores")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    app->add_flag("--quiet", command->quiet, "No progress line");
    app->footer("$ xbench data explore set.h5 --out look");
    app->callback([command] { run_explore(*command); });
}

}  // namespace xbench
