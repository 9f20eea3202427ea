// Aligned Markdown, and CSV.
#include "bench/base/text_table.h"

#include <algorithm>

namespace xbench {
namespace {

size_t width_of(const std::string& text) {  // in characters
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

std::string escaped(const std::string& cell) {
    std::string text;
    for (const char c : cell) {
        if (c == '|') text += '\\';
        text += c == '\n' ? ' ' : c;
    }
    return text;
}

std::string line_of(const std::vector<TextColumn>& columns, const std::vector<std::string>& cells,
                    const std::vector<size_t>& widths) {
    std::string line = "|";
    for (size_t i = 0; i < columns.size(); ++i) {
        const std::string padding(widths[i] - width_of(cells[i]), ' ');
        line += " " + (columns[i].right ? padding + cells[i] : cells[i] + padding) + " |";
    }
    return line + "\n";
}

}  // namespace

std::string markdown_table(const std::vector<TextColumn>& columns, const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::string> titles;
    std::vector<size_t> widths;
    for (const TextColumn& column : columns) {
        titles.push_back(column.title);
        widths.push_back(std::max<size_t>(3, width_of(column.title)));
    }
    std::vector<std::vector<std::string>> cells = rows;
    for (auto& row : cells)
        for (size_t i = 0; i < columns.size(); ++i) {
            row[i] = escaped(row[i]);
            widths[i] = std::max(widths[i], width_of(row[i]));
        }
    std::string text = line_of(columns, titles, widths) + "|";
    for (size_t i = 0; i < columns.size(); ++i)
        text += " " + std::string(widths[i] - 1, '-') + (columns[i].right ? ":" : "-") + " |";
    text += "\n";
    for (const auto& row : cells) text += line_of(columns, row, widths);
    return text;
}

std::string csv_line(const std::vector<std::string>& fields) {
    std::string line;
    for (size_t i = 0; i < fields.size(); ++i) {
        if (i > 0) line += ',';
        if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
            line += fields[i];
            continue;
        }
        line += '"';
        for (const char c : fields[i]) {
            if (c == '"') line += '"';
            line += c;
        }
        line += '"';
    }
    return line + "\n";
}

}  // namespace xbench
