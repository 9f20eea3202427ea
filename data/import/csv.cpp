// The CSV reader: one pass over the text.
#include "data/import/csv.h"

#include <fstream>
#include <iterator>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {
namespace {

class Parser {
public:
    Parser(const std::string& text, const std::string& path) : text_(text), path_(path) {
        if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    }
    bool at_end() const { return at_ >= text_.size(); }
    int line() const { return line_; }

    // The fields up to the end of the record.
    std::vector<std::string> record() {
        std::vector<std::string> fields(1);
        while (!at_end()) {
            const char letter = text_[at_];
            if (letter == '"' && fields.back().empty()) {
                fields.back() = quoted();
            } else if (letter == ',') {
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

private:
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
    size_t at_ = 0;
    int line_ = 1;
};

}  // namespace

CsvTable parse_csv(const std::string& text, const std::string& path) {
    CsvTable table{path, {}, {}, {}};
    Parser parser(text, path);
    table.header = parser.record();
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

CsvTable read_csv(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw UsageError("cannot be opened", path, "check the path of --labels");
    return parse_csv(std::string(std::istreambuf_iterator<char>(file), {}), path);
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
