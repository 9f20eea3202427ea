// Reads a configuration by walking the JSON along the table of fields.
#include "core/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/config_document.h"
#include "core/config_fields.h"
#include "core/config_rules.h"
#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"

namespace xbench {
namespace {

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

class Reader {
public:
    Reader(std::string text, std::string origin) : document_(std::move(text), std::move(origin)) {}

    Config read(const std::vector<std::string>& settings, const std::vector<std::string>& model_names, bool complete,
                const ConfigDefaults& defaults = {}) {
        for (const std::string& setting : settings) document_.apply(setting);
        for (const auto& [pointer, value] : defaults) document_.set_default(pointer, value);
        section(document_.json(), "", "", 0);
        if (complete) require_sections(document_);
        set_constants(document_.json(), config_);
        check_rules(config_, document_, model_names);
        document_.check();
        return config_;
    }

private:
    void section(const Json& object, const std::string& path, const std::string& pointer, size_t row);
    void member(const Json& value, const std::string& path, const std::string& pointer, size_t row);
    void rows(const Json& value, const std::string& pointer);
    void unknown_key(const std::string& key, const std::string& section_path, const std::string& pointer);
    void field(const ConfigField& field, const Json& value, const std::string& pointer, size_t row);

    template <class Slot>
    void store(const ConfigField& field, const Json& value, const std::string& pointer, Slot slot);
    template <class T>
    bool number(const ConfigField& field, const Json& value, const std::string& pointer, T& result);
    void choice(const ConfigField& field, const std::string& value, const std::string& pointer);
    template <class T>
    void list(const ConfigField& field, const Json& value, const std::string& pointer, std::vector<T>& result);
    bool element(const ConfigField& field, const Json& value, const std::string& pointer, std::string& result);
    template <class T>
    bool element(const ConfigField& field, const Json& value, const std::string& pointer, T& result) {
        return number(field, value, pointer, result);
    }

