// A data set whose pixels are in memory: synthetic images, and HDF5 files that are small enough to be read once.
#pragma once

#include <span>

#include "core/hash.h"
#include "data/set/image_set.h"

namespace xbench {

class MemoryDataset : public Dataset {
public:
    explicit MemoryDataset(ImageSet set);
    void read(std::span<const int64_t> indices, float* images) const override;
    std::string digest() const override;

private:
    std::vector<uint8_t> pixels_;
    size_t image_bytes_;
};

// value / 255 or value / 65535 of `count` stored pixels.
void scale_pixels(const uint8_t* pixels, int bytes_per_pixel, size_t count, float* scaled);

// The end of every data set's digest: after the pixels come labels or targets, then splits.
std::string finish_digest(Hash& pixels, const Dataset& set);

}  // namespace xbench
