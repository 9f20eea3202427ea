// Reads a configuration by walking the JSON along the table of fields. Nothing stops at the first mistake: all are
// collected with their positions and thrown together.
#include "core/config.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/config_fields.h"
#include "core/error.h"
#include "core/json_position.h"
#include "core/nearest.h"
#include "core/virtual_ranks.h"

namespace xbench {
namespace {

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

std::string describe(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list";
    const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return value.is_string() ? "the text " + (text.size() > 60 ? text.substr(0, 57) + "...\"" : text) : text;
}

bool is_section(const std::string& pointer) {
    const auto& sections = config_sections();
    return std::any_of(sections.begin(), sections.end(), [&](const ConfigSection& one) { return one.path == pointer; });
}

// A value given by --set. It stands in for a position in the file.
struct Setting {
    std::string text;   // "train.epochs=3"
    std::string value;  // "3", unparsed
};

class Reader {
public:
    Reader(std::string text, std::string origin, const std::vector<std::string>& model_names)
        : text_(std::move(text)), origin_(std::move(origin)), model_names_(model_names) {}

    Config read(const std::vector<std::string>& settings, bool complete) {
        parse();
        for (const std::string& setting : settings) apply(setting);
        section(document_, "", "", 0);
        if (complete) require_sections();
        check_rules();
        if (!errors_.empty()) fail();
        return config_;
    }

private:
    struct Mistake {
        size_t offset;
        std::string text, pointer;
    };

    void parse();
    void apply(const std::string& setting);
    void remove(const std::string& pointer);
    Json* descend(const std::vector<std::string>& keys, const Setting& setting, std::string& pointer);
    void section(const Json& object, const std::string& path, const std::string& pointer, size_t row);
    void member(const Json& value, const std::string& path, const std::string& pointer, size_t row);
    void rows(const Json& value, const std::string& pointer);
    void unknown_key(const std::string& key, const std::string& section_path, const std::string& pointer);
    void field(const ConfigField& field, const Json& value, const std::string& pointer, size_t row);
    void require_sections();
    void check_rules();
    void check_model();
    void check_large_batches();
    void check_compression();
    void check_data();
    void check_row(const SweepRow& row, const std::string& pointer);

    template <class Slot>
    void store(const ConfigField& field, const Json& value, const std::string& pointer, Slot slot);
    template <class T>
    bool number(const ConfigField& field, const Json& value, const std::string& pointer, T& result);
    void choice(const ConfigField& field, const std::string& value, const std::string& pointer);

    const Setting* setting_at(std::string pointer) const;
    size_t offset_of(std::string pointer, bool of_key) const;
    void mistake(const std::string& pointer, const std::string& what, bool at_key = false);
    bool sound(const std::string& pointer) const;
    [[noreturn]] void fail();

