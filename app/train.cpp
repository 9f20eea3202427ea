// xbench train: one training run, in this process or as one rank of many. Rank 0 writes the run folder.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "app/command_table.h"
#include "app/commands.h"
#include "app/installed.h"
#include "app/single_process.h"
#include "app/train_lines.h"
#include "app/train_ranks.h"
#include "bench/base/energy.h"
#include "bench/base/environment.h"
#include "bench/base/processor_counters.h"
#include "bench/base/run_folder.h"
#include "bench/report/training_page.h"
#include "bench/runs/arrival_files.h"
#include "bench/runs/history_file.h"
#include "bench/runs/tensorboard.h"
#include "bench/runs/train_report.h"
#include "core/config_versions.h"
#include "core/error.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/gather.h"
#include "core/interrupt.h"
#include "core/launched.h"
#include "core/progress.h"
#include "data/datasets.h"
#include "data/import/leaks.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/checkpoint/training_state.h"
#include "parallel/comm/comm_logged.h"
#include "parallel/comm/own_gpus.h"
#include "parallel/comm/setups.h"
#include "parallel/train/planted_loss.h"
#include "parallel/train/probe_kind.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

struct TrainCommand {
    std::string config, model, data, weights, trainer = "serial", device, out;
    std::vector<std::string> settings, command_line;
    int64_t epochs = 0;
    int threads = 0, stage = 0;
    Verbosity verbosity;
    bool quiet = false, resume = false, overwrite = false;
};

// `--resume --out FOLDER` alone goes on with what the folder says.
std::string config_file(const TrainCommand& command) {
    if (!command.config.empty() || !command.resume || !command.model.empty()) return find_config(command.config);
    const fs::path kept = fs::path(command.out) / "config.resolved.json";
    if (!path_exists(kept))
        throw UsageError("nothing to resume: there is no config.resolved.json", command.out,
                         "name the folder of a run with --out, or give --config FILE to begin one");
    return kept.string();
}

Config read_config(const TrainCommand& command) {
    if (command.resume && command.out.empty())
        throw UsageError("--resume does not know which run to go on with", "xbench train", "give its folder with --out");
    const std::string file = config_file(command);
    if (file.empty() && (command.model.empty() || command.data.empty()))
        throw UsageError("nothing to train", "xbench train", "give --config FILE, or --model NAME and --data F.h5");
    std::vector<std::string> settings = command.settings;
    // An option wins over the one value that it names. A set takes the place of the file's synthetic images, and
    // contradicts a --set of them.
    if (!command.model.empty()) settings.push_back("model.name=" + command.model);
    if (!command.data.empty()) {
        settings.insert(settings.begin(), "data.synthetic=null");
        settings.push_back("data.path=" + json_text(Json(command.data)));
    }
    if (!command.weights.empty())
        settings.push_back("train.weights=" + json_text(Json(absolute_path(command.weights).string())));
    if (command.epochs > 0) settings.push_back(fmt::format("train.epochs={}", command.epochs));
    const ConfigDefaults defaults = command.resume ? defaults_of_run(command.out) : ConfigDefaults{};
    Config config = load_config(file, settings, known_models(), defaults);
    if (file.empty()) config.name = command.model;
    config.sweep.clear();
    return config;
}

const TrainerSetup& usable_setup(const TrainCommand& command) {
    const TrainerSetup& setup = find_setup(command.trainer, command.device);
    if (const std::string why_not = why_not_here(setup); !why_not.empty())
        throw Error(why_not, "trainer " + command.trainer, "`xbench doctor` lists what there is");
    return setup;
}

FolderUse use_of(const TrainCommand& command) {
    return command.resume ? FolderUse::resume : command.overwrite ? FolderUse::overwrite : FolderUse::fresh;
}

// Rank 0's; by default under a name that no other run has.
std::unique_ptr<RunFolder> take_folder(const TrainCommand& command, const Config& config) {
    const fs::path path =
        command.out.empty()
            ? make_unique_folder(config.output, fmt::format("{}-train-{}", config.name, utc_time("%Y%m%dT%H%M%SZ")))
            : fs::path(command.out);
    return std::make_unique<RunFolder>(path, use_of(command));
}

// Whether there is nothing left to resume, because the run has ended. Throws where it is another one.
bool says_finished(const fs::path& folder, const Config& config, const Dataset& dataset) {
    const std::optional<Record> finished = finished_record(folder, config.train);
    if (!finished) return false;
    const Config saved = load_run_config(folder, known_models());
    check_same_run(identity_of(saved, finished->data_sha), identity_of(config, dataset.digest()), folder.string());
    fmt::print(stderr, "xbench train: the run in {} is finished; nothing was done (a larger --epochs goes on with it)\n",
               folder.string());
    return true;
}

