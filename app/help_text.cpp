// Names in a column of their own, what they mean beside them, or below where a name is long.
#include "app/help_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <sstream>

namespace xbench {
namespace {

constexpr size_t names_width = 27, widest = 110;

std::string names_of(const OptionRow& row) {
    std::vector<std::string> names = row.names;
    std::reverse(names.begin(), names.end());  // -b,--begin
    std::string text = fmt::format("  {}", fmt::join(names, ","));
    if (!row.value.empty() && !row.positional) text += " " + row.value;
    return text;
}

std::string meaning_of(const OptionRow& row) {
    std::string text = row.help;
    if (row.required) text += " (required)";
    if (!row.default_text.empty()) text += fmt::format(" (default {})", row.default_text);
    if (row.repeatable) text += " (may be repeated)";
    if (!row.excludes.empty()) text += fmt::format(" (not with {})", fmt::join(row.excludes, ", "));
    return text;
}

std::string two_columns(const std::string& left, const std::string& right, size_t columns) {
    std::string text = left;
    if (left.size() + 2 > names_width)
        text += "\n" + std::string(names_width, ' ');
    else
        text += std::string(names_width - left.size(), ' ');
    return text + wrapped(right, columns - names_width, names_width) + "\n";
}

std::string options_text(const CommandRow& command, bool positional, size_t columns) {
    std::string text, group;
    for (const OptionRow& row : command.options) {
        if (row.positional != positional) continue;
        const std::string heading = positional ? "Arguments" : row.group;
        if (heading != group) text += "\n" + heading + ":\n";
        group = heading;
        text += two_columns(names_of(row), meaning_of(row), columns);
    }
    return text;
}

std::string subcommands_text(const CommandRow& command, const std::vector<CommandRow>& table, size_t columns) {
    std::string text;
    for (const std::string& name : command.subcommands)
        for (const CommandRow& row : table)
            if (row.name == (command.name.empty() ? name : command.name + " " + name))
                text += two_columns("  " + name, row.summary, columns);
    return text.empty() ? text : "\nCommands:\n" + text;
}

// Examples stay on one line, to be copied.
std::string notes_text(const std::string& notes, size_t columns) {
    std::string text;
    std::istringstream lines(notes);
    for (std::string line; std::getline(lines, line);)
        text += (line.rfind("$ ", 0) == 0   ? "  " + line.substr(2)
                 : line.rfind("  ", 0) == 0 ? "  " + line
                                            : wrapped(line, columns, 0)) +
                "\n";
    return text.empty() ? text : "\n" + text;
}

}  // namespace

size_t columns_here() {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40;
    return known ? std::min<size_t>(size.ws_col, widest) : 80;
}

std::string wrapped(const std::string& text, size_t columns, size_t indent) {
    std::string result;
    size_t used = 0;
    std::istringstream words(text);
    for (std::string word; words >> word; used += word.size()) {
        if (used > 0 && used + 1 + word.size() > columns) {
            result += "\n" + std::string(indent, ' ');
            used = 0;
        }
        if (used > 0) {
            result += ' ';
            ++used;
        }
        result += word;
    }
    return result;
}

std::string help_text(const CommandRow& command, const std::vector<CommandRow>& table, size_t columns) {
    std::istringstream usages(usage_line(command));
    std::string text, before = "Usage: ";
    for (std::string line; std::getline(usages, line); before = "       ")
        text += before + wrapped(line, columns - before.size(), before.size() + 4) + "\n";
    text += "\n" + wrapped(command.summary + ".", columns, 0) + "\n";
    return text + subcommands_text(command, table, columns) + options_text(command, true, columns) +
           options_text(command, false, columns) + notes_text(command.notes, columns);
}

std::string TableFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
    const CLI::App* program = app;
    while (program->get_parent() != nullptr) program = program->get_parent();
    return help_text(command_row(*app), command_table(*program), columns_here());
}

}  // namespace xbench
