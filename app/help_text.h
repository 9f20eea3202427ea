// --help: a command's row as text that fits the terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "app/command_table.h"

namespace xbench {

// Of the terminal that stdout is; 80 where it is none. Lines of more than 110 columns are hard to read.
size_t columns_here();
// Text of at most `columns` columns, words whole; each line but the first begins with `indent` spaces.
std::string wrapped(const std::string& text, size_t columns, size_t indent);
std::string help_text(const CommandRow& command, const std::vector<CommandRow>& table, size_t columns);

// What CLI11 asks when it meets --help. Subcommands inherit it.
class TableFormatter : public CLI::FormatterBase {
public:
    std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace xbench
