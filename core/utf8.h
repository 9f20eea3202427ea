// Text from outside that should be UTF-8 but may not be: names of files from old archives, labels, names in foreign files.
// HDF5, JSON and reports hold only UTF-8, so other bytes are escaped in a reversible way.
#pragma once

#include <string>
#include <string_view>

namespace xbench {

// RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF.
bool is_utf8(std::string_view text);
// The first byte that is no part of a valid sequence; text.size() when there is none.
size_t first_bad_byte(std::string_view text);

// Each byte that is not UTF-8 as \xE9, and a backslash as two: unescape_bytes() gives the same bytes back.
std::string escape_bytes(std::string_view text);
std::string unescape_bytes(std::string_view text);

}  // namespace xbench
