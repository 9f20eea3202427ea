// xbench tune: a search over keys of a configuration, in this process or by the independent workers that a launcher started.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "app/command_table.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/installed.h"
#include "app/single_process.h"
#include "bench/base/environment.h"
#include "bench/base/record.h"
#include "bench/base/run_folder.h"
#include "bench/report/search_page.h"
#include "bench/tune/search_space.h"
#include "bench/tune/tune.h"
#include "core/config_versions.h"
#include "core/error.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/gather.h"
#include "core/hardware.h"
#include "core/interrupt.h"
#include "core/launched.h"
#include "data/datasets.h"
#include "data/load/loader.h"
#include "kernels/cuda/devices.h"
#include "parallel/checkpoint/training_state.h"
#include "parallel/comm/setups.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

struct TuneCommand {
    std::string config, device = "cpu", out;
    std::vector<std::string> settings, search;
    int threads = 1;
    Verbosity verbosity;
    bool resume = false, overwrite = false;
};

std::vector<std::string> settings_of(const TuneCommand& command) {
    std::vector<std::string> settings = command.settings;
    if (!command.search.empty()) settings.push_back("tune.search=" + json_text(Json(command.search)));
    return settings;
}

Config configuration(const TuneCommand& command, const std::vector<std::string>& more = {}) {
    std::vector<std::string> settings = settings_of(command);
    settings.insert(settings.end(), more.begin(), more.end());
    const ConfigDefaults defaults = command.resume ? defaults_of_run(command.out) : ConfigDefaults{};
    Config config = load_config(find_config(command.config), settings, known_models(), defaults);
    if (config.train.probe != "none")
        throw UsageError("trials are trainings, not runs for their times alone", "/train/probe", "leave it out");
    config.sweep.clear();
    return config;
}

std::unique_ptr<Communicator> connect(const Binding& binding) {
    if (launched().ranks == 1) return make_self_communicator();
    const TrainerSetup& setup = find_setup("cpu_ddp");
    if (const std::string why_not = why_not_here(setup); !why_not.empty())
        throw Error(why_not, "xbench tune", "start it alone");
    std::string note;
    // Workers wait for each other at the end of a rung, for as long as the slowest trial takes.
    return setup.connect({binding, std::make_shared<WaitLimit>(), &note});
}

std::unique_ptr<RunFolder> take_folder(const TuneCommand& command, const Config& config) {
    const fs::path path =
        command.out.empty()
            ? make_unique_folder(config.output, fmt::format("{}-tune-{}", config.name, utc_time("%Y%m%dT%H%M%SZ")))
            : fs::path(command.out);
    return std::make_unique<RunFolder>(path, command.resume      ? FolderUse::resume
                                             : command.overwrite ? FolderUse::overwrite
                                                                 : FolderUse::fresh);
}

// What the trials of an earlier process were drawn from must be the same.
void check_same_search(const fs::path& folder, const Config& config) {
    const auto identity = [](const Config& c) {
        const Json all = to_json(c);
        Json json = identity_of(c, "");
        json["tune"] = all.at("tune");
        // A training may go on for longer; trials that ended by other rules cannot be compared.
        for (const char* key :
             {"epochs", "patience", "min_delta", "baseline", "start_from_epoch", "early_stopping", "restore_best"})
            json["train"][key] = all.at("train").at(key);
        json["tune"].erase("repeats");
        return json;
    };
    check_same_run(identity(load_run_config(folder, known_models())), identity(config), folder.string());
}

void say(const TuneCommand& command, const TrialRecord& record, const Config& config) {
    std::string settings;
    for (const std::string& setting : record.settings) settings += " " + setting;
    note(command.verbosity,
         record.status == "ok"
             ? fmt::format("trial {} rung {}: {} {:.4f} after {} epochs,{}", record.trial, record.rung, score_name(config),
                           record.score, record.epochs, settings)
             : fmt::format("trial {} rung {} failed: {},{}", record.trial, record.rung, record.reason, settings));
}

