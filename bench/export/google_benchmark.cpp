// Google Benchmark's JSON, as its compare.py reads it: repetitions of one name are compared by the U test, from 9 on.
#include <fmt/format.h>

#include <cmath>

#include "bench/export/exports.h"

namespace xbench {

std::string google_benchmark_json(const RunFiles& run) {
    Json benchmarks = Json::array();
    int family = 0;
    for (const ScalingRow& row : run.table.rows) {
        if (!row.timed()) continue;
        int index = 0;
        for (const Record& record : run.records) {
            const auto step = record.counters.find("step_ms");
            if (record.params.value("point", "") != row.point.id() || step == record.counters.end() || !step->is_number())
                continue;
            const double microseconds = 1000 * step->get<double>();
            benchmarks.push_back(Json{{"name", fmt::format("train/{}/{}", run.table.model, row.point.id())},
                                      {"family_index", family},
                                      {"per_family_instance_index", 0},
                                      {"run_name", fmt::format("train/{}/{}", run.table.model, row.point.id())},
                                      {"run_type", "iteration"},
                                      {"repetitions", row.repeats},
                                      {"repetition_index", index++},
                                      {"threads", row.point.threads},
                                      {"iterations", record.samples_ns.size()},
                                      {"real_time", microseconds},
                                      {"cpu_time", microseconds},
                                      {"time_unit", "us"},
                                      {"items_per_second", record.value}});
        }
        ++family;
    }
    Json context{{"date", run.environment.value("time_utc", "")},
                 {"executable", "xbench"},
                 {"library_build_type", "release"},
                 {"run", run.name}};
    if (const Json machine = run.environment.value("machine", Json::object()); !machine.empty()) {
        context["host_name"] = machine.value("host", "");
        context["num_cpus"] = machine.value("hardware_threads", 0);
    }
    return json_text(Json{{"context", context}, {"benchmarks", benchmarks}}, 2) + "\n";
}

}  // namespace xbench
