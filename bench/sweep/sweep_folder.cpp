// What a resumed sweep finds.
#include "bench/sweep/sweep_folder.h"

#include <map>
#include <set>
#include <tuple>

#include "bench/base/run_folder.h"
#include "core/config_versions.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_member.h"
#include "parallel/checkpoint/training_state.h"

namespace xbench {

namespace fs = std::filesystem;

void check_same_sweep(const fs::path& folder, const Config& config) {
    const fs::path saved = folder / "config.resolved.json";
    if (!path_exists(saved))
        throw UsageError("nothing to resume: there is no config.resolved.json", folder.string(),
                         "name the folder of a sweep with --out, or leave --resume out");
    const auto kept = [](const Config& of) {
        Json json = to_json(with_absolute_paths(of));
        for (const char* key : {"name", "sweep", "output"}) json.erase(key);
        for (const char* key : {"repeats", "budget_minutes", "launcher", "oversubscribe", "timeout_seconds", "factors"})
            json["scaling"].erase(key);
        return json;
    };
    check_same_run(kept(load_run_config(folder)), kept(config), "the sweep in " + folder.string());
}

std::string run_of(const Record& record) {
    return record.kind == "probe" ? run_of_probe(text_in(record.params, "probe"))
                                  : run_of_point(text_in(record.params, "point"));
}

double seconds_of(const Record& record) {
    const bool is_a_copy = integer_in(record.params, "copy").value_or(0) != 0;  // they ran at once
    return is_a_copy ? 0 : number_in(record.counters, "process_seconds").value_or(0);
}

std::vector<Record> keep_measured(const fs::path& folder) {
    const fs::path file = folder / "records.jsonl";
    if (!path_exists(file)) return {};
    std::map<std::pair<std::string, int64_t>, int64_t> copies_left;  // of each run; 0: all there
    std::set<std::tuple<std::string, int64_t, int64_t>> seen;
    std::vector<Record> found, measured;
    for (Record& record : read_records(file)) {
        if (record.kind != "rep" && record.kind != "probe") continue;
        const std::string run = run_of(record);
        if (!seen.emplace(run, record.rep, integer_in(record.params, "copy").value_or(0)).second) continue;
        copies_left.emplace(std::pair(run, record.rep), integer_in(record.params, "copies").value_or(1)).first->second -= 1;
        found.push_back(std::move(record));
    }
    std::string kept;
    for (Record& record : found) {
        if (copies_left.at({run_of(record), record.rep}) > 0) continue;
        kept += json_text(to_json(record)) + "\n";
        measured.push_back(std::move(record));
    }
    write_text(file, kept);
    return measured;
}

}  // namespace xbench
