// The run folder of a sweep, when an earlier process has worked in it.
#pragma once

#include <filesystem>
#include <vector>

#include "bench/base/record.h"
#include "bench/sweep/schedule.h"
#include "core/config.h"

namespace xbench {

// Rows and repeats may be added; what every record depends on, and the order of the runs, may not change. Throws UsageError.
void check_same_sweep(const std::filesystem::path& folder, const Config& config);

// Which run of a schedule a record is of: that of its point, or of its probe.
std::string run_of(const Record& record);
inline std::string run_of_point(const std::string& id) { return id; }
inline std::string run_of_probe(const std::string& id) { return "probe " + id; }

// That a run has taken, as one of its records says; 0 where none does, and of all its copies' records but the first.
double seconds_of(const Record& record);

// What has been measured: repeats and probes, each once; no summaries, no torn last line, and no probe whose copies are not
// all there. The file is written again without these.
std::vector<Record> keep_measured(const std::filesystem::path& folder);

}  // namespace xbench
