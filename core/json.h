// JSON as xbench uses it: nlohmann's, with keys in the order of writing.
#pragma once

#include <nlohmann/json.hpp>

namespace xbench {

using Json = nlohmann::ordered_json;

}  // namespace xbench
