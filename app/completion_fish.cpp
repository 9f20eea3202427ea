// fish: a line for each command and option, on condition of the command that the line so far names.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <array>

#include "app/completions.h"

namespace xbench {
namespace {

constexpr const char* head =
    R"fish(# fish completion for xbench. Written by the program itself: xbench --print-completion fish
# The command of the line so far: "", "train", "data import".
function __xbench_command
    set -l found
    for word in (commandline -opc)[2..-1]
        switch "$found $word"
            case %COMMANDS%
                set found (string trim "$found $word")
            case '*'
                break
        end
    end
    echo "$found"
end
function __xbench_is
    test (__xbench_command) = "$argv[1]"
end
complete -c xbench -f
)fish";

std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') result += '\\';
        result += c;
    }
    return result + "'";
}

std::string value_text(const OptionRow& row) {
    if (row.value.empty()) return "";
    if (row.value == value::file || row.value == value::path) return " -r -F";
    if (row.value == value::folder) return " -x -a '(__fish_complete_directories)'";
    if (row.words.empty()) return " -x";
    return fmt::format(" -x -a {}", quoted(fmt::format("{}", fmt::join(row.words, " "))));
}

std::string option_line(const CommandRow& command, const OptionRow& row) {
    std::string text = fmt::format("complete -c xbench -n {}", quoted("__xbench_is " + quoted(command.name)));
    if (row.positional) {
        const std::string value = value_text(row);
        return text + (value == " -r -F" ? " -F" : value.substr(std::min<size_t>(value.size(), 3))) + "\n";
    }
    for (const std::string& name : row.names)
        text += name.rfind("--", 0) == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
    return text + value_text(row) + " -d " + quoted(row.help) + "\n";
}

std::string command_lines(const CommandRow& command, const std::vector<CommandRow>& table) {
    std::string text;
    for (const CommandRow& row : table)
        for (const std::string& name : command.subcommands)
            if (row.name == (command.name.empty() ? name : command.name + " " + name))
                text += fmt::format("complete -c xbench -n {} -a {} -d {}\n", quoted("__xbench_is " + quoted(command.name)),
                                    name, quoted(row.summary));
    for (const OptionRow& row : command.options) text += option_line(command, row);
    return text;
}

}  // namespace

std::string fish_completion(const std::vector<CommandRow>& table) {
    std::vector<std::string> keys;
    for (const CommandRow& command : table)
        if (!command.name.empty())
            keys.push_back(quoted(command.name.find(' ') == std::string::npos ? " " + command.name : command.name));
    std::string text = head;
    const std::string mark = "%COMMANDS%";
    text.replace(text.find(mark), mark.size(), fmt::format("{}", fmt::join(keys, " ")));
    for (const CommandRow& command : table) text += command_lines(command, table);
    return text;
}

std::span<const Shell> shells() {
    static constexpr std::array table = {Shell{"bash", "xbench", bash_completion}, Shell{"zsh", "_xbench", zsh_completion},
                                         Shell{"fish", "xbench.fish", fish_completion}};
    return table;
}

}  // namespace xbench
