// Images that lie one behind the other in a container instead of in files of their own: arrays of npz, batches of CIFAR.
// They are raw pixels, read in the order of the list by code that checks each length; no decoder of a format sees them.
#pragma once

#include "data/import/decoders.h"

namespace xbench {

struct ImportItem;

class RecordReader {
public:
    virtual ~RecordReader() = default;
    // From the first record again.
    virtual void rewind() = 0;
    // Of ascending items. Throws Error where the container is damaged: then nothing of it can be trusted.
    virtual Image read(const ImportItem& item, int channels) = 0;
};

// Samples as an image with that many channels: gray is repeated, color becomes luma. `planes` says RRR GGG BBB.
Image image_of_samples(std::span<const uint8_t> samples, int64_t height, int64_t width, int stored_channels,
                       int bytes_per_sample, bool planes, int channels);

}  // namespace xbench
