// One procedural chest X-ray: a frontal view composed of a body outline, air-filled lungs, heart, diaphragm, spine, ribs,
// clavicles and vessels, with random pose, exposure and devices, and in some images opacities inside the lungs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/set/image_set.h"

namespace xbench {

struct Phantom {
    bool pneumonia = false;
    std::vector<Box> boxes;  // of the opacities, class 1, in pixels
};

// Draws image `index` of the set with this seed into size x size gray pixels.
Phantom draw_phantom(uint64_t seed, uint32_t index, int64_t size, std::span<uint8_t> gray);

}  // namespace xbench
