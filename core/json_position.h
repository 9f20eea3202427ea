// Line and column of each key and value of a JSON text. nlohmann/json keeps no positions, so a small scan over the text
// follows a successful parse; an error that is found later can then name its place.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace xbench {

struct JsonPosition {
    size_t key;    // byte offset of the key's opening quote; that of the value for an array's element and the root
    size_t value;  // byte offset of the value
};

struct DuplicateKey {
    std::string pointer;
    size_t first, second;  // byte offsets of the two keys
};

struct JsonPositions {
    std::map<std::string, JsonPosition> at;  // by JSON pointer (RFC 6901): "/train/epochs", "/sweep/0/ranks"
    std::vector<DuplicateKey> duplicates;
};

// `text` must be valid JSON. Throws Error when it is nested more than 100 deep.
JsonPositions find_positions(std::string_view text);

struct LineColumn {
    size_t line, column;  // from 1; a column is a character, not a byte
};
LineColumn line_column(std::string_view text, size_t offset);

std::string pointer_escape(std::string_view key);  // "a/b" -> "a~1b"

}  // namespace xbench
