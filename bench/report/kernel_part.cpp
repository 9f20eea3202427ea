// Reads the repetitions of each kernel; medians over them.
#include "bench/report/kernel_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "bench/base/measure.h"
#include "bench/base/text_table.h"
#include "bench/draw/html_page.h"
#include "bench/draw/roofline_chart.h"
#include "bench/report/report_parts.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/json_member.h"

namespace xbench {
namespace {

const Json* object_in(const Json& object, const char* key) {
    const Json* const found = member(object, key);
    return found != nullptr && found->is_object() ? found : nullptr;
}

struct Repetitions {
    KernelResult kernel;
    std::map<std::string, std::vector<double>> values;
};

constexpr double nanoseconds_of(std::string_view unit) {
    return unit == "ns" ? 1 : unit == "us" ? 1e3 : unit == "ms" ? 1e6 : 1e9;
}

void take(Repetitions& all, const Json& entry) {
    ++all.kernel.repetitions;
    if (const std::string error = text_in(entry, "error_message"); !error.empty()) {
        all.kernel.failure = error;
        return;
    }
    all.kernel.implementation = text_in(entry, "label");
    all.values["us"].push_back(number_in(entry, "real_time").value_or(0) * nanoseconds_of(text_in(entry, "time_unit")) /
                               1e3);
    for (const char* key : {"flops_per_second", "bytes_per_second", "share_of_peak", "share_of_bound"})
        all.values[key].push_back(number_in(entry, key).value_or(0));
    if (const double share = number_in(entry, "share_of_copy").value_or(0);
        share > 0)  // of a copy with as large a working set
        all.values["copy"].push_back(number_in(entry, "bytes_per_second").value_or(0) / share);
}

KernelResult result_of(Repetitions& all) {
    KernelResult kernel = all.kernel;
    kernel.microseconds = median(all.values["us"]);
    kernel.gflops = median(all.values["flops_per_second"]) * 1e-9;
    kernel.gbytes_per_second = median(all.values["bytes_per_second"]) * 1e-9;
    kernel.copy_gbytes_per_second = median(all.values["copy"]) * 1e-9;
    kernel.share_of_peak = median(all.values["share_of_peak"]);
    kernel.share_of_bound = median(all.values["share_of_bound"]);
    return kernel;
}

// The time as well as the roof may differ between files, so it is their business that they are of one machine.
std::vector<KernelResult> kernels_of(const Json& benchmarks) {
    std::vector<std::string> order;
    std::map<std::string, Repetitions> found;
    for (const Json& entry : benchmarks) {
        if (!entry.is_object() || text_in(entry, "run_type") == "aggregate") continue;
        std::string name = text_in(entry, "run_name");
        if (name.empty()) name = text_in(entry, "name");
        if (const size_t suffix = name.find("/real_time"); suffix != std::string::npos) name.resize(suffix);
        if (const size_t suffix = name.find("/manual_time"); suffix != std::string::npos) name.resize(suffix);
        if (name.empty()) continue;
        if (!found.contains(name)) order.push_back(name);
        Repetitions& all = found[name];
        all.kernel.name = name;
        all.kernel.operation = name.substr(0, name.find('/'));
        take(all, entry);
    }
    std::vector<KernelResult> kernels;
    for (const std::string& name : order) kernels.push_back(result_of(found[name]));
    return kernels;
}

// "conv2d" of conv2d_wgrad: what is told apart by colour.
std::string family_of_operation(const std::string& operation) { return operation.substr(0, operation.find('_')); }

RooflineChart chart_of(const KernelResults& results) {
    RooflineChart chart;
    chart.title =
        fmt::format("Roofline of kernels, {} thread{}, {}", results.threads, results.threads == 1 ? "" : "s", results.isa);
    chart.peak_gflops = results.peak_gflops;
    if (results.copy_gbytes_per_second > 0) chart.slopes.push_back({"copy from memory", results.copy_gbytes_per_second});
    double fastest = 0;
    for (const KernelResult& kernel : results.kernels) fastest = std::max(fastest, kernel.copy_gbytes_per_second);
    if (fastest > 1.5 * results.copy_gbytes_per_second) chart.slopes.push_back({"copy in a cache", fastest});
    for (const KernelResult& kernel : results.kernels) {
        if (!kernel.failure.empty() || kernel.gbytes_per_second <= 0) continue;
        chart.points.push_back(
            {family_of_operation(kernel.operation), kernel.gflops / kernel.gbytes_per_second, kernel.gflops,
             fmt::format("{}, {}: {:.1f} GFLOP/s, {:.1f} GB/s, {:.0f}% of its bound", kernel.name, kernel.implementation,
                         kernel.gflops, kernel.gbytes_per_second, 100 * kernel.share_of_bound)});
    }
    return chart;
}

ModelTable table_of(const KernelResults& results) {
    ModelTable table{
        {{"kernel", false}, {"implementation", false}, {"us"}, {"GFLOP/s"}, {"of peak"}, {"GB/s"}, {"of bound"}},
        {},
        "kernels.csv"};
    for (const KernelResult& kernel : results.kernels) {
        std::vector<std::string> cells{kernel.name};
        if (kernel.failure.empty())
            for (const std::string& cell :
                 {kernel.implementation, fmt::format("{:.4g}", kernel.microseconds), fmt::format("{:.1f}", kernel.gflops),
                  fmt::format("{:.0f}%", 100 * kernel.share_of_peak), fmt::format("{:.1f}", kernel.gbytes_per_second),
                  fmt::format("{:.0f}%", 100 * kernel.share_of_bound)})
                cells.push_back(cell);
        else
            cells.push_back(kernel.failure);
        cells.resize(table.columns.size());
        table.rows.push_back(cells);
    }
    return table;
}

std::optional<Json> kernels_json(const std::filesystem::path& file) {
    const auto text = file_text(file);
    auto json = text ? parse_json(*text) : std::nullopt;
    if (!json || !json->is_object()) return std::nullopt;
    const auto benchmarks = json->find("benchmarks");
    if (benchmarks == json->end() || !benchmarks->is_array() || object_in(*json, "context") == nullptr) return std::nullopt;
    return json;
}

}  // namespace

bool is_kernels_file(const std::filesystem::path& file) {
    return path_exists(file) && !is_folder(file) && kernels_json(file).has_value();
}

KernelResults read_kernels(const std::filesystem::path& file) {
    const auto json = kernels_json(file);
    if (!json)
        throw UsageError("is no JSON of Google Benchmark", file.string(),
                         "give the file that `xbench kernels --json` wrote");
    KernelResults results;
    results.file = file.filename().string();
    const Json& context = *object_in(*json, "context");
    results.date = text_in(context, "date");
    results.host = text_in(context, "host_name");
    if (const Json* own = object_in(context, "xbench")) {
        results.isa = text_in(*own, "isa");
        results.threads = static_cast<int>(number_in(*own, "threads").value_or(0));
        results.peak_gflops = number_in(*own, "peak_gflops").value_or(0);
        results.copy_gbytes_per_second = number_in(*own, "memory_copy_gbytes_per_second").value_or(0);
    }
    results.kernels = kernels_of((*json)["benchmarks"]);
    if (results.kernels.empty() || object_in(context, "xbench") == nullptr)
        throw UsageError("holds no kernels of xbench", file.string(), "give the file that `xbench kernels --json` wrote");
    return results;
}

std::string kernels_csv(const KernelResults& results) {
    std::string text =
        "kernel,implementation,repetitions,microseconds,gflops,share_of_peak,gbytes_per_second,share_of_bound,failure\n";
    for (const KernelResult& k : results.kernels)
        text += csv_line({k.name, k.implementation, std::to_string(k.repetitions), fmt::format("{:.6g}", k.microseconds),
                          fmt::format("{:.6g}", k.gflops), fmt::format("{:.6g}", k.share_of_peak),
                          fmt::format("{:.6g}", k.gbytes_per_second), fmt::format("{:.6g}", k.share_of_bound), k.failure});
    return text;
}

void add_kernels(HtmlPage& page, const KernelResults& results) {
    page.heading("Roofline of kernels");
    if (const std::string svg = roofline_svg(chart_of(results)); !svg.empty()) page.svg(svg);
    page.paragraph(
        "Operations and bytes are those that the algorithm's definition needs, so a kernel that needs fewer (Winograd) may "
        "lie above "
        "the roof, and so may one whose data stay in a cache. The roofs were measured in the same run.");
    page.begin_folded(fmt::format("All {} kernels", results.kernels.size()));
    add_table(page, table_of(results), kernels_csv(results));
    page.end_folded();
}

std::string kernels_page(const KernelResults& results) {
    HtmlPage page("Kernels against this machine's limits", fmt::format("{}, {}, {} thread{}", results.host, results.isa,
                                                                       results.threads, results.threads == 1 ? "" : "s"));
    add_kernels(page, results);
    page.heading("Where it was measured");
    page.facts({{"host", results.host},
                {"measured", results.date},
                {"kernels", results.isa},
                {"FMA peak", fmt::format("{:.1f} GFLOP/s, measured", results.peak_gflops)},
                {"copy from memory", fmt::format("{:.1f} GB/s, measured", results.copy_gbytes_per_second)}});
    page.heading("How to run it again");
    page.code(fmt::format("xbench kernels --threads {} --json {}", results.threads, results.file));
    return page.text();
}

}  // namespace xbench
