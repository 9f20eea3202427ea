// xbench train: one training run, in this process or as one rank of many. Rank 0 writes the run folder.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "app/commands.h"
#include "app/single_process.h"
#include "app/stop_signal.h"
#include "bench/base/energy.h"
#include "bench/base/environment.h"
#include "bench/base/run_folder.h"
#include "bench/runs/history_file.h"
#include "bench/runs/train_report.h"
#include "core/error.h"
#include "core/launched.h"
#include "core/progress.h"
#include "data/datasets.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/checkpoint/training_state.h"
#include "parallel/comm/setups.h"
#include "parallel/comm/slow_link.h"

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
    if (!command.config.empty() || !command.resume || !command.model.empty()) return command.config;
    const fs::path kept = fs::path(command.out) / "config.resolved.json";
    if (!fs::exists(kept))
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
        settings.push_back("data.path=" + Json(command.data).dump());
    }
    if (!command.weights.empty()) settings.push_back("train.weights=" + Json(fs::absolute(command.weights).string()).dump());
    if (command.epochs > 0) settings.push_back(fmt::format("train.epochs={}", command.epochs));
    Config config = load_config(file, settings, known_models());
    if (file.empty()) config.name = command.model;
    config.sweep.clear();
    return config;
}

// Throws where a call can; inside MPI a watching thread says it and ends this process, and the launcher ends the others.
std::shared_ptr<WaitLimit> limited_waits(int rank, double seconds) {
    auto limit = std::make_shared<WaitLimit>();
    limit->expired = [rank](const Error& error) {
        fmt::print(stderr, "xbench train, rank {}: {}\n", rank, error.what());
        std::_Exit(static_cast<int>(error.code()));
    };
    limit->seconds = seconds;
    return limit;
}

// The ranks find each other. A rank that fails says so in one line, and its end is the others'.
std::unique_ptr<Communicator> connect(const TrainerSetup& setup, const Config& config, const Binding& binding) {
    const Launched here = launched();
    std::string note;
    std::unique_ptr<Communicator> communicator;
    try {
        communicator = setup.connect({binding, limited_waits(here.rank, config.train.collective_timeout_seconds), &note});
    } catch (const UsageError&) {  // the same on all ranks
        if (here.rank > 0) throw ExitWith{ExitCode::usage};
        throw;
    }
    if (!note.empty() && communicator->rank() == 0) fmt::print(stderr, "note: {}\n", note);
    return communicator;
}

// What is asked for against the cores there are.
void say_if_crowded(const Binding& binding, const TrainCommand& command, int on_node) {
    if (binding.oversubscribed && launched().local == 0)
        fmt::print(stderr, "note: {} x {} threads on {} cores: they take turns, and the times say so\n",
                   on_node == 1 ? "1 rank" : fmt::format("{} ranks", on_node), command.threads, binding.allowed_cores);
}

const TrainerSetup& usable_setup(const TrainCommand& command) {
    const TrainerSetup& setup = find_setup(command.trainer, command.device);
    if (const std::string why_not = why_not_here(setup); !why_not.empty())
        throw Error(why_not, "trainer " + command.trainer, "`xbench doctor` lists what there is");
    return setup;
}

