// Collects the environment of a run.
#include "bench/base/environment.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <set>
#include <string_view>

#include <gnu/libc-version.h>

#include "bench/base/machine_state.h"
#include "build_info.h"
#include "core/hardware.h"
#include "core/hash.h"
#include "core/utf8.h"
#include "kernels/cuda/devices.h"

extern char** environ;

namespace xbench {
namespace {

// Job and launcher settings, and what changes how threads run. Nothing else of the environment is recorded: it may be
// private.
bool is_recorded(std::string_view name) {
    static const std::set<std::string_view> names{
        "XBENCH_ISA",     "XBENCH_NODE_OF_RANK",   "XBENCH_COPY",      "OMP_NUM_THREADS", "OMP_THREAD_LIMIT",
        "OMP_DYNAMIC",    "OMP_MAX_ACTIVE_LEVELS", "OMP_PROC_BIND",    "OMP_PLACES",      "OMP_WAIT_POLICY",
        "GOMP_SPINCOUNT", "GOMP_CPU_AFFINITY",     "MALLOC_ARENA_MAX", "LD_PRELOAD",      "CUDA_VISIBLE_DEVICES"};
    const bool secret = name.find("KEY") != name.npos || name.find("TOKEN") != name.npos || name.find("SECRET") != name.npos;
    return names.count(name) > 0 ||
           (!secret && (name.starts_with("SLURM_") || name.starts_with("OMPI_") || name.starts_with("PMIX_MCA_")));
}

std::vector<std::string> given_words;  // of main

Json recorded_variables() {
    std::set<std::string> lines;
    for (char** entry = environ; *entry != nullptr; ++entry) lines.insert(*entry);
    Json variables = Json::object();
    for (const std::string& line : lines) {
        const size_t equals = line.find('=');
        if (equals != std::string::npos && is_recorded(std::string_view(line).substr(0, equals)))
            variables[escape_bytes(line.substr(0, equals))] = escape_bytes(line.substr(equals + 1));
    }
    return variables;
}

Json hardware_json(const Hardware& hardware) {
    Json caches = Json::array();
    for (const CacheLevel& cache : hardware.data_caches)
        caches.push_back(Json{{"level", cache.level}, {"bytes", cache.bytes}, {"count", cache.count}});
    return Json{{"host", escape_bytes(hardware.host)},
                {"kernel", hardware.kernel},
                {"cpu", hardware.cpu_model},
                {"sockets", hardware.sockets},
                {"cores", hardware.cores},
                {"hardware_threads", hardware.hardware_threads},
                {"smt", hardware.smt},
                {"numa_nodes", hardware.numa_nodes},
                {"allowed_cores", hardware.allowed_cores},
                {"allowed_threads", hardware.allowed_threads},
                {"allowed_cpuset", hardware.allowed_cpuset},
                {"quota_cores", hardware.quota_cores > 0 ? Json(hardware.quota_cores) : Json(nullptr)},
                {"caches", caches},
                {"governor", hardware.governor.empty() ? "not shown by this system" : hardware.governor},
                {"memory_bytes", hardware.memory_bytes},
                {"isa", isa_name(hardware.isa)},
                {"isa_used", isa_name(usable_isa())},
                {"gpus", Json::array()}};
}

// Names, compute capabilities and memory; an emulated GPU is called one.
void describe_gpus(Json& environment) {
    const GpuSystem system = query_gpus();
    for (const GpuDescription& gpu : system.gpus)
        environment["machine"]["gpus"].push_back(Json{{"name", gpu.name},
                                                      {"pci_address", gpu.pci_address},
                                                      {"compute_capability", gpu.compute_capability},
                                                      {"multiprocessors", gpu.multiprocessors},
                                                      {"memory_bytes", gpu.memory_bytes}});
    if (system.driver_version > 0) environment["machine"]["cuda_driver"] = system.driver_version;
    if (system.emulated) environment["emulated"] = true;
}

}  // namespace

Json build_info() { return parse_json(XB_BUILD_INFO).value_or(Json::object()); }

Json describe_environment(const std::vector<std::string>& command_line, const Hardware& hardware) {
    Json json{{"schema", "xbench.env/1"}, {"time_utc", utc_time("%Y-%m-%dT%H:%M:%SZ")}};
    json["build"] = build_info();
    json["build"]["libraries"]["glibc"] = gnu_get_libc_version();  // the one that runs
    json["machine"] = hardware_json(hardware);
    json["machine"]["settings"] = to_json(machine_state());
    describe_gpus(json);
    json["mpi"] = first_line_of("mpirun --version");
    json["slurm"] = first_line_of("sinfo --version");
    json["load_average"] = hardware.load_average;
    json["command_line"] = Json::array();
    for (const std::string& word : command_line) json["command_line"].push_back(is_utf8(word) ? word : escape_bytes(word));
    json["variables"] = recorded_variables();
    json["env_id"] = environment_id(json);
    return json;
}

std::string environment_id(const Json& environment) {
    Json comparable = environment;
    for (const char* key : {"time_utc", "command_line", "load_average", "variables", "env_id", "cpusets"})
        comparable.erase(key);
    return hash_hex(json_text(comparable)).substr(0, 16);
}

void remember_command_line(int argc, char** argv) { given_words.assign(argv, argv + argc); }

std::vector<std::string> this_command_line() {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    std::vector<std::string> words;
    for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
    if (words.empty()) words = given_words;
    // A bundle's starter (scripts/bundle.sh) calls the loader: its words stand before the program's own.
    if (const char* starter = std::getenv("XBENCH_PROGRAM")) {
        const auto program = std::find_if(words.begin(), words.end(),
                                          [](const std::string& word) { return word.ends_with("/libexec/xbench"); });
        if (program != words.end()) words.erase(words.begin(), program);
        if (!words.empty()) words[0] = starter;
    }
    return words;
}

std::string utc_time(const char* format) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 64> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

std::string output_of(const std::string& command) {
    std::string text;
    const auto close = [](std::FILE* pipe) { pclose(pipe); };
    const std::unique_ptr<std::FILE, decltype(close)> pipe(popen(command.c_str(), "r"), close);
    char piece[256];
    while (pipe && std::fgets(piece, sizeof piece, pipe.get()) != nullptr) text += piece;
    return text;
}

std::string first_line_of(const std::string& command) {
    const auto close = [](std::FILE* pipe) { pclose(pipe); };
    const std::unique_ptr<std::FILE, decltype(close)> pipe(popen((command + " 2>/dev/null").c_str(), "r"), close);
    std::array<char, 256> line{};
    if (!pipe || std::fgets(line.data(), static_cast<int>(line.size()), pipe.get()) == nullptr) return {};
    std::string text(line.data());
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

}  // namespace xbench
