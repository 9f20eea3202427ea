// Reads CSV as RFC 4180 defines it and as spreadsheets write it: quoted fields with commas, quotes and line ends in them;
// LF or CRLF; UTF-8 with or without a byte order mark, or UTF-16. Blanks around a field, in quotes or not, are not part of
// it: " p1" and "p1" are one patient.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xbench {

struct CsvTable {
    std::string path;
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;  // each as long as the header
    std::vector<int> lines;                      // where each row starts, from 1
};

// Throws UsageError with file and line; for another separator than the header's, with a proposal. `option` names the file.
CsvTable read_csv(const std::string& path, char separator = ',', const char* option = "--labels");
CsvTable parse_csv(const std::string& bytes, const std::string& path, char separator = ',');
// Where the column of this name stands; nothing where there is none. Throws UsageError where there are two.
std::optional<size_t> column_of(const CsvTable& table, const std::string& name);
// The same; throws UsageError with the remedy, and the nearest name, where there is none.
size_t column_named(const CsvTable& table, const std::string& name, const std::string& remedy);
// The names of the columns, from the first line alone; none where there is no such file, or no text. Never throws.
std::vector<std::string> header_of(const std::string& path);
// Without blanks (no-break spaces too) at either end.
std::string trimmed(std::string_view text);
// A field as it must be written: quoted where it needs to be.
std::string csv_field(const std::string& text);

}  // namespace xbench
