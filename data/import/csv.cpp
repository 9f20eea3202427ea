// The CSV reader: one pass over the text.
#include "data/import/csv.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"
#include "core/utf8.h"

namespace xbench {
namespace {

class Parser {
public:
    Parser(const std::string& text, const std::string& path, char separator)
        : text_(text), path_(path), separator_(separator) {}
    bool at_end() const { return at_ >= text_.size(); }
    int line() const { return line_; }

    // The fields up to the end of the record, each without the blanks around it.
    std::vector<std::string> record() {
        std::vector<std::string> fields = raw_record();
        for (std::string& field : fields) field = trimmed(field);
        return fields;
    }

private:
    std::vector<std::string> raw_record() {
        std::vector<std::string> fields(1);
        while (!at_end()) {
            const char letter = text_[at_];
            if (letter == '"' && trimmed(fields.back()).empty()) {
                fields.back() = quoted();
            } else if (letter == separator_) {
                fields.emplace_back();
                ++at_;
            } else if (letter == '\n' || letter == '\r') {
                at_ += text_.compare(at_, 2, "\r\n") == 0 ? 2 : 1;
                ++line_;
                return fields;
            } else {
                fields.back() += letter;
                ++at_;
            }
        }
        return fields;
    }

    std::string quoted() {
        const int start = line_;
        std::string field;
        for (++at_; !at_end(); ++at_) {
            if (text_[at_] == '\n') ++line_;
            if (text_[at_] != '"') {
                field += text_[at_];
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
                field += '"';
                ++at_;
            } else {
                ++at_;
                return field;
            }
        }
        throw UsageError("a quoted field is never closed", fmt::format("{}:{}", path_, start));
    }