    ConfigDocument document_;
    Config config_;
};

// ---- along the table ----

void Reader::section(const Json& object, const std::string& path, const std::string& pointer, size_t row) {
    if (!object.is_object()) {
        document_.mistake(pointer, "expected an object {...}, got " + describe_value(object));
        return;
    }
    for (const auto& [key, value] : object.items()) {
        const std::string child = pointer + "/" + pointer_escape(key);
        const std::vector<std::string> known = keys_of_section(path);
        const bool schema_reference = path.empty() && key == "$schema";  // editors find the schema by it
        if (std::find(known.begin(), known.end(), key) != known.end()) {
            member(value, path + "/" + key, child, row);
        } else if (!schema_reference) {
            unknown_key(key, path, child);
        }
    }
}

void Reader::member(const Json& value, const std::string& path, const std::string& pointer, size_t row) {
    if (const ConfigField* known = find_field(path)) {
        field(*known, value, pointer, row);
    } else if (path == "/sweep") {
        rows(value, pointer);
    } else if (path == "/model" && value.is_string()) {
        config_.model.name = value.get<std::string>();
    } else if (path == "/model" && !value.is_object()) {
        document_.mistake(pointer, "expected a model's name or an object {...}, got " + describe_value(value));
    } else {
        section(value, path, pointer, row);
    }
}

void Reader::rows(const Json& value, const std::string& pointer) {
    if (!value.is_array()) {
        document_.mistake(pointer, "expected a list of rows [{...}], got " + describe_value(value));
        return;
    }
    config_.sweep.resize(value.size());
    for (size_t row = 0; row < value.size(); ++row) {
        const std::string child = fmt::format("{}/{}", pointer, row);
        section(value[row], "/sweep/*", child, row);
        if (value[row].is_object() && !value[row].contains("trainer"))
            document_.mistake(child, "no trainer; one of " + joined(find_field("/sweep/*/trainer")->choices));
    }
}

void Reader::unknown_key(const std::string& key, const std::string& section_path, const std::string& pointer) {
    const std::vector<std::string> known = keys_of_section(section_path);
    if (const std::string close = nearest(key, known); !close.empty()) {
        document_.mistake(pointer, "unknown key; did you mean " + close + "?", true);
        return;
    }
    for (const ConfigField& elsewhere : config_fields()) {
        if (elsewhere.path.ends_with("/" + key)) {
            document_.mistake(pointer, "unknown key here; did you mean " + elsewhere.path + "?", true);
            return;
        }
    }
    document_.mistake(pointer, "unknown key; known here: " + joined(known), true);
}

// ---- one value ----

void Reader::field(const ConfigField& field, const Json& value, const std::string& pointer, size_t row) {
    std::visit([&](auto slot) { store(field, value, pointer, slot); }, field.slot(config_, row));
}

template <class T>
void Reader::list(const ConfigField& field, const Json& value, const std::string& pointer, std::vector<T>& result) {
    const std::vector<Json> items = value.is_array() ? value.get<std::vector<Json>>() : std::vector<Json>{value};
    if (items.size() < field.at_least) document_.mistake(pointer, "the list is empty; give at least one");
    result.clear();
    for (size_t i = 0; i < items.size(); ++i) {
        T one{};
        if (!element(field, items[i], value.is_array() ? fmt::format("{}/{}", pointer, i) : pointer, one)) return;
        result.push_back(one);
    }
}

bool Reader::element(const ConfigField&, const Json& value, const std::string& pointer, std::string& result) {
    if (value.is_string() && !value.get<std::string>().empty()) {
        result = value.get<std::string>();
        return true;
    }
    document_.mistake(pointer, "expected a text that is not empty, got " + describe_value(value));
    return false;
}

template <class Slot>
void Reader::store(const ConfigField& field, const Json& value, const std::string& pointer, Slot slot) {
    using T = std::remove_pointer_t<Slot>;
    if constexpr (std::is_same_v<T, WordOrNumbers>) {
        slot.word->clear();
        slot.numbers->clear();
        if (!value.is_string()) return list(field, value, pointer, *slot.numbers);
        choice(field, value.get<std::string>(), pointer);
        if (value != "none") *slot.word = value.get<std::string>();
    } else if constexpr (std::is_same_v<T, std::string>) {
        const std::string* given = document_.given_value(pointer);
        if (!value.is_string() && given != nullptr && value.is_primitive()) {
            *slot = *given;  // --set name=12 means the text "12"
        } else if (!value.is_string()) {
            document_.mistake(pointer, "expected a text, got " + describe_value(value));
            return;
        } else {
            *slot = value.get<std::string>();
        }
        choice(field, *slot, pointer);
    } else if constexpr (std::is_same_v<T, bool>) {
        if (value.is_boolean())
            *slot = value.get<bool>();
        else
            document_.mistake(pointer, "expected true or false, got " + describe_value(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
        if (field.nullable && value.is_null())
            *slot = T(-1);
        else
            number(field, value, pointer, *slot);
    } else {
        list(field, value, pointer, *slot);
    }
}

template <class T>
bool Reader::number(const ConfigField& field, const Json& value, const std::string& pointer, T& result) {
    const double as_double = value.is_number() ? value.get<double>() : std::nan("");
    const bool whole_wanted = std::is_integral_v<T>;
    const bool fits =
        value.is_number() && (!whole_wanted || (as_double == std::floor(as_double) && std::abs(as_double) <= 9.0e18));
    if (!fits) {
        document_.mistake(pointer, fmt::format("expected {}, got {}", whole_wanted ? "a whole number" : "a number",
                                               describe_value(value)));
        return false;
    }
    if (!field.range.contains(as_double)) {
        document_.mistake(pointer, fmt::format("{} is out of range; {}", json_text(value), to_string(field.range)));
        return false;
    }
    result = value.get<T>();
    return true;
}

void Reader::choice(const ConfigField& field, const std::string& value, const std::string& pointer) {
    const auto& choices = field.choices;
    if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
    const std::string close = nearest(value, choices);
    document_.mistake(pointer, fmt::format("unknown value \"{}\"; {}", value,
                                           close.empty() ? "one of " + joined(choices) : "did you mean " + close + "?"));
}

std::string read_text(const std::string& path) {
    std::error_code unknown;
    if (std::filesystem::is_directory(path, unknown)) throw UsageError("is a folder", path, "name a JSON file");
    const std::optional<std::string> text = file_text(path);
    if (!text) throw UsageError("cannot be read", path, "give an existing JSON file; configs/ holds examples");
    return *text;
}

}  // namespace

Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& settings,
                    const std::vector<std::string>& model_names) {
    return Reader(text, origin).read(settings, model_names, false);
}

Config load_config(const std::string& path, const std::vector<std::string>& settings,
                   const std::vector<std::string>& model_names, const ConfigDefaults& defaults) {
    if (path.empty()) return Reader("{}", "defaults").read(settings, model_names, false, defaults);
    Config config = Reader(read_text(path), path).read(settings, model_names, true, defaults);
    namespace fs = std::filesystem;
    const fs::path data = config.data.path;
    const fs::path beside_file = fs::path(path).parent_path() / data;
    if (!data.empty() && data.is_relative() && !path_exists(data) && path_exists(beside_file))
        config.data.path = beside_file.lexically_normal().string();
    return config;
}

}  // namespace xbench