// Their PCI addresses, where this process sees one for each rank of the node.
std::vector<std::string> gpus_of_ranks(int ranks_on_node) {
    std::vector<std::string> addresses;
    for (const GpuDescription& gpu : query_gpus().gpus) addresses.push_back(gpu.pci_address);
    if (static_cast<int>(addresses.size()) < ranks_on_node) addresses.clear();
    return addresses;
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

std::string from_rank_0(const std::string& text, Communicator& communicator) {
    std::vector<std::byte> bytes;
    if (communicator.rank() == 0)
        for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
    std::string all;
    for (const std::byte byte : communicator.all_gather_bytes(bytes)) all += static_cast<char>(byte);
    return all;
}

// Whether there is nothing left to resume, because the run has ended. Throws where it is another one.
bool says_finished(const fs::path& folder, const Config& config) {
    if (!is_finished(folder, config.train)) return false;
    const Config saved = load_config((folder / "config.resolved.json").string(), {}, known_models());
    check_same_run(identity_of(saved, ""), identity_of(config, ""), folder.string());
    fmt::print(stderr, "xbench train: the run in {} is finished; nothing was done (a larger --epochs goes on with it)\n",
               folder.string());
    return true;
}

// The first files of a run, once nothing stands against it.
void begin_files(const fs::path& folder, const Config& config, bool resume, const TrainStart& start) {
    if (resume && start.resumed_at == 0) {
        if (fs::exists(folder / "records.jsonl"))
            throw UsageError("holds a finished run and no checkpoint to go on from", folder.string(),
                             "begin it anew with --overwrite; train.checkpoint_steps keeps checkpoints");
        fmt::print(stderr, "xbench train: nothing to resume in {}; the run begins anew\n", folder.string());
    }
    write_text(folder / "config.resolved.json", to_json(with_absolute_paths(config)).dump(2) + "\n");
    write_text(folder / "history.csv", history_csv(start.history));
}

std::function<void(const TrainProgress&)> show_on(ProgressLine& line) {
    return [&line](const TrainProgress& p) {
        if (p.finished_epoch != nullptr) {
            const EpochResult& e = *p.finished_epoch;
            line.note_often(fmt::format("epoch {:>3}/{}  loss {:.4f}  val {:.4f}  accuracy {:.4f}  {:.0f} images/s{}",
                                        e.epoch, p.epochs, e.train_loss, e.val_loss, e.val_accuracy,
                                        static_cast<double>(e.images) / e.train_seconds, e.best ? "  best" : ""),
                            e.epoch == p.epochs);
        } else {
            line.update(static_cast<double>(p.step), static_cast<double>(p.steps),
                        fmt::format("epoch {}/{}  step {}/{}  loss {:.4f}  {:.0f} images/s", p.epoch, p.epochs, p.step,
                                    p.steps, p.loss, p.images_per_second),
                        p.seconds_left);
        }
    };
}

TrainOptions train_options(const TrainCommand& command, const Config& config, const fs::path& folder, ProgressLine& line) {
    TrainOptions options;
    options.threads = command.threads;
    options.checkpoint_dir = folder / "checkpoints";
    options.progress = [show = show_on(line), folder](const TrainProgress& progress) {
        if (progress.finished_epoch != nullptr) append_history(folder / "history.csv", *progress.finished_epoch);
        show(progress);
    };
    options.started = [&, folder](const TrainStart& start) { begin_files(folder, config, command.resume, start); };
    options.resume = command.resume;
    options.stage = command.stage;
    options.stop = [] { return stop_signal() != 0; };
    return options;
}

void print_result(const TrainResult& result, const fs::path& folder) {
    fmt::print("{}", report_of(result));
    const bool tested = result.test.count > 0;
    const Metrics& shown = tested ? result.test : result.val;
    fmt::print("{} accuracy {:.4f}  balanced {:.4f}  majority {:.4f}  loss {:.4f}  (best epoch {})\nweights {}\n{}\n",
               tested ? "test" : "validation", shown.accuracy, shown.balanced_accuracy, shown.majority_baseline, shown.loss,
               result.best_epoch, result.weights_hash, folder.string());
}

// What is done once the ranks are connected.
void train_on(const TrainCommand& command, const Config& config, const TrainerSetup& setup, Communicator& communicator,
              const Hardware& hardware, const Binding& binding) {
    const bool first = communicator.rank() == 0;
    const std::unique_ptr<Dataset> dataset = open_dataset(config.data);
    const std::unique_ptr<RunFolder> owned = first ? take_folder(command, config) : nullptr;
    const fs::path folder = from_rank_0(first ? owned->path().string() : "", communicator);
    const bool finished = first && command.resume && says_finished(folder, config);
    if (!from_rank_0(finished ? "finished" : "", communicator).empty()) return;
    if (first && dataset->indices(Split::test).empty())
        fmt::print(stderr, "xbench train: {} has no test split; there will be no test scores\n", dataset->info().source);
    const std::unique_ptr<Device> device =
        make_device(setup.device, command.threads, communicator.size() > 1 ? local_rank_from_environment() : 0);
    const Json per_rank = gather_ranks(communicator, binding);
    ProgressLine line(stderr, command.quiet || !first);
    note_stop_signals();
    const EnergyMeter energy;
    TrainOptions options = train_options(command, config, folder, line);
    options.device = device.get();
    const TrainResult result = train(config, *dataset, communicator, options);
    line.finish();
    if (result.interrupted) {
        if (first)
            fmt::print(stderr, "xbench train: checkpointed at step {} because of signal {}; `--resume --out {}` goes on\n",
                       result.steps_done, stop_signal(), folder.string());
        throw ExitWith{ExitCode::checkpointed};
    }
    if (!first) return;
    Json environment = describe_environment(command.command_line, hardware);
    environment["cpusets"] = per_rank;
    environment["communicator"] = Json{{"name", communicator.name()}, {"nodes", communicator.nodes()}};
    write_text(folder / "env.json", environment.dump(2) + "\n");
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
                 std::string(setup.device) == "cuda" && environment.value("emulated", false)};
    write_train_files(run, folder);
    if (!command.quiet) print_result(result, folder);
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
    const int on_node = alone ? 1 : ranks_on_node_from_environment();
    const Binding binding =
        bind_this_process(alone ? 0 : local_rank_from_environment(), on_node, command.threads,
                          std::string(setup.device) == "cuda" ? gpus_of_ranks(on_node) : std::vector<std::string>{});
    say_if_crowded(binding, command, on_node);
    std::unique_ptr<Communicator> communicator = connect(setup, config, binding);
    const LinkSpeed link{config.scaling.slow_link_mb_per_s * 1e6, config.scaling.slow_link_latency_us * 1e-6};
    if (link.bytes_per_second > 0 || link.latency_seconds > 0) communicator = make_slow_link(std::move(communicator), link);
    if (communicator->size() == 1) return train_on(command, config, setup, *communicator, hardware, binding);
    int code = 0;
    try {
        train_on(command, config, setup, *communicator, hardware, binding);
        return;
    } catch (const PeerFailure& failure) {  // that rank has said why
        code = static_cast<int>(failure.code());
    } catch (const Error& error) {
        fmt::print(stderr, "xbench train, rank {}: {}\n", communicator->rank(), error.what());
        code = static_cast<int>(error.code());
    } catch (const std::exception& error) {
        fmt::print(stderr, "xbench train, rank {}: {}\n", communicator->rank(), error.what());
        code = static_cast<int>(ExitCode::failed);
    }
    communicator->abort(code);  // the peers wait in a collective for ever otherwise
}

}  // namespace

