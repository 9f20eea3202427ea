// xbench step: one model's training step on random data, timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/command_table.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/single_process.h"
#include "bench/base/step.h"
#include "core/error.h"
#include "core/hardware.h"
#include "models/registry.h"

namespace xbench {
namespace {

struct StepOptions {
    StepBenchOptions bench;
    std::vector<std::string> forced;
    bool json = false;
};

void print(const StepTiming& t, const StepOptions& options) {
    fmt::print("{}, batch {}, {} thread{}, {}, {}, {} reduction\n", options.bench.model.name, t.batch, t.threads,
               t.threads == 1 ? "" : "s", options.bench.precision, t.isa, options.bench.reduction);
    if (t.emulated) {
        fmt::print("  emulated GPU: the step ran, and no time from it means anything\n");
        if (!t.predicted.empty())
            fmt::print("\n{}", predicted_text(t.predicted, find_gpu_chip(options.bench.predict), true));
        return;
    }
    fmt::print("  step      {:.3f} ms (95% interval of the median {:.3f} to {:.3f}, {} steps)\n", t.step_ms_median,
               t.step_ms_low, t.step_ms_high, t.steps);
    fmt::print("  rate      {:.1f} images/s\n", t.images_per_second);
    fmt::print("  work      {:.1f} MFLOP a step in convolutions and linear layers\n", t.flops_per_step * 1e-6);
    const double gflops = t.flops_per_step / t.step_ms_median * 1e-6;
    if (t.peak_gflops == 0)
        fmt::print("  speed     {:.1f} GFLOP/s\n", gflops);
    else
        fmt::print("  speed     {:.1f} GFLOP/s, {:.1f}% of the measured peak of {:.0f}\n", gflops, 100 * t.share_of_peak,
                   t.peak_gflops);
    for (const auto& [step, microseconds] : t.profile) fmt::print("  {:>10.1f} us  {}\n", microseconds, step);
}

void run(StepOptions& options) {
    find_model(options.bench.model.name);
    for (const std::string& text : options.forced) options.bench.forced.push_back(parse_choice(text));
    say_if_crowded(1, options.bench.threads, bind_this_process(0, 1, options.bench.threads).allowed_cores);
    const StepTiming timing = measure_step(options.bench);
    if (options.json)
        fmt::print("{}\n", json_text(to_json(timing, options.bench)));
    else
        print(timing, options);
}

}  // namespace

void add_step_command(CLI::App& app) {
    auto* command = app.add_subcommand("step", "time one model's training step on random data");
    auto options = std::make_shared<StepOptions>();
    command->add_option("--model", options->bench.model.name, "the model; `xbench models` lists them")
        ->type_name(value::model)
        ->required();
    command->add_option("--batch", options->bench.batch, "images of a step (default: the published batch)")
        ->check(CLI::PositiveNumber);
    command->add_option("--threads", options->bench.threads, "compute threads")->check(CLI::Range(1, most_threads));
    command->add_option("--precision", options->bench.precision, "of products of convolutions and linear layers")
        ->check(CLI::IsMember({"fp32", "bf16", "fp16", "tf32"}));
    add_device_option(*command, options->bench.device);
    command->add_option("--seconds", options->bench.seconds, "how long to measure")->check(CLI::PositiveNumber);
    command->add_option("--reduction", options->bench.reduction, "order of sums: the same for any ranks, or any")
        ->check(CLI::IsMember({"invariant", "fast"}));
    command->add_option("--virtual-ranks", options->bench.virtual_ranks, "leaves of the invariant reduction")
        ->check(CLI::PositiveNumber);
    command->add_option("--impl", options->forced, "force an implementation: conv2d=reference")->type_name(value::choice);
    command->add_flag("--activation-checkpointing", options->bench.activation_checkpointing,
                      "keep only what passes between units and compute the rest again");
    command->add_flag("--profile", options->bench.profile, "show the time of every step of the plan");
    command
        ->add_option("--predict", options->bench.predict, "on the emulated GPU: how long each kernel would take on this one")
        ->type_name("GPU")
        ->check(CLI::IsMember({"a100", "h200"}));
    command->add_flag("--json", options->json, "one line of JSON");
    command->footer("$ xbench step --model cifar_cnn --batch 64 --threads 2 --profile");
    command->callback([options] { run(*options); });
}

}  // namespace xbench
