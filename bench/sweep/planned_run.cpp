// Command lines and folders of the runs of a sweep.
#include "bench/sweep/planned_run.h"

#include <fmt/format.h>

#include "bench/sweep/sweep_folder.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "parallel/comm/setups.h"

namespace xbench {

namespace fs = std::filesystem;

std::string PlannedRun::run() const { return probe != nullptr ? run_of_probe(probe->id) : run_of_point(point->id()); }

std::string PlannedRun::text() const {
    if (probe != nullptr) return "probe " + probe->id;
    return fmt::format("{} {} x {}", point->trainer, point->ranks, point->threads);
}

fs::path PlannedRun::folder_in(const fs::path& sweep) const {
    return probe != nullptr ? sweep / "probes" / probe->id : sweep / "points" / point->id();
}

std::vector<fs::path> PlannedRun::outs_in(const fs::path& sweep) const {
    const fs::path folder = folder_in(sweep);
    if (probe == nullptr || probe->copies == 1) return {folder / fmt::format("rep{}", repeat)};
    std::vector<fs::path> outs;
    for (int copy = 0; copy < probe->copies; ++copy) outs.push_back(folder / fmt::format("rep{}-copy{}", repeat, copy));
    return outs;
}

RunLauncher::RunLauncher(const Config& config, const SweepOptions& options)
    : config_(config),
      options_(options),
      launcher_(choose_launcher(config.scaling.launcher).launcher),
      srun_mpi_(launcher_ == Launcher::srun ? srun_mpi_here() : "") {}

Launch RunLauncher::launch_of(const PlannedRun& target, size_t copy) const {
    const Point& point = target.trained();
    const std::vector<fs::path> outs = target.outs_in(options_.folder);
    LaunchRequest request;
    request.needs_launcher = needs_launcher(point);
    request.ranks = point.ranks;
    request.threads = point.threads;
    request.oversubscribe = point.status == PointStatus::oversubscribed;
    request.srun_mpi = srun_mpi_;
    request.program = train_command(config_, point, options_, outs[copy],
                                    target.probe != nullptr ? target.probe->settings : std::vector<std::string>{});
    Launch launch = make_launch(request, launcher_);
    if (outs.size() > 1) launch.environment["XBENCH_COPY"] = fmt::format("{}/{}", copy, outs.size());
    return launch;
}

Outcome RunLauncher::run(const PlannedRun& target, const std::function<void(double)>& tick) const {
    const std::vector<fs::path> outs = target.outs_in(options_.folder);
    std::vector<Launch> launches;
    std::vector<fs::path> logs;
    for (size_t copy = 0; copy < outs.size(); ++copy) {
        if (options_.use == FolderUse::resume) remove_tree(outs[copy]);  // what was under way when the sweep ended
        make_folders(outs[copy]);
        launches.push_back(launch_of(target, copy));
        logs.emplace_back(outs[copy].string() + ".log");
        if (options_.launched) options_.launched(shell_text(launches.back()));
    }
    if (target.repeat == 1)
        write_text(target.folder_in(options_.folder) / "command.txt", shell_text(launches.front()) + "\n");
    if (tick) tick(0);
    return run_processes(launches, logs, static_cast<double>(config_.scaling.timeout_seconds), tick, options_.stop);
}

std::vector<Record> records_of(const PlannedRun& target, const fs::path& sweep) {
    const std::vector<fs::path> outs = target.outs_in(sweep);
    std::vector<Record> records;
    for (size_t copy = 0; copy < outs.size(); ++copy) {
        const fs::path file = outs[copy] / "records.jsonl";
        std::vector<Record> found = read_records(file);
        if (found.size() != 1) throw Error(fmt::format("{} records instead of one", found.size()), file.string());
        Record& record = records.emplace_back(std::move(found.front()));
        record.run_id = sweep.filename().string();
        record.rep = target.repeat;
        record.params["point"] = target.probe != nullptr ? target.probe->row : target.point->id();
        record.params["stage"] = target.trained().stage;
        if (target.probe == nullptr) continue;
        record.kind = "probe";
        record.params["probe"] = target.probe->id;
        record.params["copy"] = copy;
        record.params["copies"] = outs.size();
    }
    return records;
}

std::string speed_text(const Record& record, double seconds) {
    return record.params.value("emulated", false)
               ? "emulated"
               : fmt::format("{:.0f} images/s in {}", record.value, duration_text(seconds));
}

std::vector<std::string> train_command(const Config& config, const Point& point, const SweepOptions& options,
                                       const fs::path& out, const std::vector<std::string>& settings) {
    std::vector<std::string> command{
        options.program, "train",       "--config",  (options.folder / "config.resolved.json").string(),
        "--trainer",     point.trainer, "--threads", std::to_string(point.threads),
        "--out",         out.string()};
    if (point.stage > 0) command.insert(command.end(), {"--stage", std::to_string(point.stage)});
    if (point.device != find_setup(point.trainer).device) command.insert(command.end(), {"--device", point.device});
    if (point.global_batch != config.train.batch_size)  // weak mode
        command.insert(command.end(), {"--set", fmt::format("train.batch_size={}", point.global_batch)});
    for (const std::string& setting : settings) command.insert(command.end(), {"--set", setting});
    return command;
}

}  // namespace xbench
