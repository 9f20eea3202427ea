// Names of the splits, and what every data set does alike.
#include "data/set/dataset.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"

namespace xbench {

const char* name_of(Split split) {
    switch (split) {
        case Split::train: return "train";
        case Split::val: return "val";
        case Split::test: return "test";
    }
    return "?";
}

Split split_from(const std::string& name) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    if (lower == "train" || lower == "training") return Split::train;
    if (lower == "val" || lower == "valid" || lower == "validation" || lower == "validate") return Split::val;
    if (lower == "test" || lower == "testing") return Split::test;
    throw UsageError("'" + name + "' is not a split", {}, "use train, val or test");
}

std::span<const Box> Dataset::boxes(int64_t image) const {
    if (box_offsets_.empty()) return {};
    const auto first = static_cast<size_t>(box_offsets_[static_cast<size_t>(image)]);
    const auto last = static_cast<size_t>(box_offsets_[static_cast<size_t>(image) + 1]);
    return std::span(boxes_).subspan(first, last - first);
}

std::vector<int64_t> Dataset::indices(Split split) const {
    std::vector<int64_t> found;
    for (size_t i = 0; i < splits_.size(); ++i) {
        if (splits_[i] == static_cast<uint8_t>(split)) found.push_back(static_cast<int64_t>(i));
    }
    return found;
}

}  // namespace xbench
