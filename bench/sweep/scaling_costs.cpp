// What rows cost beside their time, as tables of scaling_model.h: whom the others wait for, and memory by purpose.
#include <fmt/format.h>

#include <algorithm>

#include "bench/base/text_table.h"
#include "bench/sweep/scaling_model.h"

namespace xbench {
namespace {

using Cells = std::vector<std::string>;

std::string mebibytes(double bytes) { return fmt::format("{:.2f}", bytes / 1048576.0); }

}  // namespace

const char* const delay_explanation =
    "For the collectives that cost the most: the rank that the others wait for, by how many repeats it is named, in how "
    "many steps "
    "it arrives last, what its being late adds to the others' mean wait, and how long the bytes take once all have arrived.";

std::vector<BucketDelay> costliest(std::vector<BucketDelay> delays) {
    std::stable_sort(delays.begin(), delays.end(),
                     [](const BucketDelay& a, const BucketDelay& b) { return a.delay_ms > b.delay_ms; });
    if (delays.size() > most_delays) delays.resize(most_delays);
    return delays;
}

std::vector<ModelColumn> delay_columns(std::optional<ModelColumn> first) {
    std::vector<ModelColumn> columns{{"collective", false},    {"of the step"}, {"KiB"},          {"rank"},
                                     {"named by", true, true}, {"is last in"},  {"delays by ms"}, {"transfer ms"}};
    if (first) columns.insert(columns.begin(), *first);
    return columns;
}

std::vector<std::string> delay_cells(const BucketDelay& delay) {
    return {delay.collective,
            delay.bucket,
            fmt::format("{:.1f}", static_cast<double>(delay.bytes) / 1024),
            std::to_string(delay.rank),
            fmt::format("{} of {}", delay.named, delay.repeats),
            fmt::format("{:.0f}%", 100 * delay.share_last),
            fmt::format("{:.4f}", delay.delay_ms),
            fmt::format("{:.4f}", delay.transfer_ms)};
}

std::string delays_csv(const ScalingTable& table) {
    std::string text = "row,bucket,collective,bytes,rank,named_by,repeats,share_last,delay_ms,transfer_ms\n";
    for (const ScalingRow& row : table.rows) {
        if (!row.timed()) continue;
        for (const BucketDelay& d : row.details.delays)
            text += csv_line({row.point.id(), d.bucket, d.collective, std::to_string(d.bytes), std::to_string(d.rank),
                              std::to_string(d.named), std::to_string(d.repeats), fmt::format("{:.6f}", d.share_last),
                              fmt::format("{:.6f}", d.delay_ms), fmt::format("{:.6f}", d.transfer_ms)});
    }
    return text;
}

std::string memory_csv(const ScalingTable& table) {
    std::string text = "row,category,bytes\n";
    for (const ScalingRow& row : table.rows) {
        const RowMemory& memory = row.details.memory;
        for (const auto& [category, bytes] : memory.categories)
            text += csv_line({row.point.id(), category, fmt::format("{:.0f}", bytes)});
        if (memory.total > 0) text += csv_line({row.point.id(), "total", fmt::format("{:.0f}", memory.total)});
        if (memory.predicted > 0) text += csv_line({row.point.id(), "predicted", fmt::format("{:.0f}", memory.predicted)});
    }
    return text;
}

// The collectives of a row that cost the most; delays.csv has all.
ModelTable delays_table(const ScalingTable& table) {
    ModelTable model{delay_columns(ModelColumn{"row", false}), {}, "delays.csv"};
    for (const ScalingRow& row : table.rows) {
        if (!row.timed()) continue;
        for (const BucketDelay& delay : costliest(row.details.delays)) {
            model.rows.push_back(delay_cells(delay));
            model.rows.back().insert(model.rows.back().begin(), row.point.id());
        }
    }
    return model;
}

ModelTable memory_table(const ScalingTable& table) {
    ModelTable model{{{"row", false}}, {}, "memory.csv"};
    for (const ScalingRow& row : table.rows) {
        const RowMemory& memory = row.details.memory;
        if (!row.has_result || memory.categories.empty()) continue;
        if (model.columns.size() == 1)
            for (const auto& category : memory.categories) model.columns.push_back({category.first});
        Cells cells{row.point.id()};
        for (const auto& category : memory.categories) cells.push_back(mebibytes(category.second));
        cells.push_back(mebibytes(memory.total));
        cells.push_back(memory.predicted > 0 ? mebibytes(memory.predicted) : "");
        model.rows.push_back(cells);
    }
    model.columns.push_back({"total"});
    model.columns.push_back({"predicted", true, true});
    return model;
}

}  // namespace xbench
