// xbench data import: image files and their labels to one HDF5 set.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/command_table.h"
#include "app/data_ranks.h"
#include "app/data_tables.h"
#include "app/installed.h"
#include "app/single_process.h"
#include "app/verbosity.h"
#include "core/error.h"
#include "core/hardware.h"
#include "core/parallel_for.h"
#include "core/progress.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/import.h"
#include "data/import/import_list.h"
#include "data/import/shared_import.h"

namespace xbench {
namespace {

struct ImportCommand {
    ImportOptions options;
    std::string columns, split, separator = "comma", leaks = "report", drop_labels, class_names;
    std::string patient_key;
    bool quiet = false, resume = false;
    Verbosity verbosity;
};

// Files from which on an import that is killed can go on; fewer are decoded again as fast.
constexpr int64_t files_worth_a_journal = 10'000;

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

// On which a split or a result may hang: said before the report, and where there is none.
void print_remarks(const ImportReport& report) {
    for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
    for (const std::string& warning : report.warnings) fmt::print("WARNING: {}\n", warning);
}

void print_report(const ImportReport& report, const ImportOptions& options, const Verbosity& verbosity) {
    if (!verbosity.report()) {
        if (verbosity.warnings()) print_remarks(report);
        return;
    }
    print_counts(report.class_names, report.counts, report.split_counts);
    if (report.resumed > 0) fmt::print("{} files had been decoded by an import that was interrupted\n", report.resumed);
    print_remarks(report);
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

// Under a launcher without binding every rank sees all cores of its node.
int threads_of_rank(int wanted) {
    return wanted > 0 ? wanted : std::max(1, usable_cores() / ranks_on_node_from_environment());
}

void import_with_progress(ImportCommand& command, const InterruptGuard& guard, SharedImport* shared) {
    ProgressLine line(stderr, command.quiet || !command.verbosity.progress());
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
    print_report(report, command.options, command.verbosity);
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
    command.options.journal_from = command.resume ? 1 : files_worth_a_journal;
    command.options.separator = parse_separator(command.separator);
    command.options.worker_program = decode_program();
    if (!command.patient_key.empty()) command.options.patient_key = read_key(command.patient_key);
    const std::unique_ptr<Communicator> ranks = connect_ranks();
    if (ranks != nullptr) command.options.threads = threads_of_rank(command.options.threads);
    if (ranks != nullptr && ranks->rank() != 0) return serve_import(command.options, *ranks, command.options.threads);
    detail(command.verbosity, fmt::format("{} ranks of {} threads; files are decoded by {}", ranks ? ranks->size() : 1,
                                          threads_of_rank(command.options.threads), command.options.worker_program));
    in_order([&](const InterruptGuard& guard) {
        std::optional<SharedImport> shared;
        if (ranks != nullptr) shared.emplace(*ranks);
        import_with_progress(command, guard, shared ? &*shared : nullptr);
    });
}

// "auto" and the formats that it chooses among.
std::vector<std::string> format_words() {
    std::vector<std::string> words = {"auto"};
    std::string names = format_names();
    std::replace(names.begin(), names.end(), ',', ' ');
    std::istringstream stream(names);
    for (std::string name; stream >> name;) words.push_back(name);
    return words;
}

// What the table and its labels mean.
void add_label_options(CLI::App& app, ImportCommand& command) {
    ImportOptions& options = command.options;
    const std::string policies = value::one_of({"zeros", "ones", "ignore"});
    app.add_option("--labels", options.labels,
                   "CSV with a header: path,label[,split][,group]; label may be A|B; or the JSON of COCO")
        ->type_name(value::file);
    app.add_option("--columns", command.columns,
                   "Other headers: path=file,label=class,split=fold,group=patient; also view, sex, age and "
                   "site; labels=FIRST..LAST or A+B: a column a class; box=X+Y+WIDTH+HEIGHT "
                   "or corners=LEFT+TOP+RIGHT+BOTTOM: a row a box; reader=NAME")
        ->type_name("ROLE=NAME,...");
    app.add_option(
           "--join", options.joins,
           "One more CSV for the rows of --labels, by the columns that both have, or FILE:KEY+KEY, where a KEY may be "
           "THEIRS=OURS")
        ->type_name(value::file)
        ->allow_extra_args(false);
    app.add_option("--uncertain", options.uncertain, "What -1 in a column of a class becomes; ignore masks it")
        ->type_name(policies)
        ->capture_default_str();
    app.add_option("--blank", options.blank, "What a blank in a column of a class becomes; ignore masks it")
        ->type_name(policies)
        ->capture_default_str();
    app.add_option("--consensus", options.consensus, "Classes of an image that several readers marked")
        ->type_name(value::one_of({"union", "majority"}))
        ->capture_default_str();
    app.add_option("--drop-labels", command.drop_labels, "Names in label cells that are no class: unchanged,exclude")
        ->type_name("NAME,...");
    app.add_option("--class-names", command.class_names, "Classes of npz and CIFAR, which number theirs")
        ->type_name("NAME,...");
    app.add_flag("--multilabel", options.multilabel, "Labels of cells are classes that an image has or not");
    app.add_option("--rsna-classes", options.rsna_classes, "Of RSNA 2: opacity or not; 3: also normal")
        ->type_name("{2,3}")
        ->capture_default_str();
    app.add_option("--group-regex", options.group_regex,
                   "Groups by file name where the source tells none: 'person(\\d+)_', 'patient(\\d+)', "
                   "'([^/]+?)(-rotated\\d+)*\\.[^.]+$'")
        ->type_name("REGEX");
    app.add_option("--separator", command.separator, "Between the cells of the CSV")
        ->type_name("{comma,semicolon,tab}")
        ->capture_default_str();
}

void add_split_options(CLI::App& app, ImportCommand& command) {
    ImportOptions& options = command.options;
    app.add_flag("!--no-split-folders", options.split_folders, "The folders on top are classes, whatever they are called");
    app.add_option(
           "--split", command.split,
           "Shares of train,val,test: splits everything anew, by group (default 70,15,15 where the source has no splits)")
        ->type_name("TRAIN,VAL,TEST");
    app.add_option("--val-share", options.val_share,
                   "Draws val anew from train and val (default 0.15 of train where only val is missing; 0: none)");
    app.add_option("--seed", options.seed, "Seed of the split")->capture_default_str();
    app.add_option("--leaks", command.leaks, "Images or groups in several splits")
        ->type_name(value::one_of({"report", "refuse", "off"}))
        ->capture_default_str();
}

}  // namespace

void add_data_import(CLI::App& data) {
    auto command = std::make_shared<ImportCommand>();
    ImportOptions& options = command->options;
    CLI::App* app = data.add_subcommand("import", "Read PNG, JPEG and DICOM files and their labels into one HDF5 set");
    app->add_option("source", options.source, "The folder of images: class/..., or train|val|test/class/...; or an npz file")
        ->type_name(value::path)
        ->required();
    app->add_option("--out", options.out, "The HDF5 set to write")->type_name(value::file)->required();
    app->add_option("--size", options.size, "Pixels a side; resized with an antialiased Lanczos window")
        ->capture_default_str();
    app->add_option("--channels", options.channels, "Gray or RGB")->type_name("{1,3}")->capture_default_str();
    add_label_options(*app, *command);
    app->add_option("--patient-key", command->patient_key,
                    "File with a secret: DICOM patients become /group by a hash with it, the same in every import")
        ->type_name(value::file);
    app->add_flag("--keep-ids", options.keep_ids, "DICOM patients keep their PatientID in /group");
    app->add_option("--format", options.format, "Layout of the source")
        ->type_name(value::one_of(format_words()))
        ->capture_default_str();
    add_split_options(*app, *command);
    app->add_option("--threads", options.threads, "Threads; 0: all cores")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    app->add_flag("--resume", command->resume,
                  "Keep what is decoded until the set is whole, so that the same command goes on after a kill (always from "
                  "10,000 files on)");
    app->add_flag("--quiet", command->quiet, "No progress line");
    add_level_option(*app, command->verbosity);
    app->footer(
        "Every file below the source is imported, quarantined with its reason, or ignored under a named rule; "
        "SET.import.json "
        "holds the account. Under mpirun the ranks share the work.\n\n"
        "$ xbench data import chest_xray --out set.h5 --size 64\n"
        "$ xbench data import images --labels table.csv \\\n"
        "  --columns path=file,label=class,group=patient --out set.h5");
    app->callback([command] { run_import(*command); });
}

}  // namespace xbench
