// Points come from the summaries of a sweep that has ended, else from the configuration.
#include "bench/sweep/run_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <set>

#include "core/config_versions.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_member.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

int count_in(const Json& object, const char* key, int otherwise) {
    return static_cast<int>(number_in(object, key).value_or(otherwise));
}

Point point_of(const Json& params) {
    Point point;
    point.trainer = text_in(params, "trainer", "serial");
    point.device = text_in(params, "device", "cpu");
    point.ranks = count_in(params, "ranks", 1);
    point.threads = count_in(params, "threads", 1);
    point.stage = count_in(params, "stage", 0);
    point.global_batch = count_in(params, "global_batch", 0);
    return point;
}

std::vector<Point> summarised_points(const std::vector<Record>& records) {
    std::vector<Point> points;
    for (const Record& record : records) {
        if (record.kind != "summary" || record.bench != "scaling") continue;
        Point point = point_of(record.params);
        point.status = status_from(text_in(record.counters, "status", "ok"));
        point.reason = text_in(record.counters, "reason", "");
        points.push_back(std::move(point));
    }
    return points;
}

// All rows of the configuration, wherever they ran, and the rows that only records know.
std::vector<Point> planned_points(const Config& config, const std::vector<Record>& reps) {
    SweepLimits limits;
    limits.cores = limits.gpus = 1 << 20;
    std::vector<Point> points = expand_points(config, limits);
    std::set<std::string> known, measured;
    for (const Point& point : points) known.insert(point.id());
    for (const Record& record : reps) {
        const Point point = point_of(record.params);
        measured.insert(point.id());
        if (known.insert(point.id()).second) points.push_back(point);
    }
    for (Point& point : points) {
        if (measured.contains(point.id())) {
            point.status = PointStatus::ok;
            point.reason.clear();
        } else if (point.status != PointStatus::not_run) {
            point.status = PointStatus::not_run;
            point.reason = "has not run yet";
        }
    }
    return points;
}

void mark_shared_cores(std::vector<Point>& points, const std::vector<Record>& reps) {
    std::set<std::string> shared;
    for (const Record& record : reps)
        if (record.counters.value("cores_shared", false)) shared.insert(text_in(record.params, "point", ""));
    for (Point& point : points)
        if (point.status == PointStatus::ok && shared.contains(point.id())) {
            point.status = PointStatus::oversubscribed;
            point.reason = "its ranks share cores";
        }
}

void keep_only(Json& object, std::initializer_list<const char*> keys, bool (Json::*is)() const noexcept) {
    for (const char* key : keys)
        if (const auto found = object.find(key); found != object.end() && !((*found).*is)()) object.erase(found);
}

Config config_in(const fs::path& folder) {
    const fs::path file = folder / "config.resolved.json";
    if (!path_exists(file))
        throw UsageError("is no run: there is no config.resolved.json", folder.string(),
                         "name a folder that a run has left");
    return load_run_config(folder);
}

// That of its records, which goes with the folder wherever it is copied.
std::string run_id_of(const std::vector<Record>& records) { return records.empty() ? "" : records.front().run_id; }

// Of the repeats and the probes in one list, which is no copy: there may be gigabytes of step times.
ScalingTable table_of(RunFiles& run, std::optional<double> target_accuracy) {
    const auto repeats = static_cast<std::ptrdiff_t>(run.records.size());
    std::vector<Record> measured = std::move(run.records);
    std::move(run.probes.begin(), run.probes.end(), std::back_inserter(measured));
    ScalingTable table = make_scaling_table(run.config, run.points, measured, target_accuracy);
    run.probes.assign(std::make_move_iterator(measured.begin() + repeats), std::make_move_iterator(measured.end()));
    measured.resize(static_cast<size_t>(repeats));
    run.records = std::move(measured);
    return table;
}

}  // namespace

Json environment_in(const fs::path& folder) {
    const auto text = file_text(folder / "env.json");
    auto json = text ? parse_json(*text) : std::nullopt;
    if (!json || !json->is_object()) return Json::object();
    keep_only(*json, {"time_utc", "env_id"}, &Json::is_string);
    keep_only(*json, {"build", "machine"}, &Json::is_object);
    keep_only(*json, {"command_line"}, &Json::is_array);
    if (auto build = json->find("build"); build != json->end()) {
        keep_only(*build, {"version", "commit", "compiler", "flags"}, &Json::is_string);
        keep_only(*build, {"dirty"}, &Json::is_boolean);
    }
    if (auto machine = json->find("machine"); machine != json->end()) {
        keep_only(*machine, {"host", "cpu", "kernel", "governor"}, &Json::is_string);
        keep_only(*machine, {"cores", "allowed_cores", "hardware_threads", "memory_bytes"}, &Json::is_number);
        keep_only(*machine, {"gpus"}, &Json::is_array);
    }
    return *json;
}

RunFiles read_run(const fs::path& folder, std::optional<double> target_accuracy) {
    if (!is_folder(folder)) throw UsageError("is no folder", folder.string(), "name a folder that a run has left");
    RunFiles run;
    run.folder = folder;
    run.name = absolute_path(folder).filename().string();
    run.config = config_in(folder);
    run.environment = environment_in(folder);
    std::vector<Record> all;
    if (path_exists(folder / "records.jsonl")) all = read_records(folder / "records.jsonl");
    run.points = summarised_points(all);
    for (Record& record : all) {
        if (record.kind == "probe") {
            run.probes.push_back(std::move(record));
            continue;
        }
        if (record.kind != "rep") continue;
        if (!record.params.contains("point")) record.params["point"] = point_of(record.params).id();  // a training alone
        run.records.push_back(std::move(record));
    }
    run.run_id = run_id_of(run.records);
    run.complete = !run.points.empty() || run.config.sweep.empty();
    if (run.points.empty()) run.points = planned_points(run.config, run.records);
    mark_shared_cores(run.points, run.records);
    run.table = table_of(run, target_accuracy);
    run.table.machine = machine_line(run.environment);
    if (!run.complete)
        run.table.notes.insert(run.table.notes.begin(),
                               "**The sweep is still running, or was stopped: this table is not complete.**");
    return run;
}

std::string machine_line(const Json& environment) {
    const Json machine = environment.value("machine", Json::object()), build = environment.value("build", Json::object());
    if (machine.empty()) return "not recorded";
    return fmt::format("{}, {} cores allowed of {}, governor {}, {}; environment {}", text_in(machine, "cpu", "?"),
                       count_in(machine, "allowed_cores", 0), count_in(machine, "cores", 0),
                       text_in(machine, "governor", "?"), text_in(build, "compiler", "?"),
                       text_in(environment, "env_id", "?"));
}

std::string machine_key(const Json& environment) {
    const Json machine = environment.value("machine", Json::object());
    if (machine.empty()) return "";
    const auto memory = machine.find("memory_bytes");
    std::string key = fmt::format("{}, {}, {} cores, {:.0f} GiB", text_in(machine, "host", "?"),
                                  text_in(machine, "cpu", "?"), count_in(machine, "cores", 0),
                                  memory != machine.end() && memory->is_number() ? memory->get<double>() / (1 << 30) : 0.0);
    for (const Json& gpu : machine.value("gpus", Json::array()))
        if (gpu.is_object()) key += ", " + text_in(gpu, "name", "?");
    return key;
}

}  // namespace xbench
