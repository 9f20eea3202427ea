// Configurations that runs of older versions have left. A key that such a version did not know has the value by which it
// acted: mostly the key's default, otherwise what before_keys() says.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config.h"

namespace xbench {

// How versions acted that did not know these keys.
const ConfigDefaults& before_keys();

// The configuration of the run in this folder, config.resolved.json.
Config load_run_config(const std::filesystem::path& folder, const std::vector<std::string>& model_names = {});

// For a command that goes on with the run in this folder: what it takes over of those keys, where it does not give them
// itself. Empty where the folder holds no run.
ConfigDefaults defaults_of_run(const std::filesystem::path& folder);

}  // namespace xbench
