// Factors in the order of the chain: those of computing, then those of the ranks together.
#include "bench/sweep/factor_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/base/text_table.h"

namespace xbench {
namespace {

constexpr size_t of_computing = 4;  // granularity to code

std::string number(double value) { return fmt::format("{:.3f}", value); }

using Rows = std::vector<std::vector<std::string>>;

std::string factor_table(const std::vector<RowEfficiency>& rows, size_t first, size_t last) {
    std::vector<TextColumn> columns{{"row", false}};
    if (first == 0) columns.push_back({"efficiency"});
    for (size_t f = first; f < last; ++f) columns.push_back({factor_names[f]});
    Rows cells;
    for (const RowEfficiency& row : rows) {
        if (row.factors.empty()) continue;
        std::vector<std::string>& line = cells.emplace_back(std::vector<std::string>{row.row});
        if (first == 0) line.push_back(number(row.efficiency));
        for (size_t f = first; f < last; ++f) line.push_back(number(row.factors[f].value));
    }
    return markdown_table(columns, cells);
}

std::string pop_table(const std::vector<RowEfficiency>& rows) {
    std::vector<TextColumn> columns{{"POP's names", false}};
    Rows cells;
    for (const RowEfficiency& row : rows) {
        if (row.factors.empty()) continue;
        std::vector<std::string>& line = cells.emplace_back(std::vector<std::string>{row.row});
        for (const PopMetric& metric : row.pop) {
            if (cells.size() == 1) columns.push_back({metric.name});
            line.push_back(number(metric.value));
        }
    }
    return markdown_table(columns, cells);
}

// "cpu_ddp-r2-t1: 10.0 ms at best and 12.5 ms: transfer +1.5 (0.89, 0.87 to 0.91), ..." from the largest loss on.
std::string line_of(const RowEfficiency& row) {
    std::vector<Factor> factors = row.factors;
    std::stable_sort(factors.begin(), factors.end(), [](const Factor& a, const Factor& b) { return a.ms > b.ms; });
    std::string text =
        fmt::format("- {}: {:.3f} ms a step would be ideal, {:.3f} ms it is:", row.row, row.ideal_ms, row.step_ms);
    bool first = true;
    for (const Factor& factor : factors) {
        if (std::abs(factor.ms) < 0.0005) continue;
        text += fmt::format("{} {} {:+.3f} ms", first ? "" : ",", factor.name, factor.ms);
        if (factor.low) text += fmt::format(" ({:.3f} to {:.3f})", *factor.low, *factor.high);
        first = false;
    }
    if (first) text += " nothing is lost";
    text += ".";
    if (row.ipc)
        text += fmt::format(" Contention: {:.3f} of the instructions a cycle, {:.3f} of the frequency.", *row.ipc,
                            *row.frequency);
    return text + "\n";
}

bool has_factors(const ScalingTable& table) {
    return std::any_of(table.efficiency.begin(), table.efficiency.end(),
                       [](const RowEfficiency& row) { return !row.factors.empty(); });
}

}  // namespace

std::string factor_tables(const ScalingTable& table) {
    if (!has_factors(table)) return "";
    return factor_table(table.efficiency, 0, of_computing) + "\n" +
           factor_table(table.efficiency, of_computing, factor_names.size()) + "\n" + pop_table(table.efficiency) + "\n";
}

std::string factor_lines(const ScalingTable& table) {
    std::string text, why_no_counters;
    for (const RowEfficiency& row : table.efficiency) {
        if (row.factors.empty())
            text += fmt::format("- {} has no factors: {}.\n", row.row, row.why_not);
        else
            text += line_of(row);
        if (!row.why_no_counters.empty()) why_no_counters = row.why_no_counters;
    }
    if (text.empty()) return "";
    if (!why_no_counters.empty())
        text += fmt::format("- Contention is not split into instructions a cycle and frequency: {}.\n", why_no_counters);
    return text +
           "\nEfficiency here is against one thread of the serial program; it is the product of its nine factors. In\n"
           "parentheses: 95% of a bootstrap over repetitions. efficiency.csv has all of it, docs/factors.md the meanings.\n";
}

}  // namespace xbench
