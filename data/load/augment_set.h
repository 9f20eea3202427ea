// A larger set from a set: its training images once more, as mirror images or as augmentation draws them. Copies stay in the
// training split and in the group of their original, so that none can come to stand in another split; val and test are not
// touched. Images pass through one by one.
#pragma once

#include <functional>
#include <string>

#include "core/config.h"
#include "data/set/image_set.h"

namespace xbench {

struct AugmentSetOptions {
    std::string source, out;  // sets
    bool mirror = false;      // every training image once more, left to right
    int64_t copies = 0;       // of every training image, as `augment` draws them: the epochs 1 to `copies`
    AugmentConfig augment;
    uint64_t seed = 1;
};

using AugmentObserver = std::function<void(int64_t done, int64_t total)>;

// What the new set holds. Throws UsageError where nothing is asked for, or a set without training images.
SetRecords augment_set(const AugmentSetOptions& options, const AugmentObserver& observer = {});

}  // namespace xbench
