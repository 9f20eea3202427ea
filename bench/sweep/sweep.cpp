// Running the schedule of a sweep.
#include "bench/sweep/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/base/environment.h"
#include "bench/sweep/planned_run.h"
#include "bench/sweep/price.h"
#include "bench/sweep/sweep_folder.h"
#include "bench/sweep/sweep_tables.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hardware.h"
#include "core/progress.h"

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
          launcher_(config, options) {
        if (!options.calibrate) calibrator_.emplace();
    }

    SweepResult run();

private:
    void prepare_folder();
    void take_over();
    PlannedRun planned(const ScheduledRun& run);
    bool is_missing(const PlannedRun& target) const;
    template <class F>
    void for_each_of(int64_t repeat, F&& work);
    template <class F>
    void for_each_left(F&& work);
    Json calibrate() { return to_json(calibrator_ ? calibrator_->measure() : options_.calibrate()); }
    void run_one(const PlannedRun& target);
    void run_block(int64_t repeat);
    int64_t blocks_made();
    void choose_blocks();
    void use_record(Point& point, const Record& record);
    void take_records(const PlannedRun& target, const RunMarks& marks);
    void take_failure(const PlannedRun& target, const std::string& failure);
    void report(const PlannedRun& target, double seconds_here, const std::string& finished = {});
    double seconds_left(const PlannedRun& target, double seconds_here);
    void say_price();
    std::string write_tables(bool finished) const;
    void say(const std::string& text) const {
        if (options_.said) options_.said(text);
    }

    const Config& config_;
    const SweepOptions& options_;
    const RunFolder folder_;
    std::vector<Point> points_;
    const RunLauncher launcher_;
    std::optional<Calibrator> calibrator_;
    Json environment_;
    std::vector<Record> records_;
    RunTimes times_ = options_.expected;
    std::set<std::pair<std::string, int64_t>> done_;  // run and repeat, by an earlier process or this one
    std::set<std::string> failed_probes_;
    int64_t blocks_ = config_.scaling.repeats;
    std::vector<ScheduledRun> block_;  // under way
    size_t at_ = 0;                    // the next of its runs
    int64_t repeat_ = 0;               // whose block it is
    int started_ = 0;
    bool interrupted_ = false;
};

void Sweep::prepare_folder() {
    if (options_.use == FolderUse::resume) check_same_sweep(options_.folder, config_);
    make_folders(options_.folder / "points");
    write_text(options_.folder / "config.resolved.json", json_text(to_json(with_absolute_paths(config_)), 2) + "\n");
    environment_ = describe_environment(options_.command_line, query_hardware());
    environment_["cpusets"] = Json::object();
    if (options_.use == FolderUse::resume) take_over();
    write_text(options_.folder / "env.json", json_text(environment_, 2) + "\n");
}

// What an earlier process has measured on this machine.
void Sweep::take_over() {
    for (Record& record : keep_measured(options_.folder)) {
        done_.emplace(run_of(record), record.rep);
        for (Point& point : points_)
            if (record.kind == "rep" && point.id() == run_of(record)) use_record(point, record);
        if (const double seconds = seconds_of(record); seconds > 0) times_.add(run_of(record), seconds);
        records_.push_back(std::move(record));
    }
}

PlannedRun Sweep::planned(const ScheduledRun& run) {
    for (const Probe& probe : options_.probes)
        if (probe.id == run.probe) return {nullptr, &probe, run.repeat};
    return {&points_[run.point], nullptr, run.repeat};
}

bool Sweep::is_missing(const PlannedRun& target) const {
    if (done_.contains({target.run(), target.repeat})) return false;
    if (target.probe != nullptr) return !failed_probes_.contains(target.probe->id);
    return target.point->runs();
}

// What a record says about its row.
void Sweep::use_record(Point& point, const Record& record) {
    if (record.counters.value("cores_shared", false) && point.status == PointStatus::ok) {
        point.status = PointStatus::oversubscribed;
        point.reason = "its ranks share cores";
    }
    environment_["cpusets"][point.id()] = record.per_rank;
}

// Makes the records that the processes have left this run's.
void Sweep::take_records(const PlannedRun& target, const RunMarks& marks) {
    std::vector<Record> records = records_of(target, options_.folder);
    for (Record& record : records) {
        record.env_id = environment_["env_id"].get<std::string>();
        record.params["order"] = static_cast<int64_t>(done_.size()) + 1;
        record.counters["process_seconds"] = marks.seconds;
        record.counters["calibration_before"] = marks.before;
        record.counters["calibration_after"] = marks.after;
    }
    if (target.point != nullptr) use_record(*target.point, records.front());
    append_records(options_.folder / "records.jsonl", records);
    done_.emplace(target.run(), target.repeat);
    for (Record& record : records) records_.push_back(std::move(record));
}

// Its other repeats are left out.
void Sweep::take_failure(const PlannedRun& target, const std::string& failure) {
    if (target.probe != nullptr) {
        failed_probes_.insert(target.probe->id);
    } else {
        target.point->status = PointStatus::failed;
        target.point->reason = failure;
    }
}

void Sweep::run_one(const PlannedRun& target) {
    ++started_;
    RunMarks marks;
    marks.before = calibrate();
    const Outcome outcome = launcher_.run(target, [&](double seconds) { report(target, seconds); });
    if (outcome.stopped) {
        interrupted_ = true;
        return;
    }
    marks.after = calibrate();
    marks.seconds = outcome.seconds;
    times_.add(target.run(), outcome.seconds);
    std::string failure = outcome.reason;
    if (failure.empty()) {
        try {
            take_records(target, marks);
        } catch (const Error& error) {
            failure = std::string("no usable record: ") + error.what();
        }
    }
    if (!failure.empty()) take_failure(target, failure);
    report(target, outcome.seconds, failure.empty() ? speed_text(records_.back(), outcome.seconds) : "failed: " + failure);
}

