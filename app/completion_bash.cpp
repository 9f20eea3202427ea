// bash: one function with a case for each option that takes a value. It needs nothing of the package bash-completion.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/completions.h"

namespace xbench {
namespace {

// COMP_WORDS come cut at "=", also inside of a value; they are put together again, and a reply holds only what is behind
// the last "=".
constexpr const char* body = R"bash(
_xbench_words() {
    local word glued=${cur%"${cur##*=}"}
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
    case $COMP_WORDBREAKS in *=*) COMPREPLY=("${COMPREPLY[@]#"$glued"}") ;; esac
    for word in "${COMPREPLY[@]}"; do
        [[ $word != *= ]] || compopt -o nospace 2>/dev/null
    done
}

_xbench_paths() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
    compopt -o filenames 2>/dev/null
}

_xbench() {
    local cur prev command="" i
    local -a words=()
    COMPREPLY=()
    for ((i = 0; i <= COMP_CWORD; ++i)); do
        if ((i > 1)) && [[ ${COMP_WORDS[i]} == = || ${COMP_WORDS[i - 1]} == = ]]; then
            words[-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
    done
    for ((i = 1; i < ${#words[@]} - 1; ++i)); do
        case "$command ${words[i]}" in
            %COMMANDS%) command="$command ${words[i]}" ;;
            *) break ;;
        esac
    done
    cur=${words[-1]} prev=${words[-2]}
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*} cur=${cur#*=}
    fi
    case "$command $prev" in
%VALUES%
    esac
    if [[ $cur == -* ]]; then
        case "$command" in
%OPTIONS%
        esac
        return
    fi
    case "$command" in
%OPERANDS%
    esac
}
complete -F _xbench xbench
)bash";

std::string replaced(std::string text, const std::string& mark, const std::string& with) {
    return text.replace(text.find(mark), mark.size(), with);
}

// " data import" as the function builds it.
std::string command_key(const CommandRow& command) { return command.name.empty() ? "" : " " + command.name; }

std::string action(const OptionRow& row) {
    if (row.value == value::file || row.value == value::path) return "_xbench_paths -f";
    if (row.value == value::folder) return "_xbench_paths -d";
    if (!row.words.empty()) return fmt::format("_xbench_words '{}'", fmt::join(row.words, " "));
    return ":";  // a number: nothing is proposed, and no option either
}

std::string values(const std::vector<CommandRow>& table) {
    std::string text;
    for (const CommandRow& command : table)
        for (const OptionRow& row : command.options) {
            if (row.positional || row.value.empty()) continue;
            std::vector<std::string> keys;
            for (const std::string& name : row.names) keys.push_back(fmt::format("'{} {}'", command_key(command), name));
            text += fmt::format("        {}) {}; return ;;\n", fmt::join(keys, " | "), action(row));
        }
    return text;
}

std::string options(const std::vector<CommandRow>& table) {
    std::string text;
    for (const CommandRow& command : table) {
        std::vector<std::string> names;
        for (const OptionRow& row : command.options)
            if (!row.positional) names.insert(names.end(), row.names.begin(), row.names.end());
        text += fmt::format("            '{}') _xbench_words '{}' ;;\n", command_key(command), fmt::join(names, " "));
    }
    return text;
}

std::string operands(const std::vector<CommandRow>& table) {
    std::string text;
    for (const CommandRow& command : table) {
        if (!command.subcommands.empty())
            text += fmt::format("        '{}') _xbench_words '{}' ;;\n", command_key(command),
                                fmt::join(command.subcommands, " "));
        for (const OptionRow& row : command.options)
            if (row.positional) text += fmt::format("        '{}') {} ;;\n", command_key(command), action(row));
    }
    return text;
}

std::string commands(const std::vector<CommandRow>& table) {
    std::vector<std::string> keys;
    for (const CommandRow& command : table)
        if (!command.name.empty()) keys.push_back("'" + command_key(command) + "'");
    return fmt::format("{}", fmt::join(keys, " | "));
}

}  // namespace

std::string bash_completion(const std::vector<CommandRow>& table) {
    std::string text = "# bash completion for xbench. Written by the program itself: xbench --print-completion bash";
    text += body;
    text = replaced(text, "%COMMANDS%", commands(table));
    text = replaced(text, "%VALUES%\n", values(table));
    text = replaced(text, "%OPTIONS%\n", options(table));
    return replaced(text, "%OPERANDS%\n", operands(table));
}

}  // namespace xbench
