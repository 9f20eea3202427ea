// A run folder, read again: what a sweep or a training has left there, from its records alone. Interrupted sweeps have no
// summaries; their rows are those of the configuration, and what has no record has not run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/sweep/scaling_table.h"

namespace xbench {

struct RunFiles {
    std::filesystem::path folder;
    std::string name;    // that of its folder
    std::string run_id;  // that of its records; "" where they have none
    Config config;
    Json environment = Json::object();  // env.json; empty where there is none
    std::vector<Record> records;        // of kind rep
    std::vector<Record> probes;         // of kind probe: what explains rows, never a result
    std::vector<Point> points;
    ScalingTable table;
    bool complete = true;  // the sweep has ended
};

// Throws UsageError where the folder holds no run. `target_accuracy`: of validation, that times to accuracy are told for.
RunFiles read_run(const std::filesystem::path& folder, std::optional<double> target_accuracy = {});
// env.json, or an empty object. What readers take from it has the type that they expect, or is not there: the file may be
// another version's.
Json environment_in(const std::filesystem::path& folder);

// "AMD EPYC, 2 cores allowed of 2, governor ..., GNU 12.2.0; environment 75f2900d73dbeead"
std::string machine_line(const Json& environment);
// What must be equal for times of two runs to be compared: host, processor, cores, memory in GiB, GPUs. "" where it is not
// known.
std::string machine_key(const Json& environment);

}  // namespace xbench
