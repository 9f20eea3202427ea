// The calls that do not throw.
#include "core/json.h"

#include <algorithm>

namespace xbench {
namespace {

constexpr int deepest = 100;

// Where the brackets outside of strings are too deep; npos: nowhere. What is wrong otherwise, the parser finds.
size_t first_too_deep(std::string_view text) {
    int depth = 0;
    bool inside = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (inside && c == '\\') ++i;
        if (c == '"') inside = !inside;
        if (inside) continue;
        if (c == '[' || c == '{') ++depth;
        if (c == ']' || c == '}') --depth;
        if (depth > deepest) return i;
    }
    return std::string_view::npos;
}

JsonMistake mistake_of(const Json::parse_error& error) {
    JsonMistake mistake{error.byte > 0 ? error.byte - 1 : 0, error.what()};
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while ...": the last part.
    if (const size_t colon = mistake.what.find(": "); colon != std::string::npos) mistake.what.erase(0, colon + 2);
    return mistake;
}

// "number overflow parsing '1e999'": it names no place, so the number is looked for.
JsonMistake mistake_of(const Json::exception& error, std::string_view text) {
    JsonMistake mistake{0, json_reason(error)};
    const size_t open = mistake.what.find('\''), close = mistake.what.rfind('\'');
    if (open < close) mistake.offset = text.find(std::string_view(mistake.what).substr(open + 1, close - open - 1));
    return mistake;
}

}  // namespace

std::string json_text(const Json& value, int indent) {
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::optional<Json> parse_json(std::string_view text, JsonMistake* mistake) {
    JsonMistake found;
    if (const size_t deep = first_too_deep(text); deep != std::string_view::npos) {
        found = {deep, "nested more than " + std::to_string(deepest) + " deep"};
    } else {
        try {
            return Json::parse(text);
        } catch (const Json::parse_error& error) {
            found = mistake_of(error);
        } catch (const Json::exception& error) {
            found = mistake_of(error, text);
        }
    }
    found.offset = std::min(found.offset, text.size());
    if (mistake != nullptr) *mistake = found;
    return std::nullopt;
}

std::string json_reason(const nlohmann::detail::exception& error) {
    std::string what = error.what();  // "[json.exception.type_error.302] type must be ..."
    if (const size_t bracket = what.find("] "); bracket != std::string::npos) what.erase(0, bracket + 2);
    return what;
}

}  // namespace xbench
