// xbench data: image files or a generator -> one HDF5 set.
#include <chrono>
#include <memory>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "data/h5.h"
#include "data/synthetic.h"

namespace xbench {
namespace {

struct SynthCommand {
    SyntheticConfig config;
    std::string out;
    int threads = 0;
};

void run_synth(const SynthCommand& command) {
    const auto start = std::chrono::steady_clock::now();
    ImageSet set = make_synthetic(command.config, command.threads);
    set.records.created_by = "xbench data synth";
    write_h5(command.out, set);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{}: {} images, {:.2f} s, {:.0f} images/s\n", command.out, set.records.info.count, seconds,
               static_cast<double>(set.records.info.count) / seconds);
}

void add_synth(CLI::App& data) {
    auto command = std::make_shared<SynthCommand>();
    CLI::App* app = data.add_subcommand("synth", "draw procedural chest X-rays with lungs, opacities, labels and boxes");
    app->add_option("--out", command->out, "the HDF5 set to write")->required();
    app->add_option("--count", command->config.count, "how many images")->required();
    app->add_option("--size", command->config.size, "pixels a side")->capture_default_str();
    app->add_option("--channels", command->config.channels, "1 or 3")->capture_default_str();
    app->add_option("--seed", command->config.seed, "image i is a function of the seed and i alone")->capture_default_str();
    app->add_option("--threads", command->threads, "0: all cores")->capture_default_str();
    app->callback([command] { run_synth(*command); });
}

}  // namespace

void add_data_commands(CLI::App& app) {
    CLI::App* data = app.add_subcommand("data", "make and look at data sets");
    data->require_subcommand(1);
    add_synth(*data);
}

}  // namespace xbench
