// From the records of a sweep to the factors of its rows.
#include "bench/efficiency/factors.h"

#include <fmt/format.h>

#include "bench/base/text_table.h"
#include "bench/efficiency/levels.h"

namespace xbench {

std::vector<RowEfficiency> efficiency_of(const Config&, std::span<const Point>, std::span<const Record>) { return {}; }

std::string efficiency_csv(std::span<const RowEfficiency> rows) {
    const auto bound = [](const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; };
    std::string text = "row,factor,value,low,high,ms\n";
    for (const RowEfficiency& row : rows)
        for (const Factor& factor : row.factors)
            text += csv_line({row.row, factor.name, fmt::format("{}", factor.value), bound(factor.low), bound(factor.high),
                              fmt::format("{}", factor.ms)});
    return text;
}

}  // namespace xbench
