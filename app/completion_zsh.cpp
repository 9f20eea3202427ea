// zsh: a function for each command, by _arguments.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

#include "app/completions.h"

namespace xbench {
namespace {

// Inside of single quotes; brackets and colons mean something to _arguments.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return result;
}

std::string function_name(const CommandRow& command) {
    std::string name = command.name.empty() ? "_xbench" : "_xbench_" + command.name;
    std::replace(name.begin(), name.end(), ' ', '_');
    return name;
}

// Words that end in "=" go on: no space behind them.
std::string list_name(const OptionRow& row) { return row.value == value::setting ? "_xbench_settings" : ""; }

std::string action(const OptionRow& row) {
    if (row.value == value::file || row.value == value::path) return "_files";
    if (row.value == value::folder) return "_files -/";
    if (!list_name(row).empty()) return list_name(row);
    if (!row.words.empty()) return fmt::format("({})", fmt::join(row.words, " "));
    return " ";
}

std::string value_text(const OptionRow& row) { return ":" + escaped(row.value) + ":" + action(row); }

std::string option_lines(const OptionRow& row) {
    if (row.positional) return fmt::format(" \\\n        '{}{}'", row.required ? "1" : "1:", value_text(row));
    std::string text;
    for (const std::string& name : row.names) {
        const bool longer = name.rfind("--", 0) == 0;
        std::string before = row.repeatable ? "*" : "";
        if (!row.repeatable && (row.names.size() > 1 || !row.excludes.empty()))
            before = fmt::format("({}{}{})", fmt::join(row.names, " "), row.excludes.empty() ? "" : " ",
                                 fmt::join(row.excludes, " "));
        text += fmt::format(" \\\n        '{}{}{}[{}]{}'", before, name,
                            row.value.empty() ? ""
                            : longer          ? "="
                                              : "+",
                            escaped(row.help), row.value.empty() ? "" : value_text(row));
    }
    return text;
}

std::string command_function(const CommandRow& command, const std::vector<CommandRow>& table) {
    std::string text = function_name(command) + "() {\n    local curcontext=\"$curcontext\" context state line\n";
    text += "    typeset -A opt_args\n    _arguments -C";
    for (const OptionRow& row : command.options) text += option_lines(row);
    if (command.subcommands.empty()) return text + "\n}\n\n";
    std::string calls;
    text += " \\\n        '1: :((";
    for (const CommandRow& row : table)
        for (const std::string& name : command.subcommands)
            if (row.name == (command.name.empty() ? name : command.name + " " + name)) {
                std::string meaning = escaped(row.summary);
                std::replace(meaning.begin(), meaning.end(), '"', '`');
                text += fmt::format("{}\\:\"{}\" ", name, meaning);
                calls += fmt::format("        {}) {} ;;\n", name, function_name(row));
            }
    text += "))' \\\n        '*:: :->rest'\n    [[ $state == rest ]] || return\n    case $line[1] in\n";
    return text + calls + "    esac\n}\n\n";
}

// Keys of a configuration, of whichever option takes them.
std::string settings_function(const std::vector<CommandRow>& table) {
    std::vector<std::string> open, closed;
    for (const CommandRow& command : table)
        for (const OptionRow& row : command.options)
            for (const std::string& word : row.words)
                if (row.value == value::setting && command.name.empty())
                    (word.back() == '=' ? open : closed).push_back("'" + word + "'");
    return fmt::format("_xbench_settings() {{\n    compadd -S '' -- {}\n    compadd -- {}\n}}\n\n", fmt::join(open, " "),
                       fmt::join(closed, " "));
}

}  // namespace

std::string zsh_completion(const std::vector<CommandRow>& table) {
    std::string text = "#compdef xbench\n# Written by the program itself: xbench --print-completion zsh\n\n";
    text += settings_function(table);
    for (const CommandRow& command : table) text += command_function(command, table);
    // Autoloaded, the file is the function's body; sourced, it announces itself.
    return text + "if [ \"$funcstack[1]\" = \"_xbench\" ]; then\n    _xbench \"$@\"\nelse\n    compdef _xbench xbench\nfi\n";
}

}  // namespace xbench
