// One small file each.
#include "bench/base/machine_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

std::string line_of(const fs::path& file) {
    const std::string text = file_text(file).value_or("");
    const std::string line = text.substr(0, text.find('\n'));
    const size_t end = line.find_last_not_of(" \t\r");
    return end == std::string::npos ? "" : line.substr(0, end + 1);
}

// "always [madvise] never" -> "madvise"
std::string chosen(const std::string& line) {
    const size_t open = line.find('['), close = line.find(']');
    return open == std::string::npos || close == std::string::npos ? line : line.substr(open + 1, close - open - 1);
}

std::string on_off(const std::string& line, const char* off) { return line.empty() ? "" : line == off ? "off" : "on"; }

// A processor that is off line has none.
std::vector<std::string> governors_under(const fs::path& root) {
    std::vector<std::string> found;
    for (const int cpu : cpus_in(line_of(root / "sys/devices/system/cpu/present"))) {
        const std::string line = line_of(root / fmt::format("sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cpu));
        if (!line.empty() && std::find(found.begin(), found.end(), line) == found.end()) found.push_back(line);
    }
    return found;
}

std::string turbo_under(const fs::path& root) {
    const std::string intel = line_of(root / "sys/devices/system/cpu/intel_pstate/no_turbo");
    return intel.empty() ? on_off(line_of(root / "sys/devices/system/cpu/cpufreq/boost"), "0") : on_off(intel, "1");
}

bool is_there(const fs::path& path) {
    std::error_code unreadable;
    return fs::exists(path, unreadable);
}

std::string container_under(const fs::path& root) {
    if (is_there(root / ".dockerenv")) return "docker";
    if (is_there(root / "run/.containerenv")) return "podman";
    if (is_there(root / ".singularity.d")) return "apptainer";
    if (is_there(root / "var/run/secrets/kubernetes.io")) return "kubernetes";
    return "";
}

}  // namespace

MachineState machine_state(const fs::path& root) {
    MachineState state;
    state.governors = governors_under(root);
    state.scaling_driver = line_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver");
    state.turbo = turbo_under(root);
    state.transparent_hugepages = chosen(line_of(root / "sys/kernel/mm/transparent_hugepage/enabled"));
    state.hugepages_reserved = std::atoll(line_of(root / "proc/sys/vm/nr_hugepages").c_str());
    state.clocksource = line_of(root / "sys/devices/system/clocksource/clocksource0/current_clocksource");
    state.numa_balancing = on_off(line_of(root / "proc/sys/kernel/numa_balancing"), "0");  // 2: between tiers of memory
    state.container = container_under(root);
    return state;
}

Json to_json(const MachineState& state) {
    const auto shown = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
    return Json{{"governors", state.governors},
                {"scaling_driver", shown(state.scaling_driver)},
                {"turbo", shown(state.turbo)},
                {"transparent_hugepages", shown(state.transparent_hugepages)},
                {"hugepages_reserved", state.hugepages_reserved},
                {"clocksource", shown(state.clocksource)},
                {"numa_balancing", shown(state.numa_balancing)},
                {"container", shown(state.container)}};
}

std::vector<int> cpus_in(const std::string& list) {
    std::vector<int> cpus;
    std::stringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) {
        const int first = std::atoi(part.c_str());
        const size_t dash = part.find('-');
        const int last = dash == std::string::npos ? first : std::atoi(part.c_str() + dash + 1);
        for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    }
    return cpus;
}

std::vector<int> siblings_of(const fs::path& root, int cpu) {
    return cpus_in(line_of(root / fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu)));
}

}  // namespace xbench
