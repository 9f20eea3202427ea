// Completion for bash, zsh and fish, written from the rows of the command line: commands, options, the words that an option
// takes, files and folders.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/command_table.h"

namespace xbench {

struct Shell {
    const char* name;  // of --print-completion
    const char* file;  // what the shell looks for in its folder
    std::string (*script)(const std::vector<CommandRow>& table);
};
std::span<const Shell> shells();

std::string bash_completion(const std::vector<CommandRow>& table);
std::string zsh_completion(const std::vector<CommandRow>& table);
std::string fish_completion(const std::vector<CommandRow>& table);

}  // namespace xbench
