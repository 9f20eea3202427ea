// `xbench.record/1`: one JSON line for each repetition, raw first. Tables and reports are made from records alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"

namespace xbench {

inline constexpr const char* record_schema = "xbench.record/1";

struct Record {
    std::string run_id;
    std::string kind = "rep";      // rep | summary | event
    std::string bench;             // "train", "scaling"
    Json params = Json::object();  // what was run: model, trainer, ranks, threads ...
    int64_t rep = 0;               // from 1; 0 for a summary
    std::string unit;              // of value: "images/s"
    double value = 0;
    std::vector<int64_t> samples_ns;  // each timed step
    Json per_rank = Json::array();    // host, cpuset, binding of each rank
    bool steady = true;               // the last quarter of the samples is within 10% of the first
    bool check_ok = true;             // the result was verified, or has nothing to verify
    std::optional<double> max_rel_err;
    Json counters = Json::object();  // everything else that was counted or computed
    std::optional<double> energy_j;
    std::string energy_why;  // why there is no energy_j
    std::string env_id, config_sha, data_sha, weights_hash;
};

Json to_json(const Record& record);
Record record_from(const Json& json);  // throws Error naming the missing or mistyped key

// One write for each record, flushed to the disk, so that a killed run keeps what it has measured. A torn last line of an
// earlier kill is closed first.
void append_records(const std::filesystem::path& file, std::span<const Record> records);
// Skips a torn last line; throws Error with the line number for any other broken line.
std::vector<Record> read_records(const std::filesystem::path& file);

// Writes a text file whole or not at all (core/durable_file.h).
void write_text(const std::filesystem::path& file, const std::string& text);

}  // namespace xbench
