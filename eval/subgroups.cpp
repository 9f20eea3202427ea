// Rows with one value, scored like the whole.
#include "eval/subgroups.h"

#include <cmath>
#include <cstdlib>

namespace xbench {
namespace {

constexpr const char* not_known = "not known";

std::string age_group(const std::string& text) {
    char* end = nullptr;
    const double years = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    if (end == text.c_str() || !(years >= 0) || (!unit.empty() && unit != "Y" && unit != "y")) return text;
    return years < 18 ? "0-17" : years < 40 ? "18-39" : years < 65 ? "40-64" : "65+";
}

std::string value_of(const std::string& column, const std::string& text) {
    if (text.empty()) return not_known;
    return column == "age" ? age_group(text) : text;
}

using RowsByValue = std::map<std::string, std::vector<size_t>>;

RowsByValue rows_by_value(const Predictions& predictions, const std::string& column, const std::vector<std::string>& text) {
    RowsByValue rows;
    for (size_t i = 0; i < predictions.samples.size(); ++i)
        rows[value_of(column, text[static_cast<size_t>(predictions.samples[i])])].push_back(i);
    return rows;
}

template <class T>
std::vector<T> chosen_rows(const std::vector<T>& all, std::span<const size_t> rows, size_t width) {
    std::vector<T> chosen;
    if (all.empty()) return chosen;
    for (const size_t row : rows)
        for (size_t k = 0; k < width; ++k) chosen.push_back(all[row * width + k]);
    return chosen;
}

Json json_of(const ScoreInterval& score) {
    Json json{{"value", nullptr}, {"interval", nullptr}};
    if (!std::isnan(score.value)) json["value"] = score.value;
    if (!std::isnan(score.interval.low)) json["interval"] = {score.interval.low, score.interval.high};
    return json;
}

}  // namespace

Predictions rows_of(const Predictions& predictions, std::span<const size_t> rows) {
    const auto classes = static_cast<size_t>(predictions.classes);
    Predictions part;
    part.classes = predictions.classes;
    part.samples = chosen_rows(predictions.samples, rows, 1);
    part.probabilities = chosen_rows(predictions.probabilities, rows, classes);
    part.labels = chosen_rows(predictions.labels, rows, 1);
    part.targets = chosen_rows(predictions.targets, rows, classes);
    return part;
}

std::vector<Subgroup> score_subgroups(const Predictions& predictions, const std::vector<std::string>& class_names,
                                      std::span<const std::string> groups, const MetaColumns& columns,
                                      const BootstrapOptions& options) {
    std::vector<Subgroup> subgroups;
    for (const auto& [column, text] : columns) {
        const RowsByValue values = rows_by_value(predictions, column, text);
        if (values.size() < 2 || values.size() > most_subgroups) continue;
        for (const auto& [value, rows] : values) {
            std::vector<std::string> own_groups;
            if (!groups.empty())
                for (const size_t row : rows) own_groups.push_back(groups[row]);
            subgroups.push_back({column, value, static_cast<int64_t>(rows.size()),
                                 bootstrap_scores(rows_of(predictions, rows), class_names, own_groups, options)});
        }
    }
    return subgroups;
}

Json to_json(const std::vector<Subgroup>& subgroups) {
    Json json = Json::object();
    for (const Subgroup& group : subgroups) {
        Json& entry = json[group.column][group.value] = {{"images", group.images}};
        for (const ScoreInterval& score : group.scores.scores)
            if (score.name.ends_with("accuracy") || score.name.ends_with(" roc_auc")) entry[score.name] = json_of(score);
    }
    return json;
}

}  // namespace xbench
