// Positions come from a second walk over the text (core/json_position.h).
#include "core/config_document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <sstream>

#include "core/config_fields.h"
#include "core/error.h"

namespace xbench {
namespace {

bool is_section(const std::string& pointer) {
    const auto& sections = config_sections();
    return std::any_of(sections.begin(), sections.end(), [&](const ConfigSection& one) { return one.path == pointer; });
}

}  // namespace

std::string describe_value(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list";
    const std::string text = json_text(value);
    return value.is_string() ? "the text " + (text.size() > 60 ? text.substr(0, 57) + "...\"" : text) : text;
}

ConfigDocument::ConfigDocument(std::string text, std::string origin) : text_(std::move(text)), origin_(std::move(origin)) {
    JsonMistake wrong;
    std::optional<Json> parsed = parse_json(text_, &wrong);
    if (!parsed) {
        const LineColumn at = line_column(text_, wrong.offset);
        throw UsageError(wrong.what, fmt::format("{}:{}:{}", origin_, at.line, at.column));
    }
    json_ = std::move(*parsed);
    positions_ = find_positions(text_);
    note_duplicate_keys();
}

void ConfigDocument::note_duplicate_keys() {
    for (const DuplicateKey& twice : positions_.duplicates) {
        const LineColumn first = line_column(text_, twice.first);
        const LineColumn at = line_column(text_, twice.second);
        mistakes_.push_back({twice.second,
                             fmt::format("{}:{}:{} {}: duplicate key; first given at {}:{}", origin_, at.line, at.column,
                                         twice.pointer, first.line, first.column),
                             twice.pointer});
    }
}

void ConfigDocument::apply(const std::string& setting) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
        mistakes_.push_back({text_.size(), fmt::format("--set {}: not a setting; write key.path=value", setting), {}});
        return;
    }
    std::vector<std::string> keys;
    std::stringstream path(setting.substr(0, equals));
    for (std::string key; std::getline(path, key, '.');) keys.push_back(key);
    const Setting given{setting, setting.substr(equals + 1)};
    std::string pointer;
    Json* target = descend(keys, given, pointer);
    settings_[pointer] = given;
    if (target == nullptr) {
        mistake(pointer, "no such place in the configuration");
        return;
    }
    const std::optional<Json> value = parse_json(given.value);
    if (value && value->is_null() && is_section(pointer)) {  // "data.synthetic=null" takes the section out
        remove(pointer);
        settings_.erase(pointer);
        return;
    }
    *target = value ? *value : Json(given.value);
}

void ConfigDocument::set_default(const std::string& pointer, const Json& value) {
    const Json::json_pointer place(pointer), section = place.parent_pointer();
    if (json_.contains(section) && json_.at(section).is_object() && !json_.contains(place)) json_[place] = value;
}

void ConfigDocument::remove(const std::string& pointer) {
    const Json::json_pointer place(pointer);
    json_.at(place.parent_pointer()).erase(place.back());
}

// The place that a setting's keys lead to, made where it is missing; null where a list is not that long.
Json* ConfigDocument::descend(const std::vector<std::string>& keys, const Setting& setting, std::string& pointer) {
    Json* here = &json_;
    for (const std::string& key : keys) {
        if (pointer == "/model" && here != nullptr && here->is_string()) *here = Json{{"name", *here}};
        if (here != nullptr && here->is_null()) {
            *here = Json::object();
            settings_[pointer] = setting;  // what is wrong with it is the setting's doing
        }
        pointer += "/" + pointer_escape(key);
        if (here == nullptr) continue;
        if (here->is_object()) {
            here = &(*here)[key];
        } else if (here->is_array() && !key.empty() && key.size() < 6 &&
                   key.find_first_not_of("0123456789") == std::string::npos && std::stoul(key) < here->size()) {
            here = &(*here)[std::stoul(key)];
        } else {
            here = nullptr;
        }
    }
    return here;
}

const std::string* ConfigDocument::given_value(const std::string& pointer) const {
    const Setting* setting = setting_at(pointer);
    return setting == nullptr ? nullptr : &setting->value;
}

// The setting that gave this value or an object around it, or null when the file did.
const ConfigDocument::Setting* ConfigDocument::setting_at(std::string pointer) const {
    for (;; pointer.erase(pointer.rfind('/'))) {
        if (const auto found = settings_.find(pointer); found != settings_.end()) return &found->second;
        if (pointer.empty()) return nullptr;
    }
}

// Of the value, or of the nearest object around it that is written in the file.
size_t ConfigDocument::offset_of(std::string pointer, bool of_key) const {
    for (;; pointer.erase(pointer.rfind('/')), of_key = false) {
        if (const auto found = positions_.at.find(pointer); found != positions_.at.end())
            return of_key ? found->second.key : found->second.value;
        if (pointer.empty()) return 0;
    }
}

void ConfigDocument::mistake(const std::string& pointer, const std::string& what, bool at_key) {
    const std::string path = pointer.empty() ? "/" : pointer;
    if (const Setting* setting = setting_at(pointer)) {
        mistakes_.push_back({text_.size(), fmt::format("--set {} {}: {}", setting->text, path, what), pointer});
        return;
    }
    const size_t offset = offset_of(pointer, at_key);
    const LineColumn at = line_column(text_, offset);
    mistakes_.push_back({offset, fmt::format("{}:{}:{} {}: {}", origin_, at.line, at.column, path, what), pointer});
}

bool ConfigDocument::sound(const std::string& pointer) const {
    return std::none_of(mistakes_.begin(), mistakes_.end(), [&](const Mistake& error) {
        return error.pointer == pointer || error.pointer.starts_with(pointer + "/");
    });
}

void ConfigDocument::check() const {
    if (mistakes_.empty()) return;
    std::vector<Mistake> sorted = mistakes_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Mistake& a, const Mistake& b) { return a.offset < b.offset; });
    std::vector<std::string> lines;
    for (const Mistake& one : sorted) lines.push_back(one.text);
    throw UsageError(fmt::format("{}", fmt::join(lines, "\n")));
}

}  // namespace xbench
