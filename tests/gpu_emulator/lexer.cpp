// Words, numbers, strings and signs; comments are skipped.
#include "tests/gpu_emulator/lexer.h"

#include <cctype>
#include <cstdlib>
#include <string>

namespace xbench::ptx {
namespace {

bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.'; }

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    std::vector<Token> run() {
        while (at_ < text_.size()) next();
        tokens_.push_back({{}, line_, TokenKind::end});
        return std::move(tokens_);
    }

private:
    char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

    void next() {
        const char c = peek();
        if (c == '\n') {
            ++line_;
            ++at_;
        } else if (std::isspace(static_cast<unsigned char>(c))) {
            ++at_;
        } else if (c == '/' && peek(1) == '/') {
            while (at_ < text_.size() && peek() != '\n') ++at_;
        } else if (c == '/' && peek(1) == '*') {
            for (; at_ < text_.size() && !(peek() == '*' && peek(1) == '/'); ++at_) line_ += peek() == '\n';
            at_ += 2;
        } else if (c == '"') {
            quoted();
        } else if (in_word(c)) {
            word();
        } else {
            tokens_.push_back({text_.substr(at_++, 1), line_, TokenKind::sign});
        }
    }
    void quoted() {
        const size_t begin = ++at_;
        while (at_ < text_.size() && peek() != '"') ++at_;
        tokens_.push_back({text_.substr(begin, at_ - begin), line_, TokenKind::text});
        ++at_;
    }
    void word() {
        size_t begin = at_;
        while (in_word(peek()) || (peek() == ':' && peek(1) == ':')) at_ += peek() == ':' ? 2 : 1;
        if (text_[begin] == '.')
            for (size_t dot; (dot = text_.find('.', begin + 1)) < at_; begin = dot)
                tokens_.push_back({text_.substr(begin, dot - begin), line_, TokenKind::word});
        const bool number = std::isdigit(static_cast<unsigned char>(text_[begin])) != 0;
        tokens_.push_back({text_.substr(begin, at_ - begin), line_, number ? TokenKind::number : TokenKind::word});
    }

    std::string_view text_;
    size_t at_ = 0;
    uint32_t line_ = 1;
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> lex(std::string_view text) { return Lexer(text).run(); }

uint64_t number_of(std::string_view text) {
    const std::string word(text);
    if (word.size() > 2 && word[0] == '0') {
        const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(word[1])));
        if (kind == 'f' || kind == 'd') return std::strtoull(word.c_str() + 2, nullptr, 16);
        if (kind == 'b') return std::strtoull(word.c_str() + 2, nullptr, 2);
    }
    return std::strtoull(word.c_str(), nullptr, 0);
}

}  // namespace xbench::ptx