    const std::string& text_;
    const std::string& path_;
    const char separator_;
    size_t at_ = 0;
    int line_ = 1;
};

constexpr std::string_view gzip = "\x1f\x8b";
constexpr std::string_view bom8 = "\xef\xbb\xbf", bom16_little = "\xff\xfe", bom16_big = "\xfe\xff",
                           no_break_space = "\xc2\xa0";

int line_of(std::string_view text, size_t at) {
    return 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

void append_utf8(std::string& text, uint32_t point) {
    const auto add = [&](uint32_t byte) { text += static_cast<char>(byte); };
    if (point < 0x80) {
        add(point);
    } else if (point < 0x800) {
        add(0xC0 | point >> 6), add(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        add(0xE0 | point >> 12), add(0x80 | (point >> 6 & 0x3F)), add(0x80 | (point & 0x3F));
    } else {
        add(0xF0 | point >> 18), add(0x80 | (point >> 12 & 0x3F)), add(0x80 | (point >> 6 & 0x3F)),
            add(0x80 | (point & 0x3F));
    }
}

std::string from_utf16(std::string_view bytes, bool big) {
    const auto unit = [&](size_t i) {
        const auto first = static_cast<uint8_t>(bytes[i]), second = static_cast<uint8_t>(bytes[i + 1]);
        return big ? uint32_t{first} << 8 | second : uint32_t{second} << 8 | first;
    };
    std::string text;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
        uint32_t point = unit(i);
        if (point >= 0xD800 && point < 0xDC00 && i + 3 < bytes.size()) {
            point = 0x10000 + ((point - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
            i += 2;
        }
        append_utf8(text, point);
    }
    return text;
}

// UTF-16 without a mark: text that is ASCII for the most part has a zero in every other byte.
bool has_zeros_at(std::string_view text, size_t parity) {
    const size_t looks = std::min<size_t>(text.size(), 64) / 2;
    size_t zeros = 0;
    for (size_t i = 0; i < looks; ++i) zeros += text[2 * i + parity] == '\0';
    return looks > 0 && zeros * 4 > looks * 3;
}

std::string decode(const std::string& bytes, const std::string& path) {
    const std::string_view view = bytes;
    std::string text = bytes;
    if (view.starts_with(bom16_little) || has_zeros_at(view, 1)) {
        text = from_utf16(view.substr(view.starts_with(bom16_little) ? 2 : 0), false);
    } else if (view.starts_with(bom16_big) || has_zeros_at(view, 0)) {
        text = from_utf16(view.substr(view.starts_with(bom16_big) ? 2 : 0), true);
    } else if (view.starts_with(bom8)) {
        text = bytes.substr(bom8.size());
    }
    if (const size_t bad = first_bad_byte(text); bad < text.size()) {
        throw UsageError(fmt::format("byte 0x{:02X} is not UTF-8", static_cast<uint8_t>(text[bad])),
                         fmt::format("{}:{}", path, line_of(text, bad)),
                         "save the table as UTF-8 (iconv -f latin1 -t utf8 converts one)");
    }
    if (const size_t zero = text.find('\0'); zero != std::string::npos)
        throw UsageError("a zero byte: this is no text", fmt::format("{}:{}", path, line_of(text, zero)), "name a CSV file");
    return text;
}

void check_separator(const std::vector<std::string>& header, char separator, const std::string& path) {
    for (const auto& [other, name] : {std::pair{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}}) {
        if (header.size() != 1 || other == separator || header[0].find(other) == std::string::npos) continue;
        throw UsageError(fmt::format("the fields of the header are separated by a {}", name), path + ":1",
                         fmt::format("give --separator {}, or save the table with commas", name));
    }
}

}  // namespace

std::string trimmed(std::string_view text) {
    const auto blank = [](char letter) { return letter == ' ' || (letter >= '\t' && letter <= '\r'); };
    while (!text.empty()) {
        if (blank(text.front()))
            text.remove_prefix(1);
        else if (blank(text.back()))
            text.remove_suffix(1);
        else if (text.starts_with(no_break_space))
            text.remove_prefix(no_break_space.size());
        else if (text.ends_with(no_break_space))
            text.remove_suffix(no_break_space.size());
        else
            break;
    }
    return std::string(text);
}

CsvTable parse_csv(const std::string& bytes, const std::string& path, char separator) {
    const std::string text = decode(bytes, path);
    CsvTable table{path, {}, {}, {}};
    Parser parser(text, path, separator);
    table.header = parser.record();
    check_separator(table.header, separator, path);
    while (!parser.at_end()) {
        const int line = parser.line();
        auto fields = parser.record();
        if (fields.size() == 1 && fields[0].empty()) continue;  // an empty line
        if (fields.size() != table.header.size()) {
            throw UsageError(fmt::format("{} fields where the header has {}", fields.size(), table.header.size()),
                             fmt::format("{}:{}", path, line));
        }
        table.rows.push_back(std::move(fields));
        table.lines.push_back(line);
    }
    if (table.rows.empty()) throw UsageError("has no rows below its header", path);
    return table;
}

CsvTable read_csv(const std::string& path, char separator, const char* option) {
    std::error_code failure;
    if (std::filesystem::is_directory(path, failure)) throw UsageError("is a folder, not a table", path, "name a CSV file");
    errno = 0;
    const std::optional<std::string> bytes = file_text(path);
    if (!bytes)
        throw UsageError(std::string("cannot be read: ") + std::strerror(errno), path,
                         std::string("check the path of ") + option);
    if (bytes->starts_with(gzip)) throw UsageError("is compressed with gzip", path, "unpack it: gunzip FILE");
    return parse_csv(*bytes, path, separator);
}

std::optional<size_t> column_of(const CsvTable& table, const std::string& name) {
    const auto begin = table.header.begin(), end = table.header.end();
    const auto found = std::find(begin, end, name);
    if (found == end) return std::nullopt;
    if (const auto again = std::find(found + 1, end, name); again != end)
        throw UsageError(fmt::format("columns {} and {} are both called '{}'", found - begin + 1, again - begin + 1, name),
                         table.path + ":1", "rename or remove one of them");
    return static_cast<size_t>(found - begin);
}

size_t column_named(const CsvTable& table, const std::string& name, const std::string& remedy) {
    if (const auto at = column_of(table, name)) return *at;
    const std::string guess = nearest(name, table.header);
    throw UsageError(fmt::format("no column '{}'; the header is {}{}", name, fmt::join(table.header, ","),
                                 guess.empty() ? "" : "; did you mean " + guess + "?"),
                     table.path + ":1", remedy);
}

std::vector<std::string> header_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (!std::getline(file, line) || line.size() > (size_t{1} << 20)) return {};
    try {
        const std::string text = decode(line, path);
        return Parser(text, path, ',').record();
    } catch (const UsageError&) {
        return {};
    }
}

std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char letter : text) {
        if (letter == '"') quoted += '"';
        quoted += letter;
    }
    return quoted + '"';
}

}  // namespace xbench
