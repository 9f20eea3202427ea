// Running the points of a sweep.
#include "bench/sweep/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "bench/base/environment.h"
#include "bench/sweep/run_files.h"
#include "bench/sweep/scaling_table.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hardware.h"
#include "core/hash.h"
#include "core/progress.h"
#include "parallel/checkpoint/training_state.h"
#include "parallel/comm/setups.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

// A sweep under way.
class Sweep {
public:
    Sweep(const Config& config, const SweepOptions& options)
        : config_(config),
          options_(options),
          folder_(options.folder, options.use),
          points_(expand_points(config, options.limits ? *options.limits : limits_here(config))),
          launcher_(choose_launcher(config.scaling.launcher).launcher) {}

    SweepResult run();

private:
    void prepare_folder();
    void check_same_sweep() const;
    void take_over();
    bool is_missing(const Point& point, int64_t repeat) const;
    void run_repeat(Point& point, int64_t repeat);
    void run_missing();
    void use_record(Point& point, const Record& record);
    Launch launch_of(const Point& point, const fs::path& out) const;
    void take_record(Point& point, int64_t repeat, const fs::path& out);
    void report(const Point& point, int64_t repeat, double seconds_here, const std::string& finished = {});
    double seconds_left(const Point& point, int64_t repeat, double seconds_here) const;
    std::string write_tables(bool finished);

    const Config& config_;
    const SweepOptions& options_;
    const RunFolder folder_;
    std::vector<Point> points_;
    Launcher launcher_;
    const std::string srun_mpi_ = launcher_ == Launcher::srun ? srun_mpi_here() : "";
    Json environment_;
    std::vector<Record> records_;
    std::map<std::string, std::vector<double>> seconds_;  // of each repeat that ran, by point
    std::set<std::pair<std::string, int64_t>> done_;      // point and repeat, by an earlier process
    int started_ = 0, planned_ = 0;
    bool interrupted_ = false;
};

void Sweep::prepare_folder() {
    if (options_.use == FolderUse::resume) check_same_sweep();
    make_folders(options_.folder / "points");
    write_text(options_.folder / "config.resolved.json", json_text(to_json(with_absolute_paths(config_)), 2) + "\n");
    environment_ = describe_environment(options_.command_line, query_hardware());
    environment_["cpusets"] = Json::object();
    if (options_.use == FolderUse::resume) take_over();
    write_text(options_.folder / "env.json", json_text(environment_, 2) + "\n");
}

// Rows and repeats may be added; what every record depends on may not change.
void Sweep::check_same_sweep() const {
    const fs::path saved = options_.folder / "config.resolved.json";
    if (!path_exists(saved))
        throw UsageError("nothing to resume: there is no config.resolved.json", options_.folder.string(),
                         "name the folder of a sweep with --out, or leave --resume out");
    const auto kept = [](const Config& config) {
        Json json = to_json(with_absolute_paths(config));
        for (const char* key : {"name", "sweep", "output"}) json.erase(key);
        for (const char* key : {"repeats", "launcher", "oversubscribe", "timeout_seconds"}) json["scaling"].erase(key);
        return json;
    };
    check_same_run(kept(load_config(saved.string())), kept(config_), "the sweep in " + options_.folder.string());
}

// What an earlier process has measured on this machine. Its summaries and a torn last line are dropped.
void Sweep::take_over() {
    const fs::path file = options_.folder / "records.jsonl";
    if (!path_exists(file)) return;
    std::string kept;
    for (Record& record : read_records(file)) {
        const std::string id = record.params.value("point", "");
        if (record.kind != "rep" || !done_.emplace(id, record.rep).second) continue;
        kept += json_text(to_json(record)) + "\n";
        for (Point& point : points_)
            if (point.id() == id) use_record(point, record);
        records_.push_back(std::move(record));
    }
    write_text(file, kept);
}

bool Sweep::is_missing(const Point& point, int64_t repeat) const {
    const bool runs = point.status == PointStatus::ok || point.status == PointStatus::oversubscribed;
    return runs && !done_.contains({point.id(), repeat});
}

