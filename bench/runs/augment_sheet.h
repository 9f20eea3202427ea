// One picture that shows what augmentation does to the images of a set: a row an image; the original, each operation alone,
// then all of them as three epochs draw them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/config.h"
#include "data/set/dataset.h"

namespace xbench {

// Of every operation a little, for a sheet of a set whose training has not been decided.
AugmentConfig augment_everything();

// The bytes of a PNG file, of the first `rows` training images (or any, where there are none).
std::vector<uint8_t> augment_sheet(const Dataset& dataset, const AugmentConfig& config, uint64_t seed, int rows = 6);

}  // namespace xbench
