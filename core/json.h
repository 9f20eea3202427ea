// JSON as xbench uses it: nlohmann's, with keys in the order of writing. Its parse() and dump() throw exceptions of their
// own (text that is no JSON, a name that is no UTF-8), which are about its insides; these three do not.
// tests/house/library_exceptions.sh keeps the others out.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace xbench {

using Json = nlohmann::ordered_json;

// In one line, or indented. Bytes that are no UTF-8 come out as U+FFFD: whoever can should refuse or escape them before.
std::string json_text(const Json& value, int indent = -1);

// Where a text stops being JSON, and why.
struct JsonMistake {
    size_t offset = 0;  // in bytes
    std::string what;
};
// Nothing where the text is no JSON, holds a number that no double can, or is nested more than 100 deep (writing and
// comparing recurse).
std::optional<Json> parse_json(std::string_view text, JsonMistake* mistake = nullptr);

// What such an exception says, without its number: "type must be number, but is string".
std::string json_reason(const nlohmann::detail::exception& error);

}  // namespace xbench
