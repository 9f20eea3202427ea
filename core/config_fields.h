// The one table of configuration keys. The parser, --set, the JSON Schema, the help text and docs/configuration.md are made
// from it; a new key is one row here and one member in core/config.h.
#pragma once

#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "core/config.h"

namespace xbench {

// A value that is one of the field's choices, or numbers; the word is empty then.
struct WordOrNumbers {
    std::string* word;
    std::vector<double>* numbers;
};

// Where a field's value lives in a Config.
using ConfigSlot = std::variant<std::string*, int64_t*, uint64_t*, double*, bool*, std::vector<int64_t>*,
                                std::vector<double>*, std::vector<std::string>*, WordOrNumbers>;

struct NumberRange {
    double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
    bool low_open = false, high_open = false;  // whether the bound itself is outside

    bool contains(double value) const {
        return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
    }
};
std::string to_string(const NumberRange& range);  // "at least 1", "more than 0 and less than 1"

struct ConfigField {
    std::string path;  // JSON pointer; of a sweep row, "/sweep/*/ranks"
    ConfigSlot (*slot)(Config& config, size_t row);
    std::string help;
    NumberRange range = {};                 // of a number, or of each in a list
    std::vector<std::string> choices = {};  // of a text
    bool nullable = false;                  // null is "the model's own", held as a negative number
    size_t at_least = 0;                    // elements of a list
};

// An object of the configuration, or the array of sweep rows.
struct ConfigSection {
    std::string path, help;
    bool required = false;
};

const std::vector<ConfigField>& config_fields();
std::vector<ConfigField> augment_fields();  // those of /train/augment
const std::vector<ConfigSection>& config_sections();
const ConfigField* find_field(const std::string& path);
// The keys directly below a section, in the table's order: fields and sections.
std::vector<std::string> keys_of_section(const std::string& path);

}  // namespace xbench
