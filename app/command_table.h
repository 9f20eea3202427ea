// What the command line takes, as data: read from the options that CLI11 parses, so that --help, the manual pages and the
// completions of three shells are made of the same rows as the parser and cannot differ from it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace xbench {

// What stands behind an option. An option says it by type_name(): help and manual show the word, completion goes by it.
namespace value {
inline constexpr const char *file = "FILE", *folder = "FOLDER", *path = "PATH";  // path: a file or a folder
inline constexpr const char *model = "MODEL", *operation = "OPERATOR", *choice = "OPERATOR=NAME", *setting = "KEY=VALUE";
std::string one_of(const std::vector<std::string>& words);  // "{fp32,bf16}"
}  // namespace value

struct OptionRow {
    std::vector<std::string> names;     // "--begin" and "-b", long ones first; of a positional its one name
    std::string value;                  // "FILE", "{fp32,bf16}"; empty: a flag
    std::vector<std::string> words;     // what completion proposes; one that ends in "=" goes on
    std::string default_text;           // empty: none
    std::string help;                   // begins with a capital, has no full stop
    std::string group;                  // the heading that it stands under
    std::vector<std::string> excludes;  // of the same group
    bool positional = false, required = false, repeatable = false;
};

struct CommandRow {
    std::string name;                      // what is typed behind xbench: "", "train", "data import"
    std::string summary;                   // begins with a capital, has no full stop
    std::string notes;                     // paragraphs between empty lines; "$ " begins an example, "  " goes on with it
    std::vector<OptionRow> options;        // positionals first
    std::vector<std::string> subcommands;  // the next word
};

CommandRow command_row(const CLI::App& command);
// The program itself first, then its subcommands in order, each before its own. Options of the group "" are left out.
std::vector<CommandRow> command_table(const CLI::App& program);

// "xbench step --model MODEL --batch N [options]": a command with all that it must be given.
std::string usage_line(const CommandRow& command);

}  // namespace xbench
