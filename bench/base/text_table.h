// Columns of text as Markdown that is also readable in a terminal.
#pragma once

#include <string>
#include <vector>

namespace xbench {

struct TextColumn {
    std::string title;
    bool right = true;  // numbers to the right, words to the left
};

// Rows have as many cells as there are columns. A bar inside a cell is escaped.
std::string markdown_table(const std::vector<TextColumn>& columns, const std::vector<std::vector<std::string>>& rows);

// RFC 4180: fields with commas, quotes or line breaks are quoted.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace xbench