double wall_seconds() {  // since 1970
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The first files of a run, once nothing stands against it.
void begin_files(const fs::path& folder, const Config& config, bool resume, const TrainStart& start) {
    if (resume && start.resumed_at == 0) {
        if (path_exists(folder / "records.jsonl"))
            throw UsageError("holds a finished run and no checkpoint to go on from", folder.string(),
                             "begin it anew with --overwrite; train.checkpoint_steps keeps checkpoints");
        fmt::print(stderr, "xbench train: nothing to resume in {}; the run begins anew\n", folder.string());
    }
    write_text(folder / "config.resolved.json", json_text(to_json(with_absolute_paths(config)), 2) + "\n");
    write_text(folder / "history.csv", history_csv(start.history, history_columns(config.train)));
    begin_tensorboard(folder, wall_seconds(), start.history);
}

TrainOptions train_options(const TrainCommand& command, const Config& config, const fs::path& folder, ProgressLine& line) {
    TrainOptions options;
    options.threads = command.threads;
    options.checkpoint_dir = folder / "checkpoints";
    options.progress = [show = show_on(line, command.verbosity), folder,
                        columns = history_columns(config.train)](const TrainProgress& progress) {
        if (progress.finished_epoch != nullptr) {
            append_history(folder / "history.csv", *progress.finished_epoch, columns);
            append_tensorboard(folder, wall_seconds(), *progress.finished_epoch);
        }
        show(progress);
    };
    options.started = [&, folder](const TrainStart& start) { begin_files(folder, config, command.resume, start); };
    options.resume = command.resume;
    options.stage = command.stage;
    options.stop = [] { return InterruptGuard::signal() != 0; };
    return options;
}

// Of a run that is made for its times: it leaves nothing but its record.
TrainOptions probe_options(const TrainCommand& command, ProgressLine& line) {
    if (command.resume)
        throw UsageError("a run for its times alone has no checkpoint", "/train/probe", "leave --resume out");
    TrainOptions options;
    options.threads = command.threads;
    options.stage = command.stage;
    options.progress = show_on(line, command.verbosity);
    options.stop = [] { return InterruptGuard::signal() != 0; };
    return options;
}

void print_result(const TrainConfig& train, const TrainResult& result, const fs::path& folder) {
    const auto cost = train.arrivals == "alternate"
                          ? logging_cost(result.times.step_ns, result.times.step_images, result.resumed_at + 1)
                          : std::nullopt;
    fmt::print("{}", report_of(result));
    const bool tested = result.test.count > 0;
    const Metrics& shown = tested ? result.test : result.val;
    if (cost)
        fmt::print("logging arrivals costs {:.2f} us a step ({:.2f} to {:.2f} us), {:.3f}% of it, over {} steps\n",
                   cost->us.median, cost->us.low, cost->us.high, 100 * cost->share_of_step, cost->steps);
    fmt::print("{} accuracy {:.4f}  balanced {:.4f}  majority {:.4f}  loss {:.4f}\nbest epoch {}\nweights {}\n{}\n",
               tested ? "test" : "validation", shown.accuracy, shown.balanced_accuracy, shown.majority_baseline, shown.loss,
               result.best_epoch, result.weights_hash, folder.string());
}

[[noreturn]] void end_interrupted(const TrainResult& result, const fs::path& folder, bool said) {
    if (said)
        fmt::print(stderr, "xbench train: checkpointed at step {} because of signal {}; `--resume --out {}` goes on\n",
                   result.steps_done, InterruptGuard::signal(), folder.string());
    throw ExitWith{ExitCode::checkpointed};
}

void look_for_leaks(const Config& config, const Dataset& dataset, int threads) {
    check_leaks(config.data, dataset, threads);
    if (says_leaks(dataset.info().leaks))
        fmt::print(stderr, "xbench train: {}: {}; test scores may be too good\n", dataset.info().source,
                   dataset.info().leaks);
}

// What is done once the ranks are connected.
void train_on(const TrainCommand& command, const Config& config, const TrainerSetup& setup, Communicator& communicator,
              const Hardware& hardware, const Binding& binding, ArrivalLog* arrivals) {
    const bool first = communicator.rank() == 0;
    const std::unique_ptr<Dataset> dataset = open_dataset(config.data);
    const bool probe = is_probe(config.train);
    if (first && !probe) look_for_leaks(config, *dataset, command.threads);
    const std::unique_ptr<RunFolder> owned = first ? take_folder(command, config) : nullptr;
    const fs::path folder = from_rank_0(communicator, first ? owned->path().string() : "");
    const bool finished = first && command.resume && says_finished(folder, config, *dataset);
    if (!from_rank_0(communicator, finished ? "finished" : "").empty()) return;
    if (first && !probe && dataset->indices(Split::test).empty())
        fmt::print(stderr, "xbench train: {} has no test split; there will be no test scores\n", dataset->info().source);
    const ProcessorCounters processor;  // before there are threads
    const MemoryHog hog(communicator.size() > 1 || copies_from_environment().count > 1 ? planted_loss().hog_share : 0);
    const std::unique_ptr<Device> device =
        make_device(setup.device, command.threads, communicator.size() > 1 ? local_rank_from_environment() : 0);
    check_own_gpus(communicator, *device);
    if (const std::string note = note_on_nccl(communicator, *device); first && !note.empty())
        fmt::print(stderr, "note: {}\n", note);
    const Json per_rank = gather_ranks(communicator, binding);
    ProgressLine line(stderr, command.quiet || !first);
    if (first) detail(command.verbosity, start_details(setup.name, *dataset, communicator, binding, folder.string()));
    const InterruptGuard guard(InterruptGuard::Usr1::note);
    const EnergyMeter energy;
    TrainOptions options = probe ? probe_options(command, line) : train_options(command, config, folder, line);
    options.device = device.get();
    options.arrivals = arrivals;
    const double wall_start = wall_seconds();
    const TrainResult result = train(config, *dataset, communicator, options);
    const double wall_stop = wall_seconds();
    const Json counted = processor_counters_of_ranks(processor, communicator);
    line.finish();
    if (result.interrupted) end_interrupted(result, folder, first && !probe);
    if (!first) return;
    Json environment = describe_environment(command.command_line, hardware);
    environment["cpusets"] = per_rank;
    environment["communicator"] = Json{{"name", communicator.name()}, {"nodes", communicator.nodes()}};
    TrainRun run{config,
                 *dataset,
                 result,
                 setup.name,
                 setup.device,
                 communicator.size(),
                 command.threads,
                 command.stage,
                 per_rank,
                 energy.joules(),
                 energy.why(),
                 environment["env_id"].get<std::string>(),
                 static_cast<int64_t>(1000 * wall_start),
                 static_cast<int64_t>(1000 * wall_stop),
                 std::string(setup.device) == "cuda" && environment.value("emulated", false),
                 counted};
    if (probe) return write_probe_files(run, folder);
    write_text(folder / "env.json", json_text(environment, 2) + "\n");
    write_train_files(run, folder);
    write_text(folder / "report.html", training_page(read_training(folder)));
    if (!command.quiet) print_result(config.train, result, folder);
}

void run_train(const TrainCommand& given) {
    TrainCommand command = given;
    const Config config = read_config(command);
    const TrainerSetup& setup = usable_setup(command);
    if (command.threads == 0) command.threads = 1;
    if (command.trainer == "sharded" && command.stage == 0) command.stage = lowest_stage;
    if (command.trainer == "sharded" ? command.stage > highest_stage : command.stage != 0)
        throw UsageError(
            fmt::format("the {} trainer has no ZeRO stage {}", command.trainer, command.stage), "--stage",
            fmt::format("give --trainer sharded with --stage {} to {}, or leave it out", lowest_stage, highest_stage));
    const bool alone = std::string(setup.communicator) == "self";
    if (alone && ranks_from_environment() > 1)
        throw UsageError(
            fmt::format("the {} trainer was started {} times by a launcher", setup.name, ranks_from_environment()),
            "xbench train", "give --trainer cpu_ddp, or start it alone");
    if (!alone) refuse_without_launcher(setup.name);
    const Hardware hardware = query_hardware();
    // Before the first OpenMP region and before MPI starts its own threads.
    const Copies copies = copies_from_environment();
    const int on_node = alone ? copies.count : ranks_on_node_from_environment();
    Binding binding =
        bind_this_process(alone ? copies.index : local_rank_from_environment(), on_node, command.threads,
                          std::string(setup.device) == "cuda" ? gpus_of_ranks(on_node) : std::vector<std::string>{});
    if (binding.oversubscribed && launched().local == 0) say_if_crowded(on_node, command.threads, binding.allowed_cores);
    const std::unique_ptr<ArrivalLog> arrivals = arrival_log(config.train, setup);
    std::unique_ptr<Communicator> communicator = connect_ranks(setup, config, binding);
    communicator = over_network(std::move(communicator), config);
    if (arrivals && communicator->size() > 1) communicator = make_logged(std::move(communicator), *arrivals);
    if (communicator->size() == 1) return train_on(command, config, setup, *communicator, hardware, binding, arrivals.get());
    int code = 0;
    try {
        if (std::string(setup.device) == "cuda") bind_beside_gpus(*communicator, command.threads, binding);
        train_on(command, config, setup, *communicator, hardware, binding, arrivals.get());
        return;
    } catch (const PeerFailure& failure) {  // that rank has said why
        code = static_cast<int>(failure.code());
    } catch (const std::exception& error) {
        const Failure failure = failure_of(error);
        fmt::print(stderr, "xbench train, rank {}: {}\n", communicator->rank(), failure.line);
        code = static_cast<int>(failure.code);
    }
    communicator->abort(code);  // the peers wait in a collective for ever otherwise
}

constexpr const char* train_notes =
    "The run folder holds the resolved configuration, history.csv, metrics.json, the classification report, the records and "
    "the checkpoints. Several ranks are started by mpirun or srun; they end with the weights of one process, bit for bit. "
    "INT, TERM, HUP and USR1 end a run at its next step with a checkpoint and exit code 75; a second one ends it at "
    "once.\n\n"
    "$ xbench train --model pneumonia_cnn --data set.h5 --out runs/mine\n"
    "$ mpirun -n 2 --bind-to none xbench train --config run.json \\\n"
    "  --trainer cpu_ddp --out runs/two\n"
    "$ xbench train --resume --out runs/mine";

std::vector<std::string> setup_names() {
    std::vector<std::string> names;
    for (const TrainerSetup& setup : trainer_setups())  // one of each device, side by side
        if (names.empty() || names.back() != setup.name) names.emplace_back(setup.name);
    return names;
}

}  // namespace

