// What a set holds, apart from its pixels: counts by class and split, groups, boxes, pixel statistics.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "data/set/image_set.h"

namespace xbench {

struct SetSummary {
    DatasetInfo info;  // its source is the file
    std::string path, source, created_by;
    std::vector<std::array<int64_t, 3>> counts;  // [class][split]; a multi-label image counts in each of its classes
    std::array<int64_t, 3> images{}, without_class{};
    int64_t groups = 0, images_without_group = 0, groups_across_splits = 0;  // groups 0: the set names none
    int64_t boxes = 0, images_with_boxes = 0;
    bool has_boxes = false;
    std::vector<double> pixel_mean, pixel_std;  // {channels} in [0,1]; empty: the file does not say
};

SetSummary summarise(const SetRecords& records, const std::string& path);
Json to_json(const SetSummary& summary);

}  // namespace xbench
