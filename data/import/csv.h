// Reads CSV as RFC 4180 has it, and as spreadsheets write it: quoted fields that hold commas, quotes and line ends; LF or
// CRLF; a byte order mark in front.
#pragma once

#include <string>
#include <vector>

namespace xbench {

struct CsvTable {
    std::string path;
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;  // each as long as the header
    std::vector<int> lines;                      // where each row starts, from 1
};

// Throws UsageError with file and line.
CsvTable read_csv(const std::string& path);
CsvTable parse_csv(const std::string& text, const std::string& path);
// A field as it must be written: quoted where it needs to be.
std::string csv_field(const std::string& text);

}  // namespace xbench
