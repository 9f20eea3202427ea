// Where a row's efficiency went: T_S / (N T_N) = granularity x threads x contention x code x load balance x jitter x
// serialisation x transfer x loader, exactly (docs/factors.md). Each factor is the ratio of two times that were measured in
// the same sweep; most of them are those of probe runs (bench/efficiency/chain.h). Times are milliseconds of one step of the
// row.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/base/point.h"
#include "bench/base/record.h"
#include "core/config.h"

namespace xbench {

inline constexpr std::array factor_names{"granularity", "threads",       "contention", "code",  "load_balance",
                                         "jitter",      "serialisation", "transfer",   "loader"};

struct Factor {
    const char* name = "";
    double value = 1;                 // below 1: a loss; above 1 as it is
    std::optional<double> low, high;  // 95%, by bootstrap over whole repetitions; none with one repetition
    double ms = 0;                    // what it adds to the step, from ideal_ms to step_ms in shares of the logarithms
};

// In POP's names: LB, CommE, SerE, TrfE, PE, CompS, GE.
struct PopMetric {
    const char* name = "";
    double value = 1;
};

struct RowEfficiency {
    std::string row;                       // Point::id
    double ideal_ms = 0;                   // T_S / N
    double step_ms = 0;                    // T_N
    double efficiency = 0;                 // of all N processors, against one thread of the serial program
    std::optional<double> low, high;       // of efficiency
    int repetitions = 0;                   // that have all their probes
    std::vector<Factor> factors;           // nine, in the order of factor_names, or none
    std::vector<PopMetric> pop;            // seven, or none
    std::optional<double> ipc, frequency;  // of contention: instructions a cycle and cycles a second, together over alone
    std::string why_no_counters;           // why there are none
    std::string why_not;                   // why there are no factors
};

// One for each point, in their order; empty where the records hold no probe. `records` of kind rep and probe.
std::vector<RowEfficiency> efficiency_of(const Config& config, std::span<const Point> points,
                                         std::span<const Record> records);

std::string efficiency_csv(std::span<const RowEfficiency> rows);  // row,factor,value,low,high,ms

}  // namespace xbench
