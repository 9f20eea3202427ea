// Files to pixels of one size: a batch of items at a time, by all threads of this process, into one buffer.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/import/import_list.h"
#include "data/import/resize.h"

namespace xbench {

// What is known of one file after decoding.
struct DecodedFile {
    std::string digest, failure;     // no failure: all is well
    std::string rule;                // by which the file is left out: it is no image by its kind
    std::string rendering, patient;  // of DICOM, see Image
    int64_t frames = 1;              // that the file holds
    std::array<int64_t, 2> size{};
    uint32_t largest_deep_sample = 0;  // of 16-bit files
    bool warned = false, rotated = false, burned_in = false;
    bool deeper = false;  // 16 bits where 8 were to do: no pixels
    bool has_pixels() const { return failure.empty() && rule.empty() && !deeper; }
};

class ItemDecoder {
public:
    ItemDecoder(const ImportOptions& options, int threads);
    int threads() const { return static_cast<int>(workers_.size()); }
    size_t image_bytes(int bytes_per_pixel) const;
    // Image i lies at pixels + i * image_bytes().
    void decode(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels);

private:
    // What a thread keeps between files.
    struct Worker {
        Resizer resizer;
        std::vector<uint8_t> file, planes;
    };
    void decode_one(const ImportItem& item, int bytes_per_pixel, Worker& worker, DecodedFile& outcome,
                    uint8_t* pixels) const;

    const ImportOptions& options_;
    std::vector<Worker> workers_;
};

}  // namespace xbench
