// Manual pages in troff's man macros, written from the rows of the command line: xbench(1), and a page for each subcommand.
#pragma once

#include <string>
#include <vector>

#include "app/command_table.h"

namespace xbench {

// "xbench" or "xbench-data-import": the file is this and ".1", and `man xbench data import` finds it too.
std::string page_name(const CommandRow& command);
// `version` and `date` (2026-01-31) stand in the page's first and last line.
std::string man_page(const CommandRow& command, const std::vector<CommandRow>& table, const std::string& version,
                     const std::string& date);

}  // namespace xbench
