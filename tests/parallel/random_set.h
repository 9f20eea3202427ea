// Random images in memory, each with one label or with any number of them: a data set for tests that need no files.
// Pixels {count, channels, size, size}.
#pragma once

#include <string>

#include "core/rng.h"
#include "data/set/memory_dataset.h"

namespace xbench::test {

struct SetShape {
    int64_t train = 40, val = 20, test = 20, channels = 1, size = 16, classes = 3;
    bool multilabel = false;
};

inline ImageSet random_set(const SetShape& shape) {
    ImageSet set;
    const int64_t count = shape.train + shape.val + shape.test;
    set.records.info = {"random", count, shape.channels, shape.size, shape.size, 1, {}, shape.multilabel};
    for (int64_t k = 0; k < shape.classes; ++k) set.records.info.class_names.push_back("class " + std::to_string(k));
    Random random(11, RandomUse::test_data);
    for (int64_t i = 0; i < count; ++i) {
        if (shape.multilabel)
            for (int64_t k = 0; k < shape.classes; ++k) set.records.targets.push_back(random.below(4) == 0);
        else
            set.records.labels.push_back(static_cast<int32_t>(random.below(static_cast<uint32_t>(shape.classes))));
        set.records.splits.push_back(static_cast<uint8_t>(i < shape.train ? 0 : i < shape.train + shape.val ? 1 : 2));
        set.records.ids.push_back("image " + std::to_string(i));
    }
    for (int64_t i = 0; i < count * shape.channels * shape.size * shape.size; ++i)
        set.pixels.push_back(static_cast<uint8_t>(random.below(256)));
    return set;
}

}  // namespace xbench::test
