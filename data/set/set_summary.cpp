// Counts over the records of a set.
#include "data/set/set_summary.h"

#include <set>
#include <unordered_map>

namespace xbench {
namespace {

void count_classes(SetSummary& summary, const SetRecords& records) {
    const size_t classes = records.info.class_names.size();
    summary.counts.resize(classes);
    for (size_t i = 0; i < records.splits.size(); ++i) {
        const uint8_t split = records.splits[i];
        ++summary.images[split];
        if (!records.info.multilabel) {
            ++summary.counts[static_cast<size_t>(records.labels[i])][split];
            continue;
        }
        bool any = false;
        for (size_t k = 0; k < classes; ++k) {
            const bool has = records.targets[i * classes + k] == 1;
            summary.counts[k][split] += has;
            any = any || has;
        }
        summary.without_class[split] += !any;
    }
}

void count_groups(SetSummary& summary, const SetRecords& records) {
    std::unordered_map<std::string, std::set<uint8_t>> splits;
    for (size_t i = 0; i < records.groups.size(); ++i) {
        if (records.groups[i].empty())
            ++summary.images_without_group;
        else
            splits[records.groups[i]].insert(records.splits[i]);
    }
    summary.groups = static_cast<int64_t>(splits.size());
    for (const auto& [group, in] : splits) summary.groups_across_splits += in.size() > 1;
}

Json by_split(const std::array<int64_t, 3>& counts) {
    return {{"train", counts[0]}, {"val", counts[1]}, {"test", counts[2]}};
}

}  // namespace

SetSummary summarise(const SetRecords& records, const std::string& path) {
    SetSummary summary;
    summary.info = records.info;
    summary.path = path;
    summary.source = records.source;
    summary.created_by = records.created_by;
    summary.pixel_mean = records.pixel_mean;
    summary.pixel_std = records.pixel_std;
    count_classes(summary, records);
    count_groups(summary, records);
    summary.has_boxes = !records.box_offsets.empty();
    summary.boxes = static_cast<int64_t>(records.boxes.size());
    for (size_t i = 0; i + 1 < records.box_offsets.size(); ++i)
        summary.images_with_boxes += records.box_offsets[i + 1] > records.box_offsets[i];
    return summary;
}

Json to_json(const SetSummary& summary) {
    const DatasetInfo& info = summary.info;
    Json json{{"set", summary.path},
              {"images", info.count},
              {"channels", info.channels},
              {"height", info.height},
              {"width", info.width},
              {"bytes_per_pixel", info.bytes_per_pixel},
              {"multilabel", info.multilabel},
              {"source", summary.source},
              {"created_by", summary.created_by},
              {"splits", by_split(summary.images)}};
    json["classes"] = Json::array();
    for (size_t k = 0; k < summary.counts.size(); ++k) {
        Json row{{"name", info.class_names[k]}};
        row.update(by_split(summary.counts[k]));
        json["classes"].push_back(row);
    }
    if (info.multilabel) json["without_class"] = by_split(summary.without_class);
    json["groups"] = {{"count", summary.groups},
                      {"images_without", summary.groups > 0 ? summary.images_without_group : info.count},
                      {"across_splits", summary.groups_across_splits}};
    json["boxes"] = summary.has_boxes ? Json{{"count", summary.boxes}, {"images_with", summary.images_with_boxes}} : Json();
    json["leaks"] = info.leaks.empty() ? Json() : Json(info.leaks);
    json["pixel_mean"] = summary.pixel_mean;
    json["pixel_std"] = summary.pixel_std;
    return json;
}

}  // namespace xbench