    std::string text_, origin_;
    std::vector<std::string> model_names_;
    Json document_;
    JsonPositions positions_;
    std::map<std::string, Setting> settings_;  // by pointer
    std::vector<Mistake> errors_;
    Config config_;
};

// ---- from text to a document ----

void Reader::parse() {
    size_t offset = 0;
    std::string what;
    try {
        document_ = Json::parse(text_);
    } catch (const Json::parse_error& error) {
        offset = error.byte > 0 ? error.byte - 1 : 0;
        what = error.what();
        // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while ...": the last part.
        if (const size_t colon = what.find(": "); colon != std::string::npos) what = what.substr(colon + 2);
    } catch (const Json::exception& error) {  // a number that no double can hold
        what = error.what();
        if (const size_t bracket = what.find("] "); bracket != std::string::npos) what = what.substr(bracket + 2);
        const size_t open = what.find('\''), close = what.rfind('\'');
        if (open < close) offset = text_.find(what.substr(open + 1, close - open - 1));
    }
    if (!what.empty()) {
        const LineColumn at = line_column(text_, std::min(offset, text_.size()));
        throw UsageError(what, fmt::format("{}:{}:{}", origin_, at.line, at.column));
    }
    try {
        positions_ = find_positions(text_);
    } catch (const Error& error) {
        throw UsageError(error.what(), origin_);
    }
    for (const DuplicateKey& twice : positions_.duplicates) {
        const LineColumn first = line_column(text_, twice.first);
        const LineColumn at = line_column(text_, twice.second);
        errors_.push_back({twice.second,
                           fmt::format("{}:{}:{} {}: duplicate key; first given at {}:{}", origin_, at.line, at.column,
                                       twice.pointer, first.line, first.column),
                           twice.pointer});
    }
}

// Puts one "key.path=value" into the document; the walk over the document judges it like the rest.
void Reader::apply(const std::string& setting) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
        errors_.push_back({text_.size(), fmt::format("--set {}: not a setting; write key.path=value", setting), {}});
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
    const Json value = Json::parse(given.value, nullptr, false);
    if (value.is_null() && is_section(pointer)) {  // "data.synthetic=null" takes the section out
        remove(pointer);
        settings_.erase(pointer);
        return;
    }
    *target = value.is_discarded() ? Json(given.value) : value;
}

void Reader::remove(const std::string& pointer) {
    const Json::json_pointer place(pointer);
    document_.at(place.parent_pointer()).erase(place.back());
}

// The place that a setting's keys lead to, made where it is missing; null where a list is not that long.
Json* Reader::descend(const std::vector<std::string>& keys, const Setting& setting, std::string& pointer) {
    Json* here = &document_;
    for (const std::string& key : keys) {
        if (pointer == "/model" && here->is_string()) *here = Json{{"name", *here}};
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

// ---- along the table ----

void Reader::section(const Json& object, const std::string& path, const std::string& pointer, size_t row) {
    if (!object.is_object()) {
        mistake(pointer, "expected an object {...}, got " + describe(object));
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
        mistake(pointer, "expected a model's name or an object {...}, got " + describe(value));
    } else {
        section(value, path, pointer, row);
    }
}

void Reader::rows(const Json& value, const std::string& pointer) {
    if (!value.is_array()) {
        mistake(pointer, "expected a list of rows [{...}], got " + describe(value));
        return;
    }
    config_.sweep.resize(value.size());
    for (size_t row = 0; row < value.size(); ++row) {
        const std::string child = fmt::format("{}/{}", pointer, row);
        section(value[row], "/sweep/*", child, row);
        if (value[row].is_object() && !value[row].contains("trainer"))
            mistake(child, "no trainer; one of " + joined(find_field("/sweep/*/trainer")->choices));
    }
}

void Reader::unknown_key(const std::string& key, const std::string& section_path, const std::string& pointer) {
    const std::vector<std::string> known = keys_of_section(section_path);
    if (const std::string close = nearest(key, known); !close.empty()) {
        mistake(pointer, "unknown key; did you mean " + close + "?", true);
        return;
    }
    for (const ConfigField& elsewhere : config_fields()) {
        if (elsewhere.path.ends_with("/" + key)) {
            mistake(pointer, "unknown key here; did you mean " + elsewhere.path + "?", true);
            return;
        }
    }
    mistake(pointer, "unknown key; known here: " + joined(known), true);
}

// ---- one value ----

void Reader::field(const ConfigField& field, const Json& value, const std::string& pointer, size_t row) {
    std::visit([&](auto slot) { store(field, value, pointer, slot); }, field.slot(config_, row));
}

template <class Slot>
void Reader::store(const ConfigField& field, const Json& value, const std::string& pointer, Slot slot) {
    using T = std::remove_pointer_t<Slot>;
    if constexpr (std::is_same_v<T, std::string>) {
        const Setting* setting = setting_at(pointer);
        if (!value.is_string() && setting != nullptr && value.is_primitive()) {
            *slot = setting->value;  // --set name=12 means the text "12"
        } else if (!value.is_string()) {
            mistake(pointer, "expected a text, got " + describe(value));
            return;
        } else {
            *slot = value.get<std::string>();
        }
        choice(field, *slot, pointer);
    } else if constexpr (std::is_same_v<T, bool>) {
        if (value.is_boolean())
            *slot = value.get<bool>();
        else
            mistake(pointer, "expected true or false, got " + describe(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
        if (field.nullable && value.is_null())
            *slot = T(-1);
        else
            number(field, value, pointer, *slot);
    } else {
        const std::vector<Json> items = value.is_array() ? value.get<std::vector<Json>>() : std::vector<Json>{value};
        if (items.size() < field.at_least) mistake(pointer, "the list is empty; give at least one");
        slot->clear();
        for (size_t i = 0; i < items.size(); ++i) {
            typename T::value_type element{};
            const std::string where = value.is_array() ? fmt::format("{}/{}", pointer, i) : pointer;
            if (!number(field, items[i], where, element)) return;
            slot->push_back(element);
        }
    }
}

template <class T>
bool Reader::number(const ConfigField& field, const Json& value, const std::string& pointer, T& result) {
    const double as_double = value.is_number() ? value.get<double>() : std::nan("");
    const bool whole_wanted = std::is_integral_v<T>;
    const bool fits =
        value.is_number() && (!whole_wanted || (as_double == std::floor(as_double) && std::abs(as_double) <= 9.0e18));
    if (!fits) {
        mistake(pointer, fmt::format("expected {}, got {}", whole_wanted ? "a whole number" : "a number", describe(value)));
        return false;
    }
    if (!field.range.contains(as_double)) {
        mistake(pointer, fmt::format("{} is out of range; {}", value.dump(), to_string(field.range)));
        return false;
    }
    result = value.get<T>();
    return true;
}

void Reader::choice(const ConfigField& field, const std::string& value, const std::string& pointer) {
    const auto& choices = field.choices;
    if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
    if (std::find(field.later.begin(), field.later.end(), value) != field.later.end()) {
        mistake(pointer, fmt::format("\"{}\" is not in this version; use {}", value, joined(choices)));
        return;
    }
    const std::string close = nearest(value, choices);
    mistake(pointer, fmt::format("unknown value \"{}\"; {}", value,
                                 close.empty() ? "one of " + joined(choices) : "did you mean " + close + "?"));
}

// ---- rules between fields ----

void Reader::require_sections() {
    for (const ConfigSection& wanted : config_sections())
        if (wanted.required && document_.is_object() && !document_.contains(wanted.path.substr(1)))
            mistake("", fmt::format("no {}; {}", wanted.path.substr(1), wanted.help));
}

// Rules look only at parts that were read without a mistake: one slip should be told once.
void Reader::check_rules() {
    if (sound("/model")) check_model();
    if (sound("/data")) check_data();
    const TrainConfig& train = config_.train;
    const bool batch_sound = sound("/train/virtual_ranks") && sound("/train/batch_size");
    if (batch_sound && train.virtual_ranks > train.batch_size)
        mistake("/train/virtual_ranks",
                fmt::format("{} virtual ranks for a batch of {}; set virtual_ranks to at most batch_size",
                            train.virtual_ranks, train.batch_size));
    check_large_batches();
    check_compression();
    for (size_t row = 0; row < config_.sweep.size(); ++row)
        if (const std::string pointer = fmt::format("/sweep/{}", row); sound(pointer))
            check_row(config_.sweep[row], pointer);
}

void Reader::check_large_batches() {
    const TrainConfig& train = config_.train;
    if (sound("/train/lr_scaling") && sound("/train/base_batch") && train.lr_scaling != "none" && train.base_batch == 0)
        mistake("/train/lr_scaling", "no base_batch; give the batch that learning_rate is meant for");
    if (sound("/train/accumulate") && sound("/train/virtual_ranks") && train.accumulate > train.virtual_ranks)
        mistake("/train/accumulate", fmt::format("{} passes over {} virtual ranks; set accumulate to at most virtual_ranks",
                                                 train.accumulate, train.virtual_ranks));
}

// What changes a sum cannot keep its bits.
void Reader::check_compression() {
    const TrainConfig& train = config_.train;
    if (!sound("/train/compression") || train.compression == "none") return;
    if (sound("/train/reduction") && train.reduction == "invariant")
        mistake("/train/compression",
                "the invariant reduction promises the same bits at any number of ranks, which "
                "compressed gradients do not have; set reduction to fast, or compression to none");
    if (sound("/train/overlap") && train.overlap == "fused")
        mistake("/train/overlap", "gradients that are summed where they lie are not compressed; leave it out");
    if (train.compression != "powersgd") return;
    if (sound("/train/checkpoint_steps") && train.checkpoint_steps > 0)
        mistake("/train/checkpoint_steps",
                "checkpoints do not hold PowerSGD's error feedback; set it to 0, or compression "
                "to another");
    if (sound("/train/overlap") && (train.overlap == "thread" || train.overlap == "inline"))
        mistake("/train/overlap", "PowerSGD works on whole layers behind the backward pass; leave it out");
}

void Reader::check_model() {
    const std::string& name = config_.model.name;
    if (name.empty() && document_.contains("model")) mistake("/model", "no name; `xbench models` lists them");
    if (name.empty() || model_names_.empty()) return;
    if (std::find(model_names_.begin(), model_names_.end(), name) != model_names_.end()) return;
    const std::string close = nearest(name, model_names_);
    mistake("/model/name", fmt::format("unknown model \"{}\"; {}", name,
                                       close.empty() ? "one of " + joined(model_names_) : "did you mean " + close + "?"));
}

void Reader::check_data() {
    const DataConfig& data = config_.data;
    const bool synthetic = data.synthetic.count > 0;
    if (synthetic && !data.path.empty()) mistake("/data/synthetic", "both path and synthetic are given; keep one of them");
    if (!synthetic && document_.contains("data") && document_["data"].contains("synthetic"))
        mistake("/data/synthetic", "no count; give the number of images to generate");
    else if (!synthetic && data.path.empty() && document_.contains("data"))
        mistake("/data", "neither path nor synthetic is given; name a data set");
    if (data.mean.size() != data.std.size() && data.mean.size() != 1 && data.std.size() != 1)
        mistake("/data/std", fmt::format("{} numbers beside {} of mean; one number, or one a channel", data.std.size(),
                                         data.mean.size()));
    for (const auto& [key, count] : {std::pair{"mean", data.mean.size()}, std::pair{"std", data.std.size()}})
        if (synthetic && count != 1 && static_cast<int64_t>(count) != data.synthetic.channels)
            mistake(fmt::format("/data/{}", key),
                    fmt::format("{} numbers for {} channels; one number, or one a channel", count, data.synthetic.channels));
}

void Reader::check_row(const SweepRow& row, const std::string& pointer) {
    for (const int64_t ranks : row.ranks) {
        if (row.trainer == "serial" && ranks != 1)
            mistake(pointer + "/ranks", fmt::format("serial has one rank, not {}; use cpu_ddp for more", ranks));
        if (const std::string what = too_many_ranks(ranks, config_.train); !what.empty())
            mistake(pointer + "/ranks", what + "; raise train.virtual_ranks");
    }
    if (row.trainer == "sharded" && config_.train.compression != "none")
        mistake(pointer + "/trainer", "sharded sums its gradients uncompressed; set train.compression to none");
    if (row.trainer == "sharded" && row.stage == 0) mistake(pointer, "sharded needs a stage; 1, 2 or 3");
    if (row.trainer != "sharded" && row.stage != 0)
        mistake(pointer + "/stage", row.trainer + " has no stages; remove the key, or use sharded");
    if (row.trainer == "cpu_ddp" && row.device == "cuda")
        mistake(pointer + "/device", "cpu_ddp runs on the CPU; use gpu_ddp for cuda");
    if (row.trainer == "gpu_ddp" && row.device == "cpu")
        mistake(pointer + "/device", "gpu_ddp runs on a GPU; use cpu_ddp for the CPU");
}

// ---- mistakes ----

// The setting that gave this value or an object around it, or null when the file did.
const Setting* Reader::setting_at(std::string pointer) const {
    for (;; pointer.erase(pointer.rfind('/'))) {
        if (const auto found = settings_.find(pointer); found != settings_.end()) return &found->second;
        if (pointer.empty()) return nullptr;
    }
}

// Of the value, or of the nearest object around it that is written in the file.
size_t Reader::offset_of(std::string pointer, bool of_key) const {
    for (;; pointer.erase(pointer.rfind('/')), of_key = false) {
        if (const auto found = positions_.at.find(pointer); found != positions_.at.end())
            return of_key ? found->second.key : found->second.value;
        if (pointer.empty()) return 0;
    }
}

void Reader::mistake(const std::string& pointer, const std::string& what, bool at_key) {
    const std::string path = pointer.empty() ? "/" : pointer;
    if (const Setting* setting = setting_at(pointer)) {
        errors_.push_back({text_.size(), fmt::format("--set {} {}: {}", setting->text, path, what), pointer});
        return;
    }
    const size_t offset = offset_of(pointer, at_key);
    const LineColumn at = line_column(text_, offset);
    errors_.push_back({offset, fmt::format("{}:{}:{} {}: {}", origin_, at.line, at.column, path, what), pointer});
}

// Whether nothing was wrong with a value, nor inside it.
bool Reader::sound(const std::string& pointer) const {
    return std::none_of(errors_.begin(), errors_.end(), [&](const Mistake& error) {
        return error.pointer == pointer || error.pointer.starts_with(pointer + "/");
    });
}

void Reader::fail() {
    std::stable_sort(errors_.begin(), errors_.end(), [](const Mistake& a, const Mistake& b) { return a.offset < b.offset; });
    std::vector<std::string> lines;
    for (const Mistake& error : errors_) lines.push_back(error.text);
    throw UsageError(fmt::format("{}", fmt::join(lines, "\n")));
}

std::string read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    if (std::filesystem::is_directory(path)) throw UsageError("is a folder", path, "name a JSON file");
    if (!file || !(text << file.rdbuf()))
        throw UsageError("cannot be read", path, "give an existing JSON file; configs/ holds examples");
    return text.str();
}

}  // namespace

Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& settings,
                    const std::vector<std::string>& model_names) {
    return Reader(text, origin, model_names).read(settings, false);
}

Config load_config(const std::string& path, const std::vector<std::string>& settings,
                   const std::vector<std::string>& model_names) {
    if (path.empty()) return Reader("{}", "defaults", model_names).read(settings, false);
    Config config = Reader(read_text(path), path, model_names).read(settings, true);
    namespace fs = std::filesystem;
    const fs::path data = config.data.path;
    const fs::path beside_file = fs::path(path).parent_path() / data;
    if (!data.empty() && data.is_relative() && !fs::exists(data) && fs::exists(beside_file))
        config.data.path = beside_file.lexically_normal().string();
    return config;
}

}  // namespace xbench