// What a record says about its row.
void Sweep::use_record(Point& point, const Record& record) {
    if (record.counters.value("cores_shared", false) && point.status == PointStatus::ok) {
        point.status = PointStatus::oversubscribed;
        point.reason = "its ranks share cores";
    }
    environment_["cpusets"][point.id()] = record.per_rank;
}

Launch Sweep::launch_of(const Point& point, const fs::path& out) const {
    LaunchRequest request;
    request.needs_launcher = needs_launcher(point);
    request.ranks = point.ranks;
    request.threads = point.threads;
    request.oversubscribe = point.status == PointStatus::oversubscribed;
    request.srun_mpi = srun_mpi_;
    request.program = train_command(config_, point, options_, out);
    return make_launch(request, launcher_);
}

// Reads the raw record that the child has left and makes it this run's.
void Sweep::take_record(Point& point, int64_t repeat, const fs::path& out) {
    const std::vector<Record> found = read_records(out / "records.jsonl");
    if (found.size() != 1)
        throw Error(fmt::format("{} records instead of one", found.size()), (out / "records.jsonl").string());
    Record record = found.front();
    record.run_id = options_.folder.filename().string();
    record.rep = repeat;
    record.env_id = environment_["env_id"].get<std::string>();
    record.params["point"] = point.id();
    record.params["stage"] = point.stage;
    use_record(point, record);
    append_records(options_.folder / "records.jsonl", std::span(&record, 1));
    records_.push_back(std::move(record));
}

// No time of an emulated GPU is shown, here neither.
std::string speed_text(const Record& record, double seconds) {
    return record.params.value("emulated", false)
               ? "emulated"
               : fmt::format("{:.0f} images/s in {}", record.value, duration_text(seconds));
}

void Sweep::run_repeat(Point& point, int64_t repeat) {
    ++started_;
    const fs::path folder = options_.folder / "points" / point.id(), out = folder / fmt::format("rep{}", repeat);
    if (options_.use == FolderUse::resume) remove_tree(out);  // what was under way when the sweep ended
    make_folders(out);
    const Launch launch = launch_of(point, out);
    if (repeat == 1) write_text(folder / "command.txt", shell_text(launch) + "\n");
    if (options_.launched) options_.launched(shell_text(launch));
    report(point, repeat, 0);
    const Outcome outcome = run_process(
        launch, folder / fmt::format("rep{}.log", repeat), static_cast<double>(config_.scaling.timeout_seconds),
        [&](double seconds) { report(point, repeat, seconds); }, options_.stop);
    if (outcome.stopped) {
        interrupted_ = true;
        return;
    }
    seconds_[point.id()].push_back(outcome.seconds);
    std::string failure = outcome.reason;
    if (failure.empty()) {
        try {
            take_record(point, repeat, out);
        } catch (const Error& error) {
            failure = std::string("no usable record: ") + error.what();
        }
    }
    if (!failure.empty()) {  // its other repeats are left out
        planned_ -= static_cast<int>(config_.scaling.repeats - repeat);
        point.status = PointStatus::failed;
        point.reason = failure;
    }
    report(point, repeat, outcome.seconds,
           failure.empty() ? speed_text(records_.back(), outcome.seconds) : "failed: " + failure);
}

double Sweep::seconds_left(const Point& now, int64_t repeat, double seconds_here) const {
    double known = 0;
    int64_t count = 0;
    for (const auto& [id, seconds] : seconds_) {
        known += std::accumulate(seconds.begin(), seconds.end(), 0.0);
        count += static_cast<int64_t>(seconds.size());
    }
    if (count == 0) return -1;
    double left = 0;
    bool after = false;  // points behind `now` still miss this repeat
    for (const Point& point : points_) {
        const bool here = &point == &now;
        if (point.status != PointStatus::ok && point.status != PointStatus::oversubscribed) {
            after = after || here;
            continue;
        }
        const auto seen = seconds_.find(point.id());
        const double each = seen == seconds_.end() ? known / static_cast<double>(count)
                                                   : std::accumulate(seen->second.begin(), seen->second.end(), 0.0) /
                                                         static_cast<double>(seen->second.size());
        const int64_t missing = config_.scaling.repeats - repeat + (after ? 1 : 0);
        left += each * static_cast<double>(missing) + (here ? std::max(0.0, each - seconds_here) : 0);
        after = after || here;
    }
    return left;
}

