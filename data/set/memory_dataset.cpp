// A data set whose pixels lie in memory, and the digest that every data set shares.
#include "data/set/memory_dataset.h"

#include <cstring>
#include <utility>

namespace xbench {

void scale_pixels(const uint8_t* pixels, int bytes_per_pixel, size_t count, float* scaled) {
    // A division, not a product with 1/255: 255 must become exactly 1, and the same bits come from PyTorch's x / 255.
    if (bytes_per_pixel == 1) {
        for (size_t i = 0; i < count; ++i) scaled[i] = static_cast<float>(pixels[i]) / 255.0f;
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        uint16_t value;
        std::memcpy(&value, pixels + 2 * i, sizeof value);
        scaled[i] = static_cast<float>(value) / 65535.0f;
    }
}

MemoryDataset::MemoryDataset(ImageSet set) : image_bytes_(set.image_bytes()) {
    info_ = std::move(set.records.info);
    labels_ = std::move(set.records.labels);
    targets_ = std::move(set.records.targets);
    splits_ = std::move(set.records.splits);
    ids_ = std::move(set.records.ids);
    groups_ = std::move(set.records.groups);
    boxes_ = std::move(set.records.boxes);
    box_offsets_ = std::move(set.records.box_offsets);
    pixels_ = std::move(set.pixels);
}

void MemoryDataset::read(std::span<const int64_t> indices, float* images) const {
    const size_t values = image_bytes_ / static_cast<size_t>(info_.bytes_per_pixel);
    for (size_t i = 0; i < indices.size(); ++i) {
        scale_pixels(pixels_.data() + static_cast<size_t>(indices[i]) * image_bytes_, info_.bytes_per_pixel, values,
                     images + i * values);
    }
}

std::string MemoryDataset::digest() const {
    Hash hash;
    hash.add(pixels_.data(), pixels_.size());
    return finish_digest(hash, *this);
}

std::string finish_digest(Hash& pixels, const Dataset& set) {
    pixels.add(set.labels().data(), set.labels().size_bytes());
    pixels.add(set.targets().data(), set.targets().size_bytes());
    pixels.add(set.splits().data(), set.splits().size_bytes());
    return pixels.hex();
}

}  // namespace xbench