void add_train_command(CLI::App& app) {
    CLI::App* train = app.add_subcommand("train", "one training run");
    auto command = std::make_shared<TrainCommand>();
    train->add_option("--config", command->config, "configuration; its sweep is left aside");
    train->add_option("--model", command->model, "a model's name, instead of or over the configuration's");
    train->add_option("--data", command->data, "an HDF5 set, instead of or over the configuration's");
    train->add_option("--weights", command->weights, "a checkpoint, of xbench or of PyTorch, whose weights it starts from");
    train->add_option("--epochs", command->epochs, "passes over the training split")->check(CLI::PositiveNumber);
    train->add_option("--trainer", command->trainer, "serial, or cpu_ddp, gpu_ddp or sharded (started by mpirun or srun)")
        ->capture_default_str();
    train->add_option("--device", command->device, "cpu or cuda (default: the trainer's own)")
        ->check(CLI::IsMember({"cpu", "cuda"}));
    train->add_option("--threads", command->threads, "compute threads of each rank (default 1)")->check(CLI::PositiveNumber);
    train
        ->add_option(
            "--stage", command->stage,
            "of the sharded trainer: 1 splits the optimizer's state over the ranks, 2 gradients too, 3 parameters too")
        ->check(CLI::PositiveNumber);
    train->add_option("--out", command->out, "the run folder (default: <output>/<name>-train-<UTC time>)");
    train->add_option("--set", command->settings, "replace one value: --set train.seed=2 (may be repeated)");
    CLI::Option* resume = train->add_flag(
        "--resume", command->resume, "go on from the newest checkpoint in --out; without --config as that run was begun");
    train->add_flag("--overwrite", command->overwrite, "replace the run that --out holds")->excludes(resume);
    add_verbosity_options(*train, command->verbosity);
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
