// The text of a configuration with its --set values put in: a JSON document that knows where in the file each of its values
// stands, and the mistakes found in it. Nothing stops at the first mistake: all are collected and thrown together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/json_position.h"

namespace xbench {

class ConfigDocument {
public:
    // Throws UsageError where `text` is no JSON. `origin` is what messages call it.
    ConfigDocument(std::string text, std::string origin);
    // Puts one "key.path=value" in; the walk over the document judges it like the rest.
    void apply(const std::string& setting);
    // The value of a key that is not there, in a section that is.
    void set_default(const std::string& pointer, const Json& value);

    const Json& json() const { return json_; }
    // What --set gave at this place or around it, unparsed; null when the file did.
    const std::string* given_value(const std::string& pointer) const;

    // Notes what is wrong at a place, with the position of its value, or of its key.
    void mistake(const std::string& pointer, const std::string& what, bool at_key = false);
    // Whether nothing was wrong with a value, nor inside it.
    bool sound(const std::string& pointer) const;
    // Throws UsageError with all mistakes, where there are any.
    void check() const;

private:
    // A value given by --set. It stands in for a position in the file.
    struct Setting {
        std::string text;   // "train.epochs=3"
        std::string value;  // "3", unparsed
    };
    struct Mistake {
        size_t offset;
        std::string text, pointer;
    };
    void note_duplicate_keys();
    void remove(const std::string& pointer);
    Json* descend(const std::vector<std::string>& keys, const Setting& setting, std::string& pointer);
    const Setting* setting_at(std::string pointer) const;
    size_t offset_of(std::string pointer, bool of_key) const;

    std::string text_, origin_;
    Json json_;
    JsonPositions positions_;
    std::map<std::string, Setting> settings_;  // by pointer
    std::vector<Mistake> mistakes_;
};

// "an object", "the text \"two\"": a value in a message.
std::string describe_value(const Json& value);

}  // namespace xbench
