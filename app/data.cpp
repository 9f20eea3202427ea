// xbench data: image files, or a generator, to one HDF5 set.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/data_tables.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/hardware.h"
#include "core/interrupt.h"
#include "core/parallel_for.h"
#include "core/progress.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/import.h"
#include "data/import/import_list.h"
#include "data/import/shared_import.h"
#include "data/import/worker/serve.h"
#include "data/set/h5.h"
#include "data/set/set_summary.h"
#include "data/synthetic/synthetic.h"
#include "parallel/comm/setups.h"

namespace xbench {
namespace {

struct ImportCommand {
    ImportOptions options;
    std::string columns, split, separator = "comma", leaks = "report", drop_labels, class_names;
    std::string patient_key;
    bool quiet = false;
};

struct SynthCommand {
    SyntheticConfig config;
    std::string out;
    int threads = 0;
    bool quiet = false;
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

void print_report(const ImportReport& report, const ImportOptions& options) {
    print_counts(report.class_names, report.counts, report.split_counts);
    for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
    for (const std::string& warning : report.warnings) fmt::print("WARNING: {}\n", warning);
    fmt::print("{} files below {}: {} imported, {} quarantined, {} ignored by rule; the account is {}.import.json\n",
               report.files_met, escape_bytes(options.source), report.files_imported, report.files_quarantined,
               report.ignored.size(), options.out);
    fmt::print("{}: {} images of {}x{}x{} uint{} in {:.2f} s, {:.0f} images/s\n", options.out, report.images,
               options.channels, options.size, options.size, 8 * report.bytes_per_pixel, report.seconds,
               report.images_per_second());
}

// `comma` or `,` and so on.
char parse_separator(const std::string& text) {
    for (const auto& [name, letter] : {std::pair{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}}) {
        if (text == name || text == std::string(1, letter)) return letter;
    }
    if (text == "\\t") return '\t';
    throw UsageError("'" + text + "' is not a separator", "--separator", "use comma, semicolon or tab");
}

std::string read_key(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string key(std::istreambuf_iterator<char>(file), {});
    if (file.bad() || key.size() < 8)
        throw UsageError("holds no key of at least 8 bytes", escape_bytes(path), "head -c 32 /dev/urandom > FILE makes one");
    return key;
}

// Runs `work`; after a signal it has tidied up, and the process ends by that signal, as the shell expects.
template <class Work>
void in_order(const Work& work) {
    std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error message like a full disk
    try {
        const InterruptGuard guard;
        work(guard);
    } catch (const Error& error) {
        if (InterruptGuard::signal() == 0) throw;
        fmt::print(stderr, "{}\n", error.what());
        std::signal(InterruptGuard::signal(), SIG_DFL);
        std::raise(InterruptGuard::signal());
    }
}

// The ranks that a launcher started; null for one process.
std::unique_ptr<Communicator> connect_ranks() {
    const int started = ranks_from_environment();
    if (started == 1) return nullptr;
    std::unique_ptr<Communicator> ranks = mpi_connector() == nullptr ? nullptr : mpi_connector()();
    if (ranks == nullptr || ranks->size() != started) {
        throw UsageError(fmt::format("{} processes were started that do not know of each other", started), "launcher",
                         "start one process, or use the mpirun of the MPI that xbench was built with");
    }
    return ranks;
}

// Under a launcher without binding every rank sees all cores of its node.
int threads_of_rank(int wanted) {
    return wanted > 0 ? wanted : std::max(1, usable_cores() / ranks_on_node_from_environment());
}

void import_with_progress(ImportCommand& command, const InterruptGuard& guard, SharedImport* shared) {
    ProgressLine line(stderr, command.quiet);
    const ImportReport report = import_images(
        command.options,
        [&](const ImportProgress& progress) {
            guard.check();
            line.update(static_cast<double>(progress.done), static_cast<double>(progress.total),
                        fmt::format("{} of {} files, {} quarantined", progress.done, progress.total, progress.quarantined),
                        progress.seconds_left);
        },
        shared);
    line.finish();
    print_report(report, command.options);
}

void run_import(ImportCommand& command) {
    command.options.columns = parse_columns(command.columns);
    if (!command.split.empty()) command.options.shares = parse_shares(command.split);
    for (const std::string& name : split_text(command.drop_labels, ',')) {
        if (!trimmed(name).empty()) command.options.drop_labels.push_back(trimmed(name));
    }
    for (const std::string& name : split_text(command.class_names, ',')) {
        if (!trimmed(name).empty()) command.options.class_names.push_back(trimmed(name));
    }
    if (command.leaks != "report" && command.leaks != "refuse" && command.leaks != "off")
        throw UsageError("'" + command.leaks + "' is none of report, refuse and off", "--leaks");
    command.options.look_for_leaks = command.leaks != "off";
    command.options.refuse_leaks = command.leaks == "refuse";
    command.options.separator = parse_separator(command.separator);
    command.options.worker_program = worker::this_program;
    if (!command.patient_key.empty()) command.options.patient_key = read_key(command.patient_key);
    const std::unique_ptr<Communicator> ranks = connect_ranks();
    if (ranks != nullptr) command.options.threads = threads_of_rank(command.options.threads);
    if (ranks != nullptr && ranks->rank() != 0) return serve_import(command.options, *ranks, command.options.threads);
    in_order([&](const InterruptGuard& guard) {
        std::optional<SharedImport> shared;
        if (ranks != nullptr) shared.emplace(*ranks);
        import_with_progress(command, guard, shared ? &*shared : nullptr);
    });
}

ImageSet draw_with_progress(const SynthCommand& command, const InterruptGuard& guard) {
    ProgressLine line(stderr, command.quiet);
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

void add_import(CLI::App& data) {
    auto command = std::make_shared<ImportCommand>();
    ImportOptions& options = command->options;
    CLI::App* app = data.add_subcommand("import", "Read PNG, JPEG and DICOM files and their labels into one HDF5 set");
    app->add_option("source", options.source, "The folder of images: class/..., or train|val|test/class/...")->required();
    app->add_option("--out", options.out, "The HDF5 set to write")->required();
    app->add_option("--size", options.size, "Pixels a side; resized with an antialiased Lanczos window")
        ->capture_default_str();
    app->add_option("--channels", options.channels, "1 (gray) or 3 (RGB)")->capture_default_str();
    app->add_option("--labels", options.labels, "CSV with a header: path,label[,split][,group]; label may be A|B");
    app->add_option("--columns", command->columns,
                    "Other headers: path=file,label=class,split=fold,group=patient,view=,sex=,age=,site=; "
                    "labels=FIRST..LAST or A+B: a column a class");
    app->add_option("--uncertain", options.uncertain, "-1 in a column of labels=: zeros, ones or ignore (masked)")
        ->capture_default_str();
    app->add_option("--blank", options.blank, "A blank in a column of labels=: zeros, ones or ignore (masked)")
        ->capture_default_str();
    app->add_option("--drop-labels", command->drop_labels, "Names in label cells that are no class: unchanged,exclude");
    app->add_option("--class-names", command->class_names, "Of npz and CIFAR, whose classes are numbers: a,b,c");
    app->add_option("--leaks", command->leaks, "Images or groups in several splits: report, refuse or off")
        ->capture_default_str();
    app->add_flag("--multilabel", options.multilabel, "Labels of cells are classes that an image has or not");
    app->add_option("--rsna-classes", options.rsna_classes, "2: opacity or not; 3: also normal")->capture_default_str();
    app->add_option("--group-regex", options.group_regex,
                    "Groups by file name where the source tells none: 'person(\\d+)_', 'patient(\\d+)', "
                    "'([^/]+?)(-rotated\\d+)*\\.[^.]+$'");
    app->add_option("--separator", command->separator, "Of the CSV: comma, semicolon or tab")->capture_default_str();
    app->add_option("--patient-key", command->patient_key,
                    "File with a secret: DICOM patients become /group by a hash with it, the same in every import");
    app->add_flag("--keep-ids", options.keep_ids, "DICOM patients keep their PatientID in /group");
    app->add_option("--format", options.format, "auto, " + format_names())->capture_default_str();
    app->add_flag("!--no-split-folders", options.split_folders, "The folders on top are classes, whatever they are called");
    app->add_option(
        "--split", command->split,
        "Shares of train,val,test: splits everything anew, by group (default 70,15,15 where the source has no splits)");
    app->add_option("--val-share", options.val_share,
                    "Draws val anew from train and val (default 0.15 of train where only val is missing; 0: none)");
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
    app->add_flag("--quiet", command->quiet, "No progress line");
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
    add_import(*data);
    add_synth(*data);
    add_data_info(*data);
    add_data_leaks(*data);
}

}  // namespace xbench
