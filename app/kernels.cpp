// xbench kernels: every kernel against this machine's limits, the reference and, where the build has one, a peer library.
#include <fmt/format.h>

#include <memory>

#include "app/command_table.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/single_process.h"
#include "bench/base/environment.h"
#include "bench/kernels/kernel_problems.h"
#include "bench/kernels/kernel_suite.h"
#include "bench/kernels/kernel_table.h"
#include "bench/kernels/layer_prediction.h"
#include "bench/kernels/prediction_suite.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/progress.h"
#include "kernels/cuda/devices.h"

namespace xbench {
namespace {

struct KernelsOptions {
    KernelSuiteOptions suite;
    std::vector<std::string> forced;
    std::string json, passport, predict, products = "fp32", device = "cpu";
    std::vector<int64_t> images;
    bool list = false, no_check = false;
    int threads = 1;
};

void print_list(const KernelSelection& selection) {
    for (const KernelSuiteEntry& entry : selection.entries)
        fmt::print("{:<70} {} ({})\n", entry.name, entry.kernel->name, place_of(*entry.kernel));
}

std::string command_line() {
    std::string text;
    for (const std::string& word : this_command_line()) text += (text.empty() ? "" : " ") + word;
    return text.substr(text.rfind('/', text.find(' ')) + 1);
}

void print_report(const KernelReport& report) {
    fmt::print("{}\n{}\n", kernel_table_text(report), kernel_summary_text(report));
    if (!report.untimed.empty()) return fmt::print("{}, {}\n", report.isa, report.untimed);
    if (report.peak_gflops == 0)
        fmt::print("{}; copy from memory {:.1f} GB/s, measured\n", report.isa, report.memory.gbytes_per_second);
    else
        fmt::print(
            "{} thread{}, {}; FMA peak {:.1f} GFLOP/s ({:.1f} at the end), copy from memory {:.1f} GB/s, both measured\n",
            report.threads, report.threads == 1 ? "" : "s", report.isa, report.peak_gflops, report.peak_gflops_at_end,
            report.memory.gbytes_per_second);
    if (report.left_out > 0)
        fmt::print("{} calls left out that no plan makes; --all-impls times them too\n", report.left_out);
}

void predict_layers_on(const KernelsOptions& options) {
    const GpuChip& chip = find_gpu_chip(options.predict);
    const std::unique_ptr<Device> device = make_device(options.device, options.threads);
    ProgressLine line(stderr);
    const auto rows = predict_layers({options.suite.filter, options.images, options.products}, *device, chip,
                                     [&](const PredictedRow& row) { line.update(0, 1, row.name); });
    line.finish();
    fmt::print("{}", predicted_text(rows, chip, false));
}

void predict_on(const KernelsOptions& options) {
    const GpuChip& chip = find_gpu_chip(options.predict);
    const std::unique_ptr<Device> device = make_device(options.device, options.threads);
    ProgressLine line(stderr);
    const size_t all = select_entries(bundled_problems(), options.suite, device->target()).entries.size();
    size_t done = 0;
    const auto rows = predict_kernels(options.suite, bundled_problems(), *device, chip, [&](const PredictedRow& row) {
        line.update(static_cast<double>(++done), static_cast<double>(all), fmt::format("{}/{} {}", done, all, row.name));
    });
    line.finish();
    fmt::print("{}", predicted_text(rows, chip, false));
}

void refuse_files_without_times(const KernelsOptions& options) {
    if (options.device == "cuda" && query_gpus().emulated && !(options.json.empty() && options.passport.empty()))
        throw UsageError("an emulated GPU has no times to write", "--device", "leave --json and --passport out");
}

// Tried before the suite runs: minutes of measuring shall not be lost to a mistyped path.
void try_files(const KernelsOptions& options) {
    if (!options.json.empty() || !options.passport.empty()) refuse_several("xbench kernels", "start it alone");
    for (const std::string& path : {options.json, options.passport}) {
        if (!path.empty()) try_output(path);
    }
}

void run(KernelsOptions& options) {
    for (const std::string& text : options.forced) options.suite.forced.push_back(parse_choice(text));
    options.suite.check = !options.no_check;
    if (!options.predict.empty()) return options.images.empty() ? predict_on(options) : predict_layers_on(options);
    refuse_files_without_times(options);
    const std::vector<LayerProblem> problems = bundled_problems();
    const bool on_cpu = options.device == "cpu";
    const Target target = on_cpu ? Target{usable_isa()} : make_device(options.device, 1)->target();
    const KernelSelection selection = select_entries(problems, options.suite, target);
    if (options.list) return print_list(selection);
    try_files(options);
    const Hardware hardware = query_hardware();
    if (on_cpu) say_if_crowded(1, options.threads, bind_this_process(0, 1, options.threads).allowed_cores);

    ProgressLine line(stderr);
    size_t done = 0, failed = 0;
    const std::unique_ptr<Device> device = make_device(options.device, options.threads);
    const KernelReport report = run_kernel_suite(options.suite, problems, *device, [&](const KernelMeasurement& row) {
        ++done;
        failed += row.failure.empty() ? 0 : 1;
        line.update(static_cast<double>(done), static_cast<double>(selection.entries.size()),
                    fmt::format("{}/{} {}", done, selection.entries.size(), row.name));
    });
    line.finish();
    print_report(report);
    if (!options.json.empty()) write_durably(options.json, json_text(report.google_benchmark, 2) + "\n");
    if (!options.passport.empty())
        write_durably(options.passport, kernel_passport(report, hardware, build_info(), command_line()));
    if (failed > 0)
        throw Error(fmt::format("{} of {} kernels did not run or are too far from the reference", failed, done), "kernels",
                    "see the remarks in the table");
}

}  // namespace

Choice parse_choice(const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
        throw UsageError("'" + text + "' is not OPERATOR=IMPLEMENTATION", "--impl", "write it as conv2d=reference");
    return {text.substr(0, equals), text.substr(equals + 1)};
}

void add_kernels_command(CLI::App& app) {
    auto* command = app.add_subcommand("kernels", "time every kernel and hold it against this machine's limits");
    auto options = std::make_shared<KernelsOptions>();
    KernelSuiteOptions& suite = options->suite;
    command->add_option("--op", suite.op, "one operator with its gradients (conv2d), or one of them (conv2d_wgrad)")
        ->type_name(value::operation);
    command->add_option("--impl", options->forced, "only this implementation: conv2d=reference")->type_name(value::choice);
    add_device_option(*command, options->device);
    command->add_option("--predict", options->predict, "on the emulated GPU: how long each kernel would take on this one")
        ->type_name("GPU")
        ->check(CLI::IsMember({"a100", "h200"}));
    command
        ->add_option(
            "--images", options->images,
            "of --predict: the convolutions that are only timed, at these batches, extrapolated from 1 and 2 images")
        ->delimiter(',')
        ->check(CLI::Range(1, 1 << 20))
        ->needs("--predict");
    command->add_option("--products", options->products, "of --images: fp32, tf32, bf16 or fp16")
        ->check(CLI::IsMember({"fp32", "tf32", "bf16", "fp16"}))
        ->capture_default_str()
        ->needs("--images");
    command->add_option("--filter", suite.filter, "regular expression over the names; --list shows them")
        ->type_name("REGEX");
    command->add_option("--threads", options->threads, "compute threads")->check(CLI::Range(1, most_threads));
    command->add_option("--repetitions", suite.repetitions, "of each kernel (default 7)")->check(CLI::PositiveNumber);
    command->add_option("--min-time", suite.min_time, "seconds of a repetition (default 0.05)")->check(CLI::PositiveNumber);
    command->add_flag("--all-impls", suite.all_impls, "all rows that support a problem, not only the one a plan takes");
    command->add_flag("--no-check", options->no_check, "do not compare with the reference");
    command->add_flag("--list", options->list, "only list what would be timed");
    command->add_option("--json", options->json, "write Google Benchmark's JSON, for its compare.py")
        ->type_name(value::file);
    command->add_option("--passport", options->passport, "write the tables with machine and build as Markdown")
        ->type_name(value::file);
    for (const char* unused : {"--json", "--passport", "--repetitions", "--min-time", "--no-check"})
        for (const char* other : {"--list", "--predict"}) command->get_option(other)->excludes(command->get_option(unused));
    command->footer("$ xbench kernels --op conv2d --filter resnet50");
    command->callback([options] { run(*options); });
}

}  // namespace xbench
