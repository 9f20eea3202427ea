// xbench data: its subcommands, and the one that draws a set.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/command_table.h"
#include "app/commands.h"
#include "app/data_ranks.h"
#include "app/data_tables.h"
#include "app/single_process.h"
#include "app/verbosity.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/hardware.h"
#include "core/parallel_for.h"
#include "core/progress.h"
#include "data/set/h5.h"
#include "data/set/set_summary.h"
#include "data/synthetic/synthetic.h"

namespace xbench {
namespace {

struct SynthCommand {
    SyntheticConfig config;
    std::string out;
    int threads = 0;
    bool quiet = false;
    Verbosity verbosity;
};

ImageSet draw_with_progress(const SynthCommand& command, const InterruptGuard& guard) {
    ProgressLine line(stderr, command.quiet || !command.verbosity.progress());
    const auto total = static_cast<double>(command.config.count);
    return make_synthetic(command.config, command.threads, [&](int64_t done) {
        guard.check();
        if (done % 16 == 0)
            line.update(static_cast<double>(done), total, fmt::format("{} of {} images", done, command.config.count));
    });
}

void synthesise(const SynthCommand& command, const InterruptGuard& guard) {
    const auto start = std::chrono::steady_clock::now();
    check_synthetic(command.config);
    try_output(command.out);
    ImageSet set = draw_with_progress(command, guard);
    set.records.created_by = "xbench data synth";
    write_h5(command.out, set);
    detail(command.verbosity,
           fmt::format("{} threads, seed {}", command.threads > 0 ? command.threads : usable_cores(), command.config.seed));
    if (!command.verbosity.report()) return;
    const SetSummary summary = summarise(set.records, command.out);
    print_counts(summary.info.class_names, summary.counts, summary.images);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{}: {} images of {}x{}x{} with {} boxes in {:.2f} s, {:.0f} images/s\n", command.out, summary.info.count,
               summary.info.channels, summary.info.height, summary.info.width, summary.boxes, seconds,
               static_cast<double>(summary.info.count) / seconds);
}

void run_synth(const SynthCommand& command) {
    const std::unique_ptr<Communicator> ranks = connect_ranks();
    if (ranks != nullptr && ranks->rank() != 0) return;  // one file, drawn faster than ranks could share it
    in_order([&](const InterruptGuard& guard) { synthesise(command, guard); });
}

void add_synth(CLI::App& data) {
    auto command = std::make_shared<SynthCommand>();
    CLI::App* app = data.add_subcommand("synth", "Draw procedural chest X-rays with lungs, opacities, labels and boxes");
    app->add_option("--out", command->out, "The HDF5 set to write")->type_name(value::file)->required();
    app->add_option("--count", command->config.count, "How many images")->required();
    app->add_option("--size", command->config.size, "Pixels a side")->capture_default_str();
    app->add_option("--channels", command->config.channels, "Gray or RGB")->type_name("{1,3}")->capture_default_str();
    app->add_option("--seed", command->config.seed, "Image i is a function of the seed and i alone")->capture_default_str();
    app->add_option("--threads", command->threads, "Threads; 0: all cores")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    app->add_flag("--quiet", command->quiet, "No progress line");
    add_level_option(*app, command->verbosity);
    app->footer("$ xbench data synth --out set.h5 --count 2000 --size 64");
    app->callback([command] { run_synth(*command); });
}

}  // namespace

void print_counts(const std::vector<std::string>& names, const std::vector<std::array<int64_t, 3>>& counts,
                  const std::array<int64_t, 3>& totals) {
    size_t width = 6;
    for (const std::string& name : names) width = std::max(width, name.size());
    const auto row = [&](const std::string& name, const std::array<int64_t, 3>& c) {
        fmt::print("  {:<{}} {:>8} {:>8} {:>8} {:>8}\n", name, width, c[0], c[1], c[2], c[0] + c[1] + c[2]);
    };
    fmt::print("  {:<{}} {:>8} {:>8} {:>8} {:>8}\n", "class", width, "train", "val", "test", "all");
    for (size_t k = 0; k < names.size(); ++k) row(names[k], counts[k]);
    row("images", totals);
}

void add_data_commands(CLI::App& app) {
    CLI::App* data = app.add_subcommand("data", "Make and look at data sets");
    data->require_subcommand(1);
    add_data_import(*data);
    add_synth(*data);
    add_data_info(*data);
    add_data_explore(*data);
    add_data_leaks(*data);
    add_data_augment(*data);
}

}  // namespace xbench
