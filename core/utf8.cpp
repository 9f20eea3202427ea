// One walk over sequences serves the check and the escape.
#include "core/utf8.h"

#include <cstdint>

#include <fmt/core.h>

namespace xbench {
namespace {

// The length of the valid sequence at the start of `text`, which is not empty; 0 when there is none.
size_t sequence_length(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    if (byte(0) < 0x80) return 1;
    const size_t length = byte(0) < 0xC2 ? 0 : byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : byte(0) < 0xF5 ? 4 : 0;
    if (length == 0 || text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return 0;
    }
    if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (byte(0) == 0xED && byte(1) > 0x9F) return 0;  // a surrogate
    if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;  // overlong
    if (byte(0) == 0xF4 && byte(1) > 0x8F) return 0;  // above U+10FFFF
    return length;
}

int hex_digit(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    return -1;
}

}  // namespace

size_t first_bad_byte(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
        const size_t length = sequence_length(text.substr(at));
        if (length == 0) return at;
        at += length;
    }
    return at;
}

bool is_utf8(std::string_view text) { return first_bad_byte(text) == text.size(); }

std::string escape_bytes(std::string_view text) {
    std::string escaped;
    while (!text.empty()) {
        const size_t length = sequence_length(text);
        if (length == 0) {
            escaped += fmt::format("\\x{:02X}", static_cast<uint8_t>(text[0]));
        } else if (text[0] == '\\') {
            escaped += "\\\\";
        } else {
            escaped += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return escaped;
}

std::string unescape_bytes(std::string_view text) {
    std::string bytes;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            bytes += text[i];
        } else if (text[i + 1] == 'x' && i + 3 < text.size() && hex_digit(text[i + 2]) >= 0 && hex_digit(text[i + 3]) >= 0) {
            bytes += static_cast<char>(hex_digit(text[i + 2]) * 16 + hex_digit(text[i + 3]));
            i += 3;
        } else {
            bytes += text[++i];
        }
    }
    return bytes;
}

}  // namespace xbench
