// OpenMetrics text: gauges with their unit in the name, one info, and the end mark without which readers refuse it.
#include <fmt/format.h>

#include "bench/export/exports.h"

namespace xbench {
namespace {

// Label values escape backslash, quote and line break.
std::string label(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '\\' || c == '"') escaped += '\\';
        escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return escaped;
}

std::string labels_of(const RunFiles& run, const ScalingRow& row) {
    const Point& p = row.point;
    return fmt::format("run=\"{}\",model=\"{}\",trainer=\"{}\",device=\"{}\",ranks=\"{}\",threads=\"{}\",stage=\"{}\"",
                       label(run.name), label(run.table.model), label(p.trainer), label(p.device), p.ranks, p.threads,
                       p.stage);
}

struct Gauge {
    const char *name, *unit, *help;
    std::optional<double> (*value)(const ScalingRow&);
};
constexpr Gauge gauges[]{
    {"xbench_step_seconds", "seconds", "Median step time.",
     [](const ScalingRow& r) { return std::optional(r.step_ms.median * 1e-3); }},
    {"xbench_exposed_communication_seconds", "seconds", "Median of what a step waits for communication.",
     [](const ScalingRow& r) { return std::optional(r.exposed_comm_ms * 1e-3); }},
    {"xbench_images_per_second", "", "Median images trained on a second.",
     [](const ScalingRow& r) { return std::optional(r.images_per_second.median); }},
    {"xbench_speedup_ratio", "ratio", "Against the fastest serial row.", [](const ScalingRow& r) { return r.speedup; }},
    {"xbench_efficiency_ratio", "ratio", "Speed-up over ranks x threads.", [](const ScalingRow& r) { return r.efficiency; }},
    {"xbench_test_accuracy_ratio", "ratio", "Share of test images with the right class.",
     [](const ScalingRow& r) { return r.test_accuracy; }}};

}  // namespace

std::string open_metrics(const RunFiles& run) {
    std::string text;
    for (const Gauge& gauge : gauges) {
        text += fmt::format("# TYPE {0} gauge\n", gauge.name);
        if (*gauge.unit != '\0') text += fmt::format("# UNIT {} {}\n", gauge.name, gauge.unit);
        text += fmt::format("# HELP {} {}\n", gauge.name, gauge.help);
        for (const ScalingRow& row : run.table.rows)
            if (const auto value = gauge.value(row); row.timed() && value)
                text += fmt::format("{}{{{}}} {}\n", gauge.name, labels_of(run, row), *value);
    }
    const Json build = run.environment.value("build", Json::object());
    text += "# TYPE xbench info\n# HELP xbench What was measured.\n";
    text += fmt::format("xbench_info{{version=\"{}\",commit=\"{}\",env_id=\"{}\"}} 1\n", label(build.value("version", "")),
                        label(build.value("commit", "")), label(run.environment.value("env_id", "")));
    return text + "# EOF\n";
}

}  // namespace xbench