void tune_on(const TuneCommand& command, const Config& config, Communicator& workers, const Hardware& hardware) {
    const bool first = workers.rank() == 0;
    const std::unique_ptr<Dataset> dataset = open_dataset(config.data);
    for (const Split split : {Split::train, Split::val}) check_split(*dataset, split);
    const std::unique_ptr<RunFolder> owned = first ? take_folder(command, config) : nullptr;
    const fs::path folder = from_rank_0(workers, first ? owned->path().string() : "");
    if (first) {
        if (command.resume && path_exists(folder / "config.resolved.json")) check_same_search(folder, config);
        write_text(folder / "config.resolved.json", json_text(to_json(with_absolute_paths(config)), 2) + "\n");
        write_text(folder / "env.json", json_text(describe_environment(this_command_line(), hardware), 2) + "\n");
    }
    workers.barrier();
    const auto device = make_device(command.device, command.threads, workers.size() > 1 ? local_rank_from_environment() : 0);
    const InterruptGuard guard(InterruptGuard::Usr1::note);
    TuneOptions options;
    options.device = device.get();
    options.folder = folder;
    options.configure = [&](const std::vector<std::string>& values) { return configuration(command, values); };
    options.stop = [] { return InterruptGuard::signal() != 0; };
    options.done = [&](const TrialRecord& record) { say(command, record, config); };
    const TuneResult result = tune(config, *dataset, workers, options);
    if (result.interrupted) {
        if (first)
            fmt::print(stderr, "xbench tune: stopped because of signal {}; `--resume --out {}` goes on\n",
                       InterruptGuard::signal(), folder.string());
        throw ExitWith{ExitCode::checkpointed};
    }
    if (!first) return;
    write_text(folder / "best.json",
               json_text(to_json(with_absolute_paths(configuration(command, result.winner.settings))), 2) + "\n");
    write_tune_files(result, config, folder);
    write_text(folder / "report.html", search_page(read_search(folder)));
    if (command.verbosity.report()) fmt::print("{}{}\n", tune_report(result, config), folder.string());
}

void run_tune(const TuneCommand& command) {
    if (command.resume && command.out.empty())
        throw UsageError("--resume does not know which search to go on with", "xbench tune", "give its folder with --out");
    const Config config = configuration(command);
    draw_trials(config.tune);                    // what is wrong with it is said before the work
    const Hardware hardware = query_hardware();  // before this process is bound to a part of it
    const Binding binding =
        bind_this_process(local_rank_from_environment(), ranks_on_node_from_environment(), command.threads, {});
    const std::unique_ptr<Communicator> workers = connect(binding);
    if (workers->size() == 1) return tune_on(command, config, *workers, hardware);
    int code = 0;
    try {
        return tune_on(command, config, *workers, hardware);
    } catch (const ExitWith&) {  // all of them
        throw;
    } catch (const std::exception& error) {
        const Failure failure = failure_of(error);
        fmt::print(stderr, "xbench tune, worker {}: {}\n", workers->rank(), failure.line);
        code = static_cast<int>(failure.code);
    }
    workers->abort(code);
}

constexpr const char* notes =
    "The folder holds a record of every trial, failed ones too, trials.csv, tune.json, tune.md, report.html and best.json, "
    "the winner's configuration. Several workers are started by mpirun or srun; each trains whole trials by itself, and any "
    "number of them finds the same winner. Trials are compared on the validation split; the test split is looked at "
    "once.\n\n"
    "$ xbench tune --config run.json --search train.learning_rate=0.001,0.01 \\\n"
    "  --set tune.method=grid --out runs/search\n"
    "$ mpirun -n 4 --bind-to none xbench tune --config run.json --out runs/search";

}  // namespace

void add_tune_command(CLI::App& app) {
    CLI::App* tune = app.add_subcommand("tune", "search over keys of a configuration by independent workers");
    auto command = std::make_shared<TuneCommand>();
    tune->add_option("--config", command->config, "configuration; its section tune says how to search")
        ->required()
        ->type_name(value::file);
    tune->add_option("--search", command->search, "a key and its values, in place of those of tune.search; may be repeated")
        ->type_name(value::setting);
    tune->add_option("--set", command->settings, "replace one value: --set tune.trials=32")->type_name(value::setting);
    add_device_option(*tune, command->device);
    tune->add_option("--threads", command->threads, "compute threads of each worker")
        ->check(CLI::Range(1, most_threads))
        ->capture_default_str();
    tune->add_option("--out", command->out, "the folder of the search (default: <output>/<name>-tune-<UTC time>)")
        ->type_name(value::folder);
    CLI::Option* resume =
        tune->add_flag("--resume", command->resume, "go on with the search in --out: finished trials stay");
    tune->add_flag("--overwrite", command->overwrite, "replace the search that --out holds")->excludes(resume);
    add_verbosity_options(*tune, command->verbosity);
    tune->footer(notes);
    tune->callback([command] { run_tune(*command); });
}

}  // namespace xbench
