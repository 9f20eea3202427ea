// Where the program lies and what was installed beside it; and the pages that it writes about itself.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

namespace xbench {

// A configuration as the user named it. A relative name that is not here is looked for among those that were installed with
// the program, from whichever prefix it runs: "scaling.json" and "configs/scaling.json" alike.
std::string find_config(const std::string& given);

// This program, which the processes that decode files are, too: as the kernel knows it, so that one that is replaced
// meanwhile stays the same; by its path where there is no /proc.
std::string decode_program();

// xbench.1, a page for each subcommand, and the completions of all shells, into one folder: what the build installs.
void write_pages(const CLI::App& program, const std::filesystem::path& folder);
// The completion of one shell, to be sourced.
std::string completion_script(const CLI::App& program, const std::string& shell);

}  // namespace xbench
