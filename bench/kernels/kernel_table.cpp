// Columns, units and geometric means.
#include "bench/kernels/kernel_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "bench/base/text_table.h"

namespace xbench {
namespace {

std::string bytes_text(int64_t bytes) {
    return bytes >= (int64_t{1} << 20) ? fmt::format("{} MiB", bytes >> 20) : fmt::format("{} KiB", bytes >> 10);
}

std::string percent(double share) { return fmt::format("{:.0f}%", 100 * share); }

std::string time_text(double microseconds) {
    return fmt::format("{:.{}f}", microseconds, microseconds < 10 ? 3 : microseconds < 1000 ? 1 : 0);
}

// Half of the interval's width over its median.
std::string spread(const Interval& interval) {
    return interval.median > 0 ? fmt::format("{:.1f}%", 50 * (interval.high - interval.low) / interval.median) : "";
}

// "2.31", or "12.4 (growth 6)" for an algorithm whose errors are larger than those of a plain sum.
std::string error_text(const KernelMeasurement& row) {
    if (row.error_eps < 0) return "-";
    const std::string text = fmt::format("{:.2f}", row.error_eps);
    return row.error_growth == 1 ? text : text + fmt::format(" (growth {:g})", row.error_growth);
}

std::vector<std::string> cells_of(const KernelMeasurement& row, bool with_peer) {
    const bool timed = row.microseconds.median > 0;
    std::vector<std::string> cells{row.name, fmt::format("{} ({})", row.kernel, row.isa)};
    if (timed) {
        cells.insert(cells.end(),
                     {time_text(row.microseconds.median), spread(row.microseconds),
                      row.work.flops > 0 ? fmt::format("{:.1f}", row.gflops) : "-",
                      row.share_of_peak > 0 ? percent(row.share_of_peak) : "-", fmt::format("{:.1f}", row.gbytes_per_second),
                      percent(row.share_of_copy), fmt::format("{} {}", row.copy.level, bytes_text(row.copy.bytes)),
                      row.bound_by_arithmetic ? "FMA" : row.copy.level, percent(row.share_of_bound), error_text(row)});
        if (with_peer) {
            cells.push_back(row.peer_ratio > 0 ? time_text(row.peer_microseconds) : "-");
            cells.push_back(row.peer_ratio > 0 ? fmt::format("{:.2f}", row.peer_ratio) : "-");
            cells.push_back(row.peer_ratio > 0 ? fmt::format("{:.2f}", row.peer_step_ratio) : "-");
            cells.push_back(row.peer_ratio > 0 ? row.peer_implementation : "-");
        }
    } else {
        cells.resize(11, "-");
        cells.push_back(error_text(row));
        if (with_peer) cells.resize(16, "-");
    }
    cells.push_back(row.failure);
    return cells;
}

struct Mean {  // geometric
    double logarithms = 0;
    int count = 0;
    void add(double value) {
        if (value <= 0) return;
        logarithms += std::log(value);
        ++count;
    }
    double value() const { return count > 0 ? std::exp(logarithms / count) : 0; }
};

struct OperatorSummary {
    std::string op;
    int rows = 0, failed = 0;
    Mean peak, bound, peer, peer_step;
    double worst_error = -1;  // negative: not compared
};

std::vector<OperatorSummary> summaries(const KernelReport& report) {
    std::vector<OperatorSummary> all;
    for (const KernelMeasurement& row : report.rows) {
        auto found = std::find_if(all.begin(), all.end(), [&](const OperatorSummary& s) { return s.op == row.op; });
        if (found == all.end()) {
            all.push_back({});
            all.back().op = row.op;
            found = std::prev(all.end());
        }
        ++found->rows;
        found->failed += row.failure.empty() ? 0 : 1;
        found->peak.add(row.share_of_peak);
        found->bound.add(row.share_of_bound);
        found->peer.add(row.peer_ratio);
        found->peer_step.add(row.peer_step_ratio);
        found->worst_error = std::max(found->worst_error, row.error_eps);
    }
    return all;
}

std::string machine_text(const KernelReport& report, const Hardware& hardware, const Json& build) {
    std::string caches;
    for (const CacheLevel& cache : hardware.data_caches)
        caches +=
            fmt::format("{}L{} {} x {}", caches.empty() ? "" : ", ", cache.level, cache.count, bytes_text(cache.bytes));
    const std::vector<TextColumn> columns{{"what", false}, {"value", false}};
    return markdown_table(
        columns,
        {{"time", report.time_utc},
         {"processor",
          fmt::format("{}, {} cores allowed of {}", hardware.cpu_model, hardware.allowed_cores, hardware.cores)},
         {"data caches", caches},
         {"instruction set", report.isa},
         {"threads", std::to_string(report.threads)},
         {"FMA peak, measured",
          fmt::format("{:.1f} GFLOP/s before, {:.1f} after the suite", report.peak_gflops, report.peak_gflops_at_end)},
         {"copy from memory, measured", fmt::format("{:.1f} GB/s read plus written ({})", report.memory.gbytes_per_second,
                                                    bytes_text(report.memory.bytes))},
         {"repetitions", std::to_string(report.repetitions)},
         {"load average", fmt::format("{:.2f} at the start", hardware.load_average)},
         {"build", fmt::format("{}{}, {}, {} {}", build["commit"].get<std::string>().substr(0, 12),
                               build["dirty"] == true ? " and changes" : "", build["compiler"].get<std::string>(),
                               build["build_type"].get<std::string>(), build["flags"].get<std::string>())},
         {"peer", report.peer.empty() ? "none in this build" : report.peer}});
}

}  // namespace

std::string kernel_table_text(const KernelReport& report) {
    std::vector<TextColumn> columns{{"problem", false}, {"kernel", false}, {"us"},       {"spread"},
                                    {"GFLOP/s"},        {"of peak"},       {"GB/s"},     {"of copy"},
                                    {"copy", false},    {"bound", false},  {"of bound"}, {"error, eps"}};
    if (!report.peer.empty()) {
        columns.push_back({"peer us"});
        columns.push_back({"peer / ours"});
        columns.push_back({"with reorder"});
        columns.push_back({"peer", false});
    }
    columns.push_back({"remark", false});
    std::vector<std::vector<std::string>> rows;
    for (const KernelMeasurement& row : report.rows) rows.push_back(cells_of(row, !report.peer.empty()));
    return markdown_table(columns, rows);
}

std::string kernel_summary_text(const KernelReport& report) {
    std::vector<TextColumn> columns{{"operator", false}, {"rows"},     {"failed"},
                                    {"of peak"},         {"of bound"}, {"worst error, eps"}};
    if (!report.peer.empty()) columns.insert(columns.end(), {{"peer / ours"}, {"with reorder"}});
    std::vector<std::vector<std::string>> rows;
    for (const OperatorSummary& s : summaries(report)) {
        rows.push_back({s.op, std::to_string(s.rows), std::to_string(s.failed), s.peak.count ? percent(s.peak.value()) : "-",
                        s.bound.count ? percent(s.bound.value()) : "-",
                        s.worst_error < 0 ? "-" : fmt::format("{:.2f}", s.worst_error)});
        if (!report.peer.empty())
            for (const Mean& mean : {s.peer, s.peer_step})
                rows.back().push_back(mean.count ? fmt::format("{:.2f}", mean.value()) : "-");
    }
    return markdown_table(columns, rows);
}

std::string kernel_passport(const KernelReport& report, const Hardware& hardware, const Json& build,
                            const std::string& command_line) {
    std::string text = "# Kernel passport\n\n`" + command_line + "`; how to read it: docs/benchmarking.md\n\n";
    text += machine_text(report, hardware, build);
    text += "\n## Operators (geometric means over rows)\n\n" + kernel_summary_text(report);
    text += "\n## Kernels\n\n" + kernel_table_text(report);
    if (report.left_out > 0)
        text += fmt::format(
            "\n{} calls are left out: layouts in which the layer has no kernel but the reference, or that no plan gives "
            "it.\n",
            report.left_out);
    return text;
}

}  // namespace xbench