void add_train_command(CLI::App& app) {
    CLI::App* train = app.add_subcommand("train", "one training run");
    auto command = std::make_shared<TrainCommand>();
    train->add_option("--config", command->config, "configuration; its sweep is left aside")->type_name(value::file);
    train->add_option("--model", command->model, "a model's name, instead of or over the configuration's")
        ->type_name(value::model);
    train->add_option("--data", command->data, "an HDF5 set, instead of or over the configuration's")
        ->type_name(value::file);
    train->add_option("--weights", command->weights, "a checkpoint, of xbench or of PyTorch, whose weights it starts from")
        ->type_name(value::path);
    train->add_option("--epochs", command->epochs, "passes over the training split")->check(CLI::PositiveNumber);
    train->add_option("--trainer", command->trainer, "how to train; all but serial are started by mpirun or srun")
        ->type_name(value::one_of(setup_names()))
        ->capture_default_str();
    train->add_option("--device", command->device, "where it computes (default: the trainer's own)")
        ->check(CLI::IsMember({"cpu", "cuda"}));
    train->add_option("--threads", command->threads, "compute threads of each rank (default 1)")
        ->check(CLI::Range(1, most_threads));
    train
        ->add_option(
            "--stage", command->stage,
            "of the sharded trainer: 1 splits the optimizer's state over the ranks, 2 gradients too, 3 parameters too")
        ->check(CLI::PositiveNumber);
    train->add_option("--out", command->out, "the run folder (default: <output>/<name>-train-<UTC time>)")
        ->type_name(value::folder);
    train->add_option("--set", command->settings, "replace one value: --set train.seed=2")->type_name(value::setting);
    CLI::Option* resume = train->add_flag(
        "--resume", command->resume, "go on from the newest checkpoint in --out; without --config as that run was begun");
    train->add_flag("--overwrite", command->overwrite, "replace the run that --out holds")->excludes(resume);
    add_verbosity_options(*train, command->verbosity);
    train->footer(train_notes);
    train->callback([command] {
        command->quiet = !command->verbosity.report();
        command->command_line = this_command_line();
        run_train(*command);
    });
}

std::vector<std::string> known_models() {
    std::vector<std::string> names;
    for (const ModelInfo& model : model_table()) names.emplace_back(model.name);
    return names;
}

}  // namespace xbench
