// The keys whose defaults changed what older versions did.
#include "core/config_versions.h"

#include "core/files.h"

namespace xbench {
namespace {

std::filesystem::path file_of(const std::filesystem::path& folder) { return folder / "config.resolved.json"; }

}  // namespace

const ConfigDefaults& before_keys() {
    static const ConfigDefaults values{{"/train/ema_statistics", "copied"}};
    return values;
}

Config load_run_config(const std::filesystem::path& folder, const std::vector<std::string>& model_names) {
    return load_config(file_of(folder).string(), {}, model_names, before_keys());
}

ConfigDefaults defaults_of_run(const std::filesystem::path& folder) {
    const auto text = folder.empty() ? std::nullopt : file_text(file_of(folder));
    const auto json = text ? parse_json(*text) : std::nullopt;
    if (!json || !json->is_object()) return {};
    ConfigDefaults values = before_keys();
    for (auto& [pointer, value] : values)
        if (const Json::json_pointer place(pointer); json->contains(place)) value = json->at(place);
    return values;
}

}  // namespace xbench
