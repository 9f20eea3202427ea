// Rules between fields: what each field allows by itself stands in the table of fields.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "core/config_document.h"

namespace xbench {

// Notes in `document` which sections a whole file lacks.
void require_sections(ConfigDocument& document);
// The defaults that train.constants names, for keys that the document does not give.
void set_constants(const Json& document, Config& config);
// Notes in `document` what does not go together. `model_names`: those that "model" may take; empty: any.
void check_rules(const Config& config, ConfigDocument& document, const std::vector<std::string>& model_names);

}  // namespace xbench
