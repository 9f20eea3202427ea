// What is written out from the table of fields: a resolved configuration, the JSON Schema, the help and the documentation.
#include <fmt/format.h>
#include <cmath>

#include "core/config_fields.h"

namespace xbench {
namespace {

Json value_of(const ConfigField& field, Config& config, size_t row) {
    return std::visit(
        [&](auto slot) -> Json {
            if constexpr (std::is_same_v<decltype(slot), double*>)
                if (field.nullable && *slot < 0) return nullptr;
            if constexpr (std::is_same_v<decltype(slot), WordOrNumbers>)
                return slot.word->empty() ? Json(*slot.numbers) : Json(*slot.word);
            else
                return *slot;
        },
        field.slot(config, row));
}

// A configuration with one sweep row, so that every field has a slot to take a default from.
Config defaults() {
    Config config;
    config.sweep.resize(1);
    return config;
}

bool is_list(const ConfigField& field) {
    Config config = defaults();
    return std::visit(
        [](auto slot) {
            return !std::is_arithmetic_v<std::remove_pointer_t<decltype(slot)>> &&
                   !std::is_same_v<decltype(slot), std::string*>;
        },
        field.slot(config, 0));
}

const char* type_name(const ConfigField& field) {
    Config config = defaults();
    struct Name {
        const char* operator()(std::string*) const { return "string"; }
        const char* operator()(int64_t*) const { return "integer"; }
        const char* operator()(uint64_t*) const { return "integer"; }
        const char* operator()(double*) const { return "number"; }
        const char* operator()(bool*) const { return "boolean"; }
        const char* operator()(std::vector<int64_t>*) const { return "integer"; }
        const char* operator()(std::vector<double>*) const { return "number"; }
        const char* operator()(std::vector<std::string>*) const { return "string"; }
        const char* operator()(WordOrNumbers) const { return "number"; }
    };
    return std::visit(Name{}, field.slot(config, 0));
}

bool may_be_a_word(const ConfigField& field) {
    Config config = defaults();
    return std::holds_alternative<WordOrNumbers>(field.slot(config, 0));
}

Json default_of(const ConfigField& field) {
    Config config = defaults();
    return value_of(field, config, 0);
}

// Without a default in the table: the reader asks for it.
bool must_be_given(const std::string& path) {
    return path == "/model/name" || path == "/data/synthetic/count" || path == "/sweep/*/trainer" || path == "/data/path";
}

void write_section(Json& object, const std::string& path, Config& config, size_t row) {
    for (const std::string& key : keys_of_section(path)) {
        const std::string child = path + "/" + key;
        if (const ConfigField* field = find_field(child))
            object[key] = value_of(*field, config, row);
        else if (child != "/sweep")
            write_section(object[key] = Json::object(), child, config, row);
    }
}

// ---- JSON Schema ----

Json bound(double value) { return value == std::floor(value) ? Json(static_cast<int64_t>(value)) : Json(value); }

Json element_schema(const ConfigField& field) {
    Json schema{{"type", type_name(field)}};
    if (!std::isinf(field.range.low)) schema[field.range.low_open ? "exclusiveMinimum" : "minimum"] = bound(field.range.low);
    if (!std::isinf(field.range.high))
        schema[field.range.high_open ? "exclusiveMaximum" : "maximum"] = bound(field.range.high);
    if (!field.choices.empty() && !may_be_a_word(field)) schema["enum"] = field.choices;
    return schema;
}

Json field_schema(const ConfigField& field) {
    Json schema = element_schema(field);
    if (is_list(field)) {
        Json list{{"type", "array"}, {"items", schema}};
        if (field.at_least > 0) list["minItems"] = field.at_least;
        schema = Json{{"anyOf", {schema, list}}};
        if (may_be_a_word(field)) schema["anyOf"].push_back(Json{{"enum", field.choices}});
    }
    if (field.nullable) schema["type"] = {schema["type"], "null"};
    schema["description"] = field.help;
    if (!must_be_given(field.path)) schema["default"] = default_of(field);
    return schema;
}

const ConfigSection& section_at(const std::string& path) {
    for (const ConfigSection& section : config_sections())
        if (section.path == path) return section;
    return config_sections().front();
}

Json section_schema(const std::string& path) {
    Json schema{{"type", "object"}, {"description", section_at(path).help}, {"additionalProperties", false}};
    Json required = Json::array();
    for (const std::string& key : keys_of_section(path)) {
        const std::string child = path + "/" + key;
        Json& property = schema["properties"][key];
        if (const ConfigField* field = find_field(child)) {
            property = field_schema(*field);
            if (must_be_given(child) && child != "/data/path") required.push_back(key);
        } else if (child == "/sweep") {
            property =
                Json{{"type", "array"}, {"description", section_at(child).help}, {"items", section_schema("/sweep/*")}};
        } else if (child == "/model") {
            property =
                Json{{"anyOf", {Json{{"type", "string"}}, section_schema(child)}}, {"description", section_at(child).help}};
        } else {
            property = section_schema(child);
        }
        if (!find_field(child) && section_at(child).required) required.push_back(key);
    }
    if (path.empty()) schema["properties"]["$schema"] = Json{{"type", "string"}, {"description", "For editors."}};
    if (!required.empty()) schema["required"] = required;
    if (path == "/data") schema["oneOf"] = {Json{{"required", {"path"}}}, Json{{"required", {"synthetic"}}}};
    return schema;
}

// ---- documentation ----

std::string type_text(const ConfigField& field) {
    const std::string name = std::string(type_name(field)) == "integer" ? "whole number" : type_name(field);
    if (!is_list(field)) return field.nullable ? name + " or null" : name;
    return (may_be_a_word(field) ? "word, " : "") + name + " or list";
}

std::string allowed_text(const ConfigField& field) {
    if (field.choices.empty()) return to_string(field.range);
    std::string text = may_be_a_word(field) ? to_string(field.range) : "";
    for (const std::string& choice : field.choices)
        text += (text.empty() ? "`" : ", `") + (choice.empty() ? "\"\"" : choice) + "`";
    return text;
}

std::string dotted(const std::string& path) {
    std::string text = path.substr(1);
    for (char& c : text)
        if (c == '/') c = '.';
    return text;
}

}  // namespace

Json to_json(const Config& config) {
    Config copy = config;
    Json object = Json::object();
    write_section(object, "", copy, 0);
    object["sweep"] = Json::array();
    for (size_t row = 0; row < copy.sweep.size(); ++row) {
        object["sweep"].push_back(Json::object());
        write_section(object["sweep"].back(), "/sweep/*", copy, row);
    }
    if (copy.data.path.empty()) object["data"].erase("path");
    if (copy.data.synthetic.count == 0) object["data"].erase("synthetic");
    return object;
}

Json config_schema() {
    Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "xbench configuration"}};
    schema.update(section_schema(""));
    return schema;
}

