// Rows from CLI11's objects, and the words of those values that a table of the program knows.
#include "app/command_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <cctype>
#include <set>

#include "app/commands.h"
#include "core/config_fields.h"
#include "core/graph.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

std::string sentence(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text;
}

// The words between the first braces of CLI11's text: "TEXT:{fp32,bf16}".
std::vector<std::string> listed_words(const std::string& type) {
    const size_t open = type.find('{'), close = type.find('}', open);
    std::vector<std::string> words;
    if (open == std::string::npos || close == std::string::npos) return words;
    for (size_t at = open + 1; at < close;) {
        const size_t end = std::min(type.find(',', at), close);
        words.push_back(type.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

// "train.precision=bf16" where a key takes one of some words, else "train.epochs=".
std::vector<std::string> setting_words() {
    std::vector<std::string> words;
    Config config;
    for (const ConfigField& field : config_fields()) {
        if (field.path.find('*') != std::string::npos) continue;  // of a sweep's rows
        std::string key = field.path.substr(1);
        std::replace(key.begin(), key.end(), '/', '.');
        std::vector<std::string> choices = field.choices;
        if (std::holds_alternative<bool*>(field.slot(config, 0))) choices = {"true", "false"};
        if (choices.empty()) choices = {""};
        for (const std::string& choice : choices) words.push_back(key + "=" + choice);
    }
    return words;
}

std::vector<std::string> kernel_words(bool with_names) {
    std::set<std::string> words;
    for (const Kernel& row : kernel_table())
        words.insert(with_names ? fmt::format("{}={}", name_of(row.op), row.name) : std::string(name_of(row.op)));
    return {words.begin(), words.end()};
}

std::vector<std::string> words_of(const std::string& name, const std::string& type) {
    if (name == value::model) return known_models();
    if (name == value::setting) return setting_words();
    if (name == value::operation || name == value::choice) return kernel_words(name == value::choice);
    return listed_words(type);
}

// CLI11 writes the name of the type, a colon, and what its checks say of themselves.
std::string value_name(const CLI::Option& option, const std::vector<std::string>& words) {
    const std::string type = option.get_type_name();
    const std::string name = type.substr(0, type.find(':'));
    if (name == "TEXT" && !words.empty()) return value::one_of(words);
    if (name == "INT" || name == "UINT") return "N";
    if (name == "FLOAT") return "NUMBER";
    return name;
}

OptionRow option_row(const CLI::Option& option) {
    OptionRow row;
    row.positional = option.get_positional();
    if (row.positional) row.names.push_back(option.get_name(true));
    for (const std::string& name : option.get_lnames()) row.names.push_back("--" + name);
    for (const std::string& name : option.get_snames()) row.names.push_back("-" + name);
    if (option.get_type_size_max() > 0) {
        const std::string type = option.get_type_name();
        row.words = words_of(type, type);
        row.value = value_name(option, row.words) + (option.get_delimiter() == ',' ? ",..." : "");
        row.default_text = option.get_default_str();
        row.repeatable =
            option.get_expected_max() >= CLI::detail::expected_max_vector_size && option.get_delimiter() == '\0';
    }
    row.help = sentence(option.get_description());
    row.required = option.get_required();
    row.group = option.get_group();
    for (const CLI::Option* other : option.get_excludes())
        if (other->get_group() == row.group) row.excludes.push_back("--" + other->get_single_name());
    std::sort(row.excludes.begin(), row.excludes.end());  // CLI11 sorts them by address
    return row;
}

void add_rows(const CLI::App& command, std::vector<CommandRow>& rows) {
    rows.push_back(command_row(command));
    for (const CLI::App* sub : command.get_subcommands({})) add_rows(*sub, rows);
}

}  // namespace

std::string value::one_of(const std::vector<std::string>& words) { return fmt::format("{{{}}}", fmt::join(words, ",")); }

CommandRow command_row(const CLI::App& command) {
    CommandRow row;
    for (const CLI::App* at = &command; at->get_parent() != nullptr; at = at->get_parent())
        row.name = at->get_name() + (row.name.empty() ? "" : " ") + row.name;
    row.summary = sentence(command.get_description());
    row.notes = command.get_footer();
    for (const bool positional : {true, false})
        for (const CLI::Option* option : command.get_options())
            if (option->get_positional() == positional && !option->get_group().empty())
                row.options.push_back(option_row(*option));
    for (const CLI::App* sub : command.get_subcommands({})) row.subcommands.push_back(sub->get_name());
    return row;
}

std::vector<CommandRow> command_table(const CLI::App& program) {
    std::vector<CommandRow> rows;
    add_rows(program, rows);
    return rows;
}

std::string usage_line(const CommandRow& command) {
    std::string line = command.name.empty() ? "xbench" : "xbench " + command.name;
    bool optional = false;
    for (const OptionRow& row : command.options) {
        optional |= !row.positional && !row.required;
        if (row.positional)
            line += row.required ? " " + row.names[0] : " [" + row.names[0] + "]";
        else if (row.required)
            line += fmt::format(" {} {}", row.names[0], row.value);
    }
    if (optional) line += " [options]";
    if (!command.subcommands.empty()) line += command.name.empty() ? "\nxbench COMMAND [options]" : " COMMAND";
    return line;
}

}  // namespace xbench
