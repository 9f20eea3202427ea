// What the top folders of a source are: classes, or splits with classes below.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/set/dataset.h"

namespace xbench {

// A folder on top, as the walk found it.
struct TopFolder {
    std::string name;
    std::vector<std::string> folders;  // in it
};

// train, val or test and their long forms, in any case.
std::optional<Split> split_named(const std::string& name);
// Names that say a split among other words: training_set, seg_test, val-images, train2017.
std::optional<Split> split_within(const std::string& name);

// Which split each folder is; empty when they are classes. Throws UsageError where some are splits and others are not, and
// where all hold the same folders but their names say no split.
std::map<std::string, Split> splits_among(const std::vector<TopFolder>& top, const std::string& place);

}  // namespace xbench
