// Parsing and drawing.
#include "bench/tune/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/config_fields.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/rng.h"

namespace xbench {
namespace {

[[noreturn]] void refuse(const std::string& what, size_t index, const std::string& remedy) {
    throw UsageError(what, fmt::format("/tune/search/{}", index), remedy);
}

// At commas that no bracket encloses.
std::vector<std::string> split_values(const std::string& text) {
    std::vector<std::string> values(1);
    int depth = 0;
    for (const char c : text) {
        depth += (c == '[') - (c == ']');
        if (c == ',' && depth == 0)
            values.emplace_back();
        else
            values.back() += c;
    }
    return values;
}

bool number_of(const std::string& text, double& value) {
    char* end = nullptr;
    value = std::strtod(text.c_str(), &end);
    return !text.empty() && *end == '\0' && std::isfinite(value);
}

const ConfigField& field_of(const std::string& key, size_t index) {
    std::string pointer = "/" + key;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    if (const ConfigField* field = find_field(pointer); field && pointer.rfind("/tune/", 0) != 0) return *field;
    std::vector<std::string> keys;
    for (const ConfigField& field : config_fields())
        if (field.path.starts_with("/train/") || field.path.starts_with("/model/")) {
            keys.push_back(field.path.substr(1));
            std::replace(keys.back().begin(), keys.back().end(), '/', '.');
        }
    const std::string close = nearest(key, keys);
    refuse("no key \"" + key + "\"", index,
           close.empty() ? "name one as train.learning_rate" : "did you mean " + close + "?");
}

SearchKey parse_key(const std::string& text, size_t index) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals + 1 == text.size())
        refuse("\"" + text + "\" has no values", index, "write train.learning_rate=0.001,0.01");
    SearchKey key;
    key.key = text.substr(0, equals);
    const ConfigField& field = field_of(key.key, index);
    std::string values = text.substr(equals + 1);
    if (values.starts_with("log ")) {
        key.logarithmic = true;
        values = values.substr(4);
    }
    const size_t dots = values.find("..");
    if (dots == std::string::npos) {
        if (key.logarithmic) refuse("log is of ranges", index, "write log 1e-5..1e-2");
        key.values = split_values(values);
        return key;
    }
    if (!number_of(values.substr(0, dots), key.low) || !number_of(values.substr(dots + 2), key.high) || key.low >= key.high)
        refuse("\"" + values + "\" is no range", index, "write 0.1..0.5, the lower bound first");
    if (key.logarithmic && key.low <= 0) refuse("a logarithmic range begins above 0", index, "raise its lower bound");
    Config config;
    config.sweep.resize(1);
    const ConfigSlot slot = field.slot(config, 0);
    key.whole = std::holds_alternative<int64_t*>(slot) || std::holds_alternative<uint64_t*>(slot);
    return key;
}

std::string draw(const SearchKey& key, Random& random) {
    if (!key.values.empty()) return key.values[random.below(static_cast<uint32_t>(key.values.size()))];
    const double share = static_cast<double>(random.uniform());
    double value = key.logarithmic ? std::exp(std::log(key.low) + share * (std::log(key.high) - std::log(key.low)))
                                   : key.low + share * (key.high - key.low);
    if (key.whole) value = std::round(value);
    return key.whole ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{:.6g}", value);
}

std::vector<std::vector<std::string>> grid(const std::vector<SearchKey>& keys) {
    std::vector<std::vector<std::string>> trials(1);
    for (size_t i = 0; i < keys.size(); ++i) {
        if (keys[i].values.empty()) refuse("a grid has no ranges", i, "list values, or set tune.method to random");
        std::vector<std::vector<std::string>> more;
        for (const auto& trial : trials)
            for (const std::string& value : keys[i].values) {
                more.push_back(trial);
                more.back().push_back(keys[i].key + "=" + value);
            }
        trials = std::move(more);
        if (trials.size() > 100000) refuse("the grid has more than 100,000 trials", i, "list fewer values");
    }
    return trials;
}

}  // namespace

std::vector<SearchKey> parse_search(const TuneConfig& config) {
    if (config.search.empty())
        throw UsageError("nothing to search", "/tune/search", "give keys as \"train.learning_rate=0.001,0.01\"");
    std::vector<SearchKey> keys;
    for (const std::string& text : config.search) {
        keys.push_back(parse_key(text, keys.size()));
        for (size_t i = 0; i + 1 < keys.size(); ++i)
            if (keys[i].key == keys.back().key) refuse(keys[i].key + " is given twice", keys.size() - 1, "remove one");
    }
    return keys;
}

std::vector<std::vector<std::string>> draw_trials(const TuneConfig& config) {
    const std::vector<SearchKey> keys = parse_search(config);
    if (config.method == "grid") return grid(keys);
    std::vector<std::vector<std::string>> trials;
    for (int64_t trial = 0; trial < config.trials; ++trial) {
        Random random(config.seed, RandomUse::tune, static_cast<uint32_t>(trial));
        trials.emplace_back();
        for (const SearchKey& key : keys) trials.back().push_back(key.key + "=" + draw(key, random));
    }
    return trials;
}

std::vector<Rung> rungs_of(const TuneConfig& config, int64_t trials, int64_t epochs) {
    if (config.method != "halving") return {{trials, epochs}};
    std::vector<Rung> rungs;
    for (int64_t left = trials, budget = std::min(config.min_epochs, epochs);;
         left = std::max<int64_t>(left / config.eta, 1), budget = std::min(budget * config.eta, epochs)) {
        rungs.push_back({left, left == 1 ? epochs : budget});
        if (left == 1 || budget == epochs) return rungs;
    }
}

}  // namespace xbench
