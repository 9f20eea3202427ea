// Counts over columns of text and labels. Ages stand in decades.
#include "data/explore/explore_records.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include <fmt/core.h>

namespace xbench {
namespace {

constexpr size_t most_values = 24;            // of a column that tells subgroups
constexpr int64_t least_positives = 10;       // in val and test, for a score of the class
constexpr double striking_difference = 0.15;  // between the shares that a class has in two subgroups
constexpr int64_t least_of_subgroup = 30;     // images, for its shares to be compared

// "58" is "50-59".
std::string decade_of(const std::string& age) {
    double years = 0;
    const auto [end, failure] = std::from_chars(age.data(), age.data() + age.size(), years);
    if (failure != std::errc{} || end != age.data() + age.size() || !(years >= 0 && years < 200)) return age;
    const int first = static_cast<int>(years) / 10 * 10;
    return fmt::format("{}-{}", first, first + 9);
}

bool tells_subgroups(const std::string& column) { return column != "width" && column != "height"; }

Subgroups subgroups_of(const std::string& column, const std::vector<std::string>& values, const SetRecords& records) {
    Subgroups groups{column, {}};
    std::map<std::string, Subgroups::Row> rows;
    const size_t classes = records.info.class_names.size();
    for (size_t i = 0; i < values.size(); ++i) {
        const std::string value = column == "age" ? decade_of(values[i]) : values[i];
        Subgroups::Row& row = rows[value];
        row.value = value;
        row.with_class.resize(classes);
        ++row.images;
        ++row.in_split[records.splits[i]];
        for (size_t k = 0; k < classes; ++k) row.with_class[k] += has_class(records, i, k);
    }
    if (rows.size() > most_values) return groups;
    for (auto& [value, row] : rows) groups.rows.push_back(std::move(row));
    return groups;
}

void count_together(const SetRecords& records, ExploreReport& report) {
    const size_t classes = records.info.class_names.size();
    if (!records.info.multilabel) return;
    report.unknown.assign(classes, 0);
    report.together.assign(classes, std::vector<int64_t>(classes));
    for (size_t i = 0; i < records.splits.size(); ++i) {
        for (size_t a = 0; a < classes; ++a) {
            report.unknown[a] += records.targets[i * classes + a] == unknown_label;
            if (!has_class(records, i, a)) continue;
            for (size_t b = 0; b < classes; ++b) report.together[a][b] += has_class(records, i, b);
        }
    }
}

// Evenly from all over the set.
std::vector<std::vector<int64_t>> choose_samples(const SetRecords& records, int most) {
    std::vector<std::vector<int64_t>> samples;
    for (size_t k = 0; k < records.info.class_names.size(); ++k) {
        std::vector<int64_t> with;
        for (size_t i = 0; i < records.splits.size(); ++i)
            if (has_class(records, i, k)) with.push_back(static_cast<int64_t>(i));
        const size_t wanted = std::min(with.size(), static_cast<size_t>(most));
        samples.emplace_back();
        for (size_t s = 0; s < wanted; ++s) samples.back().push_back(with[s * with.size() / wanted]);
    }
    return samples;
}

void warn_of_classes(const SetRecords& records, ExploreReport& report) {
    const SetSummary& summary = report.summary;
    for (size_t k = 0; k < summary.counts.size(); ++k) {
        const std::string& name = records.info.class_names[k];
        for (const Split split : {Split::train, Split::val, Split::test}) {
            const auto at = static_cast<size_t>(split);
            if (summary.images[at] == 0) continue;
            if (summary.counts[k][at] == 0)
                report.warnings.push_back(fmt::format("class '{}' has no image in {}", name, name_of(split)));
            else if (split != Split::train && summary.counts[k][at] < least_positives)
                report.warnings.push_back(fmt::format("class '{}' has {} images in {}: too few for a score", name,
                                                      summary.counts[k][at], name_of(split)));
        }
    }
}

// A class that is common in one subgroup and rare in another can be told by the subgroup: AP beds, one sex, one site.
void warn_of_subgroups(const SetRecords& records, ExploreReport& report) {
    for (const Subgroups& column : report.subgroups) {
        for (size_t k = 0; k < records.info.class_names.size(); ++k) {
            const Subgroups::Row *low = nullptr, *high = nullptr;
            const auto share = [k](const Subgroups::Row& row) {
                return static_cast<double>(row.with_class[k]) / static_cast<double>(row.images);
            };
            for (const Subgroups::Row& row : column.rows) {
                if (row.images < least_of_subgroup) continue;
                if (low == nullptr || share(row) < share(*low)) low = &row;
                if (high == nullptr || share(row) > share(*high)) high = &row;
            }
            if (low == nullptr || share(*high) - share(*low) < striking_difference) continue;
            const auto named = [](const Subgroups::Row& row) { return row.value.empty() ? "unknown" : row.value; };
            report.warnings.push_back(
                fmt::format("class '{}' is {:.0f}% of {} '{}' and {:.0f}% of '{}': a model may learn the {}",
                            records.info.class_names[k], 100 * share(*high), column.column, named(*high), 100 * share(*low),
                            named(*low), column.column));
        }
    }
}

}  // namespace

bool has_class(const SetRecords& records, size_t image, size_t of_class) {
    if (records.info.multilabel) return records.targets[image * records.info.class_names.size() + of_class] == 1;
    return records.labels[image] == static_cast<int32_t>(of_class);
}

void explore_records(const SetRecords& records, int samples_of_class, ExploreReport& report) {
    count_together(records, report);
    const auto width = records.meta.find("width"), height = records.meta.find("height");
    if (width != records.meta.end() && height != records.meta.end()) {
        for (size_t i = 0; i < width->second.size(); ++i) ++report.sizes[width->second[i] + "x" + height->second[i]];
    }
    std::unordered_map<std::string, int64_t> in_group;
    for (const std::string& group : records.groups)
        if (!group.empty()) report.most_in_group = std::max(report.most_in_group, ++in_group[group]);
    for (const auto& [column, values] : records.meta) {
        if (!tells_subgroups(column)) continue;
        Subgroups groups = subgroups_of(column, values, records);
        if (groups.rows.size() > 1) report.subgroups.push_back(std::move(groups));
    }
    report.samples = choose_samples(records, samples_of_class);
}

int64_t copies_labelled_otherwise(const SetRecords& records, const LeakReport& leaks) {
    int64_t count = 0;
    for (const LeakPair& pair : leaks.examples) {
        bool same = true;
        for (size_t k = 0; k < records.info.class_names.size(); ++k)
            same = same &&
                   has_class(records, static_cast<size_t>(pair.a), k) == has_class(records, static_cast<size_t>(pair.b), k);
        count += !same;
    }
    return count;
}

void add_warnings(const SetRecords& records, ExploreReport& report) {
    if (report.leaks.leaks()) report.warnings.push_back(report.leaks.verdict());
    if (report.copies_labelled_otherwise > 0)
        report.warnings.push_back(
            fmt::format("{} pairs of identical images have different labels", report.copies_labelled_otherwise));
    const int64_t images = records.info.count;
    if (report.summary.groups > 1 && report.summary.groups == images)
        report.warnings.push_back("every image is a group of its own: a split by such groups is a split by image");
    warn_of_classes(records, report);
    warn_of_subgroups(records, report);
}

}  // namespace xbench