std::string config_markdown() {
    std::string text =
        "# Configuration\n\n"
        "<!-- Made by `xbench --print-config-docs` from core/config_fields.cpp; do not edit. -->\n\n"
        "`xbench --config FILE` reads one JSON file. `--set train.epochs=3` replaces one value; `--print-config` prints the "
        "result\n"
        "with every default filled in. [config.schema.json](config.schema.json) is the JSON Schema (draft 7) for editors.\n"
        "Mistakes are listed all at once, each with line, column and path. `model` may be a name instead of an object, and "
        "a\n"
        "list may be a single number.\n";
    for (const ConfigSection& section : config_sections()) {
        if (section.path == "/sweep") continue;
        text +=
            fmt::format("\n## {}\n\n{}\n\n| key | type | default | allowed | meaning |\n| --- | --- | --- | --- | --- |\n",
                        section.path.empty() ? "Top level" : "`" + dotted(section.path) + "`", section.help);
        for (const std::string& key : keys_of_section(section.path))
            if (const ConfigField* field = find_field(section.path + "/" + key))
                text += fmt::format("| `{}` | {} | {} | {} | {} |\n", key, type_text(*field),
                                    must_be_given(field->path) ? "" : "`" + json_text(default_of(*field)) + "`",
                                    allowed_text(*field), field->help);
    }
    return text;
}

std::string config_help() {
    std::string text;
    for (const ConfigField& field : config_fields()) {
        const std::string allowed =
            field.choices.empty() ? to_string(field.range) : fmt::format("{}", fmt::join(field.choices, "|"));
        text +=
            fmt::format("  {:<26} {}{} [{}]\n", dotted(field.path), field.help, allowed.empty() ? "" : " (" + allowed + ")",
                        must_be_given(field.path) ? "required" : json_text(default_of(field)));
    }
    return text;
}

}  // namespace xbench
