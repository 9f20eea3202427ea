// A recursive descent over text that is known to be valid, so nothing but structure is looked at.
#include "core/json_position.h"

#include "core/error.h"
#include "core/json.h"

namespace xbench {
namespace {

constexpr int deepest = 100;

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {
        if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;  // a byte order mark, which the parser skips too
    }

    JsonPositions scan() {
        skip_space();
        value("", at_, 0);
        return std::move(found_);
    }

private:
    void value(const std::string& pointer, size_t key_offset, int depth) {
        if (depth > deepest) throw Error("nested more than " + std::to_string(deepest) + " deep", pointer.substr(0, 60));
        found_.at[pointer] = {key_offset, at_};
        if (peek() == '{') {
            object(pointer, depth);
        } else if (peek() == '[') {
            array(pointer, depth);
        } else if (peek() == '"') {
            string();
        } else {
            while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
        }
        skip_space();
    }

    void object(const std::string& pointer, int depth) {
        ++at_;
        for (skip_space(); peek() != '}' && peek() != '\0'; skip_comma()) {
            const size_t key_offset = at_;
            const std::string child = pointer + "/" + pointer_escape(string());
            skip_space();
            ++at_;  // the colon
            skip_space();
            if (const auto before = found_.at.find(child); before != found_.at.end())
                found_.duplicates.push_back({child, before->second.key, key_offset});
            value(child, key_offset, depth + 1);
        }
        ++at_;
    }

    void array(const std::string& pointer, int depth) {
        ++at_;
        size_t index = 0;
        for (skip_space(); peek() != ']' && peek() != '\0'; skip_comma(), ++index)
            value(pointer + "/" + std::to_string(index), at_, depth + 1);
        ++at_;
    }

    // Steps over a string and returns it decoded.
    std::string string() {
        const size_t begin = at_++;
        while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
        ++at_;
        const std::optional<Json> decoded = parse_json(text_.substr(begin, at_ - begin));
        return decoded ? decoded->get<std::string>() : std::string();
    }

    void skip_comma() {
        if (peek() == ',') ++at_;
        skip_space();
    }
    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    std::string_view text_;
    size_t at_ = 0;
    JsonPositions found_;
};

}  // namespace

JsonPositions find_positions(std::string_view text) { return Scanner(text).scan(); }

LineColumn line_column(std::string_view text, size_t offset) {
    LineColumn at{1, 1};
    for (size_t i = 0; i < offset && i < text.size(); ++i) {
        const bool continues_a_character = (static_cast<unsigned char>(text[i]) & 0xC0u) == 0x80u;
        if (text[i] == '\n') {
            ++at.line;
            at.column = 1;
        } else if (!continues_a_character) {
            ++at.column;
        }
    }
    return at;
}

std::string pointer_escape(std::string_view key) {
    std::string escaped;
    for (const char c : key) {
        if (c == '~')
            escaped += "~0";
        else if (c == '/')
            escaped += "~1";
        else
            escaped += c;
    }
    return escaped;
}

}  // namespace xbench
