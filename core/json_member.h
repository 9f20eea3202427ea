// Members of JSON that another version of the program, or a hand, may have written: what is not there or of another type is
// none, and nothing throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json.h"

namespace xbench {

// Null where `object` is no object, too.
inline const Json* member(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
}

inline std::string text_in(const Json& object, const char* key, const std::string& otherwise = {}) {
    const Json* const text = member(object, key);
    return text != nullptr && text->is_string() ? text->get<std::string>() : otherwise;
}

inline std::optional<double> number_in(const Json& object, const char* key) {
    const Json* const number = member(object, key);
    return number != nullptr && number->is_number() ? std::optional(number->get<double>()) : std::nullopt;
}

inline std::optional<int64_t> integer_in(const Json& object, const char* key) {
    const Json* const number = member(object, key);
    return number != nullptr && number->is_number_integer() ? std::optional(number->get<int64_t>()) : std::nullopt;
}

}  // namespace xbench
