// xbench data: image files, or a generator, to one HDF5 set.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "core/error.h"
#include "core/progress.h"
#include "data/import/import.h"
#include "data/set/h5.h"
#include "data/synthetic/synthetic.h"

namespace xbench {
namespace {

struct ImportCommand {
    ImportOptions options;
    std::string columns, split = "70,15,15";
    bool quiet = false;
};

struct SynthCommand {
    SyntheticConfig config;
    std::string out;
    int threads = 0;
};

// "path=file,label=class"
std::map<std::string, std::string> parse_columns(const std::string& text) {
    std::map<std::string, std::string> columns;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string pair = text.substr(at, end - at);
        const size_t equals = pair.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size()) {
            throw UsageError("'" + pair + "' is not role=name", "--columns", "write path=file,label=class");
        }
        columns[pair.substr(0, equals)] = pair.substr(equals + 1);
        at = end + 1;
    }
    return columns;
}

// One row a class, one column a split.
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

void print_report(const ImportReport& report, const ImportOptions& options) {
    print_counts(report.class_names, report.counts, report.split_counts);
    for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
    if (report.unlisted > 0)
        fmt::print("note: {} files below {} are not in {}\n", report.unlisted, options.source, options.labels);
    if (report.duplicates > 0) fmt::print("note: {} files have the same bytes as another\n", report.duplicates);
    if (report.duplicates_across_splits > 0) {
        fmt::print("WARNING: {} of them lie in another split than their double: test scores will be too good\n",
                   report.duplicates_across_splits);
    }
    if (report.groups_across_splits > 0) {
        fmt::print("WARNING: {} groups lie in more than one split: test scores may be too good\n",
                   report.groups_across_splits);
    }
    if (!report.quarantined.empty()) {
        fmt::print("WARNING: {} files were quarantined; reasons in {}.quarantine.csv, the first: {}: {}\n",
                   report.quarantined.size(), options.out, report.quarantined.front().path,
                   report.quarantined.front().reason);
    }
    fmt::print("{}: {} images of {}x{}x{} uint{} in {:.2f} s, {:.0f} images/s\n", options.out, report.images,
               options.channels, options.size, options.size, 8 * report.bytes_per_pixel, report.seconds,
               report.images_per_second());
}

void run_import(ImportCommand& command) {
    command.options.columns = parse_columns(command.columns);
    command.options.shares = parse_shares(command.split);
    ProgressLine line(stderr, command.quiet);
    const ImportReport report = import_images(command.options, [&](const ImportProgress& progress) {
        line.update(static_cast<double>(progress.done), static_cast<double>(progress.total),
                    fmt::format("{} of {} files, {} quarantined", progress.done, progress.total, progress.quarantined),
                    progress.seconds_left);
    });
    line.finish();
    print_report(report, command.options);
}

void run_synth(const SynthCommand& command) {
    const auto start = std::chrono::steady_clock::now();
    ImageSet set = make_synthetic(command.config, command.threads);
    set.records.created_by = "xbench data synth";
    write_h5(command.out, set);
    const SetRecords& records = set.records;
    std::vector<std::array<int64_t, 3>> counts(records.info.class_names.size());
    std::array<int64_t, 3> totals{};
    for (size_t i = 0; i < records.labels.size(); ++i) {
        ++counts[static_cast<size_t>(records.labels[i])][records.splits[i]];
        ++totals[records.splits[i]];
    }
    print_counts(records.info.class_names, counts, totals);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{}: {} images of {}x{}x{} with {} boxes in {:.2f} s, {:.0f} images/s\n", command.out, records.info.count,
               records.info.channels, records.info.height, records.info.width, records.boxes.size(), seconds,
               static_cast<double>(records.info.count) / seconds);
}

void add_import(CLI::App& data) {
    auto command = std::make_shared<ImportCommand>();
    ImportOptions& options = command->options;
    CLI::App* app = data.add_subcommand("import", "Read PNG and JPEG files and their labels into one HDF5 set");
    app->add_option("source", options.source, "The folder of images: class/..., or train|val|test/class/...")->required();
    app->add_option("--out", options.out, "The HDF5 set to write")->required();
    app->add_option("--size", options.size, "Pixels a side; resized with an antialiased Lanczos window")
        ->capture_default_str();
    app->add_option("--channels", options.channels, "1 (gray) or 3 (RGB)")->capture_default_str();
    app->add_option("--labels", options.labels, "CSV with a header: path,label[,split][,group]; label may be A|B");
    app->add_option("--columns", command->columns, "Other headers: path=file,label=class,split=fold,group=patient");
    app->add_option("--format", options.format, "auto, folder or csv")->capture_default_str();
    app->add_option("--split", command->split, "Shares of train,val,test where the source has no splits")
        ->capture_default_str();
    app->add_option("--val-share", options.val_share,
                    "Share of the training images used as val where only that split is missing")
        ->capture_default_str();
    app->add_option("--seed", options.seed, "Of the split")->capture_default_str();
    app->add_option("--threads", options.threads, "0: all cores")->capture_default_str();
    app->add_flag("--quiet", command->quiet, "No progress line");
    app->callback([command] { run_import(*command); });
}

void add_synth(CLI::App& data) {
    auto command = std::make_shared<SynthCommand>();
    CLI::App* app = data.add_subcommand("synth", "Draw procedural chest X-rays with lungs, opacities, labels and boxes");
    app->add_option("--out", command->out, "The HDF5 set to write")->required();
    app->add_option("--count", command->config.count, "How many images")->required();
    app->add_option("--size", command->config.size, "Pixels a side")->capture_default_str();
    app->add_option("--channels", command->config.channels, "1 or 3")->capture_default_str();
    app->add_option("--seed", command->config.seed, "Image i is a function of the seed and i alone")->capture_default_str();
    app->add_option("--threads", command->threads, "0: all cores")->capture_default_str();
    app->callback([command] { run_synth(*command); });
}

}  // namespace

void add_data_commands(CLI::App& app) {
    CLI::App* data = app.add_subcommand("data", "Make and look at data sets");
    data->require_subcommand(1);
    add_import(*data);
    add_synth(*data);
}

}  // namespace xbench
