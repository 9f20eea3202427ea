// Tables of what there is until now.
#include "bench/sweep/sweep_tables.h"

#include "bench/sweep/run_files.h"
#include "bench/sweep/scaling_table.h"
#include "core/hash.h"

namespace xbench {

std::string write_sweep_tables(const std::filesystem::path& folder, const Config& config, std::span<const Point> points,
                               std::span<const Record> records, const Json& environment, bool finished) {
    ScalingTable table = make_scaling_table(config, points, records);
    table.machine = machine_line(environment);
    if (!finished)
        table.notes.insert(table.notes.begin(),
                           "**The sweep is still running, or was stopped: this table is not complete.**");
    const std::string markdown = scaling_markdown(table);
    write_text(folder / "scaling.csv", scaling_csv(table));
    write_text(folder / "scaling.md", markdown);
    if (!table.efficiency.empty()) write_text(folder / "efficiency.csv", efficiency_csv(table.efficiency));
    write_text(folder / "env.json", json_text(environment, 2) + "\n");
    if (!finished) return markdown;
    std::vector<Record> summaries = summary_records(table);
    for (Record& record : summaries) {
        record.run_id = folder.filename().string();
        record.env_id = environment["env_id"].get<std::string>();
        record.config_sha = hash_hex(json_text(to_json(config)));
    }
    append_records(folder / "records.jsonl", summaries);
    return markdown;
}

}  // namespace xbench
