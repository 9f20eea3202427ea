// Factors in the order of the chain: those of computing, then those of the ranks together.
#include "bench/sweep/factor_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
namespace xbench {
namespace {

constexpr size_t of_computing = 4;  // granularity to code

std::string number(double value) { return fmt::format("{:.3f}", value); }

std::string spaced(std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

ModelTable factor_table(const std::vector<RowEfficiency>& rows, size_t first, size_t last) {
    ModelTable table{{{"row", false}}, {}, "", first == 0 ? "factors_of_computing.csv" : "factors_of_ranks.csv"};
    if (first == 0) table.columns.push_back({"efficiency"});
    for (size_t f = first; f < last; ++f) table.columns.push_back({spaced(factor_names[f])});
    for (const RowEfficiency& row : rows) {
        if (row.factors.empty()) continue;
        std::vector<std::string>& line = table.rows.emplace_back(std::vector<std::string>{row.row});
        if (first == 0) line.push_back(number(row.efficiency));
        for (size_t f = first; f < last; ++f) line.push_back(number(row.factors[f].value));
    }
    return table;
}

ModelTable pop_table(const std::vector<RowEfficiency>& rows) {
    ModelTable table{{{"POP's names", false}}, {}, "", "pop.csv"};
    for (const RowEfficiency& row : rows) {
        if (row.pop.empty()) continue;
        std::vector<std::string>& line = table.rows.emplace_back(std::vector<std::string>{row.row});
        for (const PopMetric& metric : row.pop) {
            if (table.rows.size() == 1) table.columns.push_back({metric.name});
            line.push_back(number(metric.value));
        }
        line.resize(table.columns.size());
    }
    return table;
}

// "cpu_ddp-r2-t1: 10.0 ms at best and 12.5 ms: transfer +1.5 (0.89, 0.87 to 0.91), ..." from the largest loss on.
std::string line_of(const RowEfficiency& row) {
    std::vector<Factor> factors = row.factors;
    std::stable_sort(factors.begin(), factors.end(), [](const Factor& a, const Factor& b) { return a.ms > b.ms; });
    std::string text =
        fmt::format("{}: {:.3f} ms a step would be ideal, {:.3f} ms it is:", row.row, row.ideal_ms, row.step_ms);
    bool first = true;
    for (const Factor& factor : factors) {
        if (std::abs(factor.ms) < 0.0005) continue;
        text += fmt::format("{} {} {:+.3f} ms", first ? "" : ",", spaced(factor.name), factor.ms);
        if (factor.low) text += fmt::format(" ({:.3f} to {:.3f})", *factor.low, *factor.high);
        first = false;
    }
    if (first) text += " nothing is lost";
    text += ".";
    if (row.ipc)
        text += fmt::format(" Contention: {:.3f} of the instructions a cycle, {:.3f} of the frequency.", *row.ipc,
                            *row.frequency);
    return text;
}

bool has_factors(const ScalingTable& table) {
    return std::any_of(table.efficiency.begin(), table.efficiency.end(),
                       [](const RowEfficiency& row) { return !row.factors.empty(); });
}

}  // namespace

std::vector<ModelTable> factor_tables(const ScalingTable& table) {
    if (!has_factors(table)) return {};
    return {factor_table(table.efficiency, 0, of_computing),
            factor_table(table.efficiency, of_computing, factor_names.size()), pop_table(table.efficiency)};
}

std::vector<std::string> factor_items(const ScalingTable& table) {
    if (table.efficiency.empty())
        return {"No probes ran (`scaling.factors`), so the efficiency is not split into its factors."};
    std::vector<std::string> items;
    std::string why_no_counters;
    for (const RowEfficiency& row : table.efficiency) {
        items.push_back(row.factors.empty() ? fmt::format("{} has no factors: {}.", row.row, row.why_not) : line_of(row));
        if (!row.why_no_counters.empty()) why_no_counters = row.why_no_counters;
    }
    if (!why_no_counters.empty())
        items.push_back(
            fmt::format("Contention is not split into instructions a cycle and frequency: {}.", why_no_counters));
    return items;
}

ModelTable factor_intervals(const ScalingTable& table) {
    ModelTable model{{{"row", false}, {"factor", false}, {"value"}, {"95% interval"}, {"adds ms"}}, {}, "efficiency.csv"};
    const auto add = [&](const std::string& row, const std::string& name, double value, const std::optional<double>& low,
                         const std::optional<double>& high, double ms) {
        model.rows.push_back({row, name, fmt::format("{:.4f}", value),
                              low && high ? fmt::format("{:.4f} to {:.4f}", *low, *high) : "", fmt::format("{:+.4f}", ms)});
    };
    for (const RowEfficiency& row : table.efficiency) {
        for (const Factor& factor : row.factors)
            add(row.row, spaced(factor.name), factor.value, factor.low, factor.high, factor.ms);
        if (!row.factors.empty())
            add(row.row, "all nine: efficiency", row.efficiency, row.low, row.high, row.step_ms - row.ideal_ms);
    }
    return model;
}

}  // namespace xbench
