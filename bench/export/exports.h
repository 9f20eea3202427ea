// A run in the formats of other tools, each from its records alone, so that they can be read by what a site already has.
// Rows on an emulated GPU have no times and are left out everywhere.
#pragma once

#include <string>
#include <vector>

#include "bench/sweep/run_files.h"

namespace xbench {

// Google Benchmark's JSON, one entry a repetition, in microseconds (its compare.py prints whole numbers).
std::string google_benchmark_json(const RunFiles& run);
// MLPerf's logging lines of one training run (the fastest row's first repeat). No MLPerf result: the benchmark is none of
// theirs.
std::string mllog_lines(const RunFiles& run);
// Extra-P's text format and its JSON Lines: seconds, and core-seconds (p x T), of one region for each family of rows. Its
// default hypotheses have no negative exponents: model core-seconds, or allow them.
std::string extrap_text(const RunFiles& run);
std::string extrap_json_lines(const RunFiles& run);
// DLB TALP's JSON of one row: useful time is the time outside of waiting for communication.
std::string talp_json(const RunFiles& run, const ScalingRow& row);
std::string open_metrics(const RunFiles& run);
// One line a repetition: run,point,trainer,device,ranks,threads,stage,global_batch,rep,images_per_second,step_ms,...
std::string records_csv(const RunFiles& run);

// The formats by name, for the command line. `talp` gives one file for each row.
struct ExportedFile {
    std::string name, text;
};
std::vector<std::string> export_formats();
// Throws UsageError for another format, and where the run has nothing that was timed.
std::vector<ExportedFile> export_run(const RunFiles& run, const std::string& format);

}  // namespace xbench
