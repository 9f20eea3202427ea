// --device cpu|cuda, of the commands that compute.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace xbench {

inline void add_device_option(CLI::App& command, std::string& device) {
    command.add_option("--device", device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str();
}

}  // namespace xbench