void Sweep::report(const Point& point, int64_t repeat, double seconds_here, const std::string& finished) {
    if (!options_.progress) return;
    SweepProgress progress;
    progress.done = finished.empty() ? started_ - 1 : started_;
    progress.total = planned_;
    progress.text = fmt::format("{} {} x {}, repeat {} of {}", point.trainer, point.ranks, point.threads, repeat,
                                config_.scaling.repeats);
    progress.seconds_left = seconds_left(point, repeat, finished.empty() ? seconds_here : 1e30);
    if (!finished.empty())
        progress.finished = fmt::format("{:>3}/{}  {:<34} {}", started_, planned_, progress.text, finished);
    options_.progress(progress);
}

std::string Sweep::write_tables(bool finished) {
    ScalingTable table = make_scaling_table(config_, points_, records_);
    const std::string env_id = environment_["env_id"].get<std::string>();
    table.machine = machine_line(environment_);
    if (!finished)
        table.notes.insert(table.notes.begin(),
                           "**The sweep is still running, or was stopped: this table is not complete.**");
    const std::string markdown = scaling_markdown(table);
    write_text(options_.folder / "scaling.csv", scaling_csv(table));
    write_text(options_.folder / "scaling.md", markdown);
    write_text(options_.folder / "env.json", json_text(environment_, 2) + "\n");
    if (!finished) return markdown;
    std::vector<Record> summaries = summary_records(table);
    for (Record& record : summaries) {
        record.run_id = options_.folder.filename().string();
        record.env_id = env_id;
        record.config_sha = hash_hex(json_text(to_json(config_)));
    }
    append_records(options_.folder / "records.jsonl", summaries);
    return markdown;
}

// Repeat 1 of all points, then repeat 2: a slow drift of the machine then meets all points alike.
void Sweep::run_missing() {
    for (int64_t repeat = 1; repeat <= config_.scaling.repeats; ++repeat)
        for (Point& point : points_) {
            if (!is_missing(point, repeat)) continue;
            interrupted_ = interrupted_ || (options_.stop && options_.stop());
            if (!interrupted_) run_repeat(point, repeat);
            if (interrupted_) return;
            if (started_ < planned_) write_tables(false);
        }
}

SweepResult Sweep::run() {
    prepare_folder();
    for (const Point& point : points_)
        for (int64_t repeat = 1; repeat <= config_.scaling.repeats; ++repeat) planned_ += is_missing(point, repeat) ? 1 : 0;
    run_missing();
    SweepResult result;
    result.markdown = write_tables(!interrupted_);
    result.interrupted = interrupted_;
    result.ran = started_ - (interrupted_ ? 1 : 0);
    result.failed = static_cast<int>(std::count_if(points_.begin(), points_.end(),
                                                   [](const Point& point) { return point.status == PointStatus::failed; }));
    return result;
}

}  // namespace

std::vector<std::string> train_command(const Config& config, const Point& point, const SweepOptions& options,
                                       const fs::path& out) {
    std::vector<std::string> command{
        options.program, "train",       "--config",  (options.folder / "config.resolved.json").string(),
        "--trainer",     point.trainer, "--threads", std::to_string(point.threads),
        "--out",         out.string()};
    if (point.stage > 0) command.insert(command.end(), {"--stage", std::to_string(point.stage)});
    if (point.device != find_setup(point.trainer).device) command.insert(command.end(), {"--device", point.device});
    if (point.global_batch != config.train.batch_size)  // weak mode
        command.insert(command.end(), {"--set", fmt::format("train.batch_size={}", point.global_batch)});
    return command;
}

SweepResult run_sweep(const Config& config, const SweepOptions& options) {
    if (config.sweep.empty()) throw UsageError("no rows to run", "/sweep", "add {\"trainer\": \"serial\"} to \"sweep\"");
    return Sweep(config, options).run();
}

}  // namespace xbench
