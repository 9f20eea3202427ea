// The files that show a sweep, written after each of its runs: scaling.csv, scaling.md and env.json.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "bench/base/record.h"
#include "bench/sweep/points.h"
#include "core/config.h"

namespace xbench {

// Returns scaling.md. A finished sweep gets the summaries of its rows in records.jsonl, too.
std::string write_sweep_tables(const std::filesystem::path& folder, const Config& config, std::span<const Point> points,
                               std::span<const Record> records, const Json& environment, bool finished);

}  // namespace xbench
