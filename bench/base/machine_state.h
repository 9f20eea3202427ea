// Settings of the machine that change times: read from /proc and /sys, below a root folder that tests choose. What the
// system does not show is empty.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace xbench {

struct MachineState {
    std::vector<std::string> governors;  // of all processors, each once: "performance"
    std::string scaling_driver;          // "intel_pstate"
    std::string turbo;                   // "on" | "off"
    std::string transparent_hugepages;   // "always" | "madvise" | "never"
    int64_t hugepages_reserved = 0;      // of the default size
    std::string clocksource;             // "tsc"
    std::string numa_balancing;          // "on" | "off"
    std::string container;               // "docker", "podman", "apptainer" ..., by the files that these leave
};
MachineState machine_state(const std::filesystem::path& root = "/");
Json to_json(const MachineState& state);

// The processors that share a core with this one, itself among them: "0,64" -> {0, 64}.
std::vector<int> siblings_of(const std::filesystem::path& root, int cpu);
std::vector<int> cpus_in(const std::string& list);  // "0-3,8"

}  // namespace xbench