// Calls `work` for every run of a block, in no order.
template <class F>
void Sweep::for_each_of(int64_t repeat, F&& work) {
    for (Point& point : points_) work(PlannedRun{&point, nullptr, repeat});
    for (const Probe& probe : options_.probes) work(PlannedRun{nullptr, &probe, repeat});
}

// Calls it for every run that is still to be started.
template <class F>
void Sweep::for_each_left(F&& work) {
    const auto take = [&](const PlannedRun& target) {
        if (is_missing(target)) work(target);
    };
    for (size_t i = at_; i < block_.size(); ++i) take(planned(block_[i]));
    for (int64_t repeat = repeat_ + 1; repeat <= blocks_; ++repeat) for_each_of(repeat, take);
}

// Negative: not known yet.
double Sweep::seconds_left(const PlannedRun& now, double seconds_here) {
    const std::optional<double> here = times_.of(now.run());
    if (!here) return -1;
    double left = std::max(0.0, *here - seconds_here);
    for_each_left([&](const PlannedRun& target) { left += times_.of(target.run()).value_or(*here); });
    return left;
}

void Sweep::report(const PlannedRun& target, double seconds_here, const std::string& finished) {
    if (!options_.progress) return;
    SweepProgress progress;
    progress.done = finished.empty() ? started_ - 1 : started_;
    progress.total = started_;
    for_each_left([&](const PlannedRun&) { ++progress.total; });
    progress.text = fmt::format("{}, repeat {} of {}", target.text(), target.repeat, blocks_);
    progress.seconds_left = seconds_left(target, finished.empty() ? seconds_here : 1e30);
    if (!finished.empty())
        progress.finished = fmt::format("{:>3}/{}  {:<34} {}", started_, progress.total, progress.text, finished);
    options_.progress(progress);
}

std::string Sweep::write_tables(bool finished) const {
    return write_sweep_tables(options_.folder, config_, points_, records_, environment_, finished);
}

void Sweep::run_block(int64_t repeat) {
    block_ = schedule_block(points_, repeat, config_.scaling.seed, options_.probes);
    repeat_ = repeat;
    for (at_ = 0; at_ < block_.size();) {
        const PlannedRun target = planned(block_[at_++]);
        if (!is_missing(target)) continue;
        interrupted_ = interrupted_ || (options_.stop && options_.stop());
        if (!interrupted_) run_one(target);
        if (interrupted_) return;
        bool more = false;
        for_each_left([&](const PlannedRun&) { more = true; });
        if (more) write_tables(false);
    }
}

int64_t Sweep::blocks_made() {
    for (int64_t made = 0; made < blocks_; ++made) {
        bool missing = false;
        for_each_of(made + 1, [&](const PlannedRun& target) { missing = missing || is_missing(target); });
        if (missing) return made;
    }
    return blocks_;
}

// How many blocks the budget allows, once it is known what one takes.
void Sweep::choose_blocks() {
    const double budget_seconds = config_.scaling.budget_minutes * 60;
    if (budget_seconds <= 0) return;
    std::vector<std::string> runs;
    for_each_of(most_blocks + 1, [&](const PlannedRun& target) {
        if (is_missing(target)) runs.push_back(target.run());
    });
    const std::optional<double> block_seconds = times_.of_all(runs);
    if (!block_seconds) return;
    const int64_t allowed = blocks_in_budget(budget_seconds, times_.spent(), blocks_made(), *block_seconds);
    if (allowed == blocks_) return;
    blocks_ = allowed;
    say(fmt::format("the budget of {:g} minutes allows {} block{} of {}{}", config_.scaling.budget_minutes, blocks_,
                    blocks_ == 1 ? "" : "s", duration_text(*block_seconds), fewer_text(blocks_, config_.scaling.repeats)));
}

void Sweep::say_price() {
    int64_t runs = 0;
    std::vector<std::string> left;
    for_each_left([&](const PlannedRun& target) { left.push_back(target.run()), ++runs; });
    if (runs > 0)
        say(fmt::format("{} (order by seed {})", price_text(runs, blocks_, times_.of_all(left)), config_.scaling.seed));
}

SweepResult Sweep::run() {
    prepare_folder();
    choose_blocks();
    say_price();
    for (int64_t repeat = 1; repeat <= blocks_ && !interrupted_; ++repeat) {
        run_block(repeat);
        if (!interrupted_) choose_blocks();
    }
    SweepResult result;
    result.markdown = write_tables(!interrupted_);
    result.interrupted = interrupted_;
    result.ran = started_ - (interrupted_ ? 1 : 0);
    result.failed = static_cast<int>(std::count_if(points_.begin(), points_.end(),
                                                   [](const Point& point) { return point.status == PointStatus::failed; }));
    return result;
}

}  // namespace

SweepResult run_sweep(const Config& config, const SweepOptions& options) {
    if (config.sweep.empty()) throw UsageError("no rows to run", "/sweep", "add {\"trainer\": \"serial\"} to \"sweep\"");
    if (config.train.probe != "none")
        throw UsageError("the rows of a sweep are trainings, not runs for their times alone", "/train/probe",
                         "leave it out");
    return Sweep(config, options).run();
}

}  // namespace xbench
