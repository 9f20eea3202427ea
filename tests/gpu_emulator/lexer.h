// The words of a PTX text.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace xbench::ptx {

enum class TokenKind : uint8_t { end, word, number, text, sign };

struct Token {
    std::string_view text;
    uint32_t line = 0;
    TokenKind kind = TokenKind::end;
};

// The last token is of kind end. ".reg.b16" becomes two words; "::" stays inside a word. The views point into `text`.
std::vector<Token> lex(std::string_view text);

// 12, 0x1F, 0f3F800000 (bits of a float), 0d... (bits of a double), 0b101.
uint64_t number_of(std::string_view text);

}  // namespace xbench::ptx
